"""The weights of a model of the user's own from a file."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from pynq_cnn.errors import ArgumentError

# Where people put a state_dict beside that of the optimiser and others.
NESTED = (
    "state_dict",
    "model_state_dict",
    "model",
)
# What DataParallel, torch.compile and Lightning put before every name; in any order and number.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
HOW = "save the weights alone: torch.save(model.state_dict(), FILE)"
SHOWN = 3  # names in a message


def load_weights(model: nn.Module, path: Path) -> list[str]:
    """Give `model` the weights that are in `path`. It runs no code from the file.

    A state_dict that lies under one of the keys `NESTED`, and names that all begin with one of `PREFIXES`, are taken
    too.

    Returns
    -------
    list of str
        Lines that say so.

    Raises
    ------
    ArgumentError
        If the file holds no weights, or not this model's; says what it holds and what to do.
    """
    state, notes = _read(path)
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    # Lazy layers take any shape.
    ours = {name: None if is_lazy(value) else tuple(value.shape) for name, value in own.items()}
    before = _before_all(state, ours)
    if before:
        state = {name.removeprefix(before): value for name, value in state.items()}
        notes.append(f"{path}: took the names without {before!r}")
    theirs = {name: tuple(value.shape) for name, value in state.items()}
    differences = {
        "it has no": [name for name in ours if name not in theirs],
        "the model has no": [name for name in theirs if name not in ours],
        "other shapes:": [
            f"{name} is {theirs[name]} in the file and {shape} in the model"
            for name, shape in ours.items()
            if shape is not None and theirs.get(name, shape) != shape
        ],
    }
    told = "; ".join(f"{what} {_first_of(names)}" for what, names in differences.items() if names)
    if told:
        raise ArgumentError(
            f"{path} has not the weights of {type(model).__name__}: {told}; make the model that was trained"
        )
    model.load_state_dict(state)
    return notes


def _before_all(theirs: Iterable[str], ours: Iterable[str]) -> str:
    """Prefixes that all names of a file have, the fewest without which some are the model's own; none if nothing helps.

    Examples
    --------
    >>> _before_all(["model._orig_mod.module.fc.weight"], ["fc.weight"])
    'model._orig_mod.module.'
    """
    names, own, found = list(theirs), set(ours), ""
    while not own & set(names):
        prefix = next((one for one in PREFIXES if all(name.startswith(one) for name in names)), "")
        if not prefix:
            return ""
        names, found = [name.removeprefix(prefix) for name in names], found + prefix
    return found


def _read(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The state_dict in a file, and what was done to get it."""
    if not path.is_file():
        raise ArgumentError(f"--weights {path}: there is no such file; {HOW}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on files that are of another kind, which the message says
            # TorchScript is a program for PyTorch's interpreter, not Python; only its tensors are looked at.
            scripted = _is_torchscript(path)
            held = (
                dict(torch.jit.load(str(path), map_location="cpu").state_dict())
                if scripted
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # other files make torch raise nearly anything
        # torch names what it will not load, for instance a class of the user's: that would run code from the file.
        named = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", str(error))
        what = (
            f"a {named[1]}, not weights alone"
            if named
            else "no weights that torch can read; it may be damaged or of another kind"
        )
        raise ArgumentError(f"{path} holds {what}; {HOW}") from error
    notes = [f"{path}: took the weights of the TorchScript"] if scripted else []
    for key in NESTED:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
            notes.append(f"{path}: took the weights from its {key!r}")
    if not isinstance(held, dict) or not held or not all(isinstance(value, torch.Tensor) for value in held.values()):
        inside = f" of {_first_of([str(key) for key in held])}" if isinstance(held, dict) and held else ""
        raise ArgumentError(f"{path} holds a {type(held).__name__}{inside}, not a state_dict of tensors; {HOW}")
    return {str(name): value for name, value in held.items()}, notes


def _is_torchscript(path: Path) -> bool:
    """Whether a file is what torch.jit.save writes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _first_of(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
