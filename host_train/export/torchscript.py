"""A model in floating point as TorchScript: one file that runs without its Python code, in LibTorch too."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from host_train.reason import reason_of
from host_train.tracing.trace import evaluating
from host_train.training.checkpoint import replace_file
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec

ABOUT = "about.json"


def write_torchscript(model: nn.Module, spec: InputSpec, classes: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Trace `model` and write it.

    Parameters
    ----------
    model : torch.nn.Module
        Takes normalised images float32 [n, channels, height, width] on the CPU. It is written as it behaves in evaluation mode.
    spec : InputSpec
        Its input; it goes into the file with the classes, as `about.json`.
    classes : sequence of str
        Names of its outputs.
    path : path
        Of the file, replaced if it is there.

    Raises
    ------
    ArgumentError
        If a folder is there.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> model, spec = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), InputSpec(2, 2, 1, "L", (0.5,), (0.5,))
    >>> with TemporaryDirectory() as folder:
    ...     write_torchscript(model, spec, ["a", "b"], Path(folder, "m.pt"))
    ...     script, same, classes = read_torchscript(Path(folder, "m.pt"))
    >>> x = torch.rand(3, 1, 2, 2)
    >>> same == spec, classes, torch.equal(script(x), model(x))
    (True, ('a', 'b'), True)
    """
    about = json.dumps({"input": asdict(spec), "classes": list(classes)})

    def write(place: Path) -> None:
        with open(place, "wb") as file:  # given a name, torch does not say why it cannot be written
            torch.jit.save(script, file, _extra_files={ABOUT: about.encode()})

    with evaluating(model), warnings.catch_warnings():
        # torch advises torch.export, whose files only Python can run.
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.trace(model, torch.zeros(2, spec.channels, spec.height, spec.width))
        replace_file(Path(path), write)


def read_torchscript(path: str | os.PathLike[str]) -> tuple[torch.jit.ScriptModule, InputSpec, tuple[str, ...]]:
    """The model that `write_torchscript` wrote, its input and its classes; `ArgumentError` if the file is not such."""
    extra = {ABOUT: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            script = torch.jit.load(os.fspath(path), map_location="cpu", _extra_files=extra)
        about = json.loads(extra[ABOUT])
        return script, InputSpec(**about["input"]), tuple(about["classes"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{path} is no TorchScript file of host_train: {reason_of(error)}") from error
