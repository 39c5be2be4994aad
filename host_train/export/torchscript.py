"""A model in floating point as TorchScript: one file that runs without its Python code, in LibTorch too."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from host_train.files import replace_file
from host_train.reason import reason_of
from host_train.tracing.evaluating import evaluating
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import InputSpec, OutputSpec

ABOUT = "about.json"


def write_torchscript(
    model: nn.Module, spec: InputSpec, classes: Sequence[str], path: str | os.PathLike[str], output: str = "softmax"
) -> None:
    """Trace `model` and write it.

    Parameters
    ----------
    model : torch.nn.Module
        Takes normalised images float32 [n, channels, height, width] on the CPU. It is written as it behaves in
        evaluation mode.
    spec : InputSpec
        Its input; it goes into the file with the classes, as `about.json`.
    classes : sequence of str
        Names of its outputs.
    path : path
        Of the file, replaced if it is there.
    output : {"softmax", "sigmoid", "independent", "values"}
        Kind of its outputs, as of `pynq_cnn.model.OutputSpec`; it goes into the file too. A softmax or sigmoid at the
        end of the model stays where it is: the outputs are probabilities then.

    Raises
    ------
    ArgumentError
        If a folder is there, or the model gives another number of outputs than `output` and `classes` say.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> model, spec = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), InputSpec(2, 2, 1, "L", (0.5,), (0.5,))
    >>> with TemporaryDirectory() as folder:
    ...     write_torchscript(model, spec, ["a", "b"], Path(folder, "m.pt"))
    ...     script, same, classes, output = read_torchscript(Path(folder, "m.pt"))
    >>> x = torch.rand(3, 1, 2, 2)
    >>> same == spec, classes, output, torch.equal(script(x), model(x))
    (True, ('a', 'b'), 'softmax', True)
    """
    about = json.dumps({"input": asdict(spec), "output": output, "classes": list(classes)})

    def write(place: Path) -> None:
        with open(place, "wb") as file:  # given a name, torch does not say why it cannot be written
            torch.jit.save(script, file, _extra_files={ABOUT: about.encode()})

    with evaluating(model), warnings.catch_warnings():
        # torch advises torch.export, whose files only Python can run.
        warnings.simplefilter("ignore", DeprecationWarning)
        images = torch.zeros(2, spec.channels, spec.height, spec.width)
        script = torch.jit.trace(model, images)
        _check_outputs(script(images).reshape(2, -1).shape[1], classes, output)
        replace_file(Path(path), write)


def _check_outputs(outputs: int, classes: Sequence[str], kind: str) -> None:
    """`ArgumentError` if a kind of output does not go with so many numbers and names."""
    try:
        names = OutputSpec(np.ones(outputs, np.float32), np.zeros(outputs, np.float32), kind).classes
    except NetworkError as error:
        raise ArgumentError(str(error)) from error
    if len(classes) != names:
        raise ArgumentError(
            f"the model gives {outputs} numbers for each image, which as {kind} need {names} names, not {len(classes)}"
        )


def read_torchscript(path: str | os.PathLike[str]) -> tuple[torch.jit.ScriptModule, InputSpec, tuple[str, ...], str]:
    """The model that `write_torchscript` wrote, its input, its classes and its kind of output; `ArgumentError` if the
    file is not such.
    """
    extra = {ABOUT: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            script = torch.jit.load(os.fspath(path), map_location="cpu", _extra_files=extra)
        about = json.loads(extra[ABOUT])
        return script, InputSpec(**about["input"]), tuple(about["classes"]), about.get("output", "softmax")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{path} is no TorchScript file of host_train: {reason_of(error)}") from error
