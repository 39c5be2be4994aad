"""A model of the user's own from files: a Python file that makes it, and a file of its weights."""

from __future__ import annotations

import inspect
import linecache
import re
import runpy
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from host_train.reason import reason_of
from pynq_cnn.errors import ArgumentError

NESTED = (
    "state_dict",
    "model_state_dict",
    "model",
)  # where people put a state_dict beside that of the optimiser and others
PREFIXES = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before every name
HOW = "save the weights alone: torch.save(model.state_dict(), FILE)"
SHOWN = 3  # names in a message


# ------------------------------------------------------------------------------------------------------ the model


def load_model(place: str) -> nn.Module:
    """The model that the function or class `FILE:NAME` makes. It runs the file, as `import` does.

    Raises
    ------
    ArgumentError
        If there is none, or the file raises; names file and line.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not Path(file).is_file():
        raise ArgumentError(
            f"{place!r} must be a Python file and a name in it, such as mine.py:build; {file or place} is no file"
        )
    with _importing_from(Path(file)):
        found = runpy.run_path(file, run_name="host_train_convert").get(name)
        if isinstance(found, nn.Module) or not callable(found):
            raise ArgumentError(f"{file} has no function or class {name}")
        _check_call(found, file, name)
        model = found()
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"{name}() of {file} gives {model!r:.60}, not a torch.nn.Module")
    return model


@contextmanager
def _importing_from(file: Path) -> Iterator[None]:
    """Modules beside `file` can be imported, as when it is run itself; what goes wrong becomes one line that says
    where.
    """
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    except ArgumentError:
        raise
    except SyntaxError as error:
        raise ArgumentError(
            f"{error.filename or file}:{error.lineno}: {type(error).__name__}: {error.msg}; correct the file"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ArgumentError(
            f"{_place(error, file)}: {type(error).__name__}: {reason_of(error)}; correct the file"
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _place(error: BaseException, file: Path) -> str:
    """The last line on the way to `error` that is in the folder of `file`: there the user's code ends and a library's
    begins.
    """
    folder = file.resolve().parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        if folder in path.parents and "site-packages" not in path.parts:
            return f"{frame.filename}:{frame.lineno}, `{linecache.getline(frame.filename, frame.lineno or 0).strip()}`"
    return str(file)


def _check_call(found: Any, file: str, name: str) -> None:
    """`ArgumentError` if a function or class cannot be called without arguments."""
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise ArgumentError(
            f"{file}: {name} cannot be called without arguments ({error}); add a function that can, as def build():"
            f" return {name}(...)"
        ) from error


# ---------------------------------------------------------------------------------------------------- the weights


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
    ours = {
        name: None if is_lazy(value) else tuple(value.shape) for name, value in own.items()
    }  # lazy layers take any shape
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state) and not any(name.startswith(prefix) for name in ours):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
            notes.append(f"{path}: took the names without {prefix!r}")
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


def _read(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The state_dict in a file, and what was done to get it."""
    if not path.is_file():
        raise ArgumentError(f"--weights {path}: there is no such file; {HOW}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on files that are of another kind, which the message says
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # other files make torch raise nearly anything
        # torch names what it will not load, for instance a class of the user's: that would run code from the file.
        named = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", str(error))
        what = (
            f"a {named[1]}, not weights alone"
            if named
            else "no weights that torch can read; it may be damaged or of another kind"
        )
        raise ArgumentError(f"{path} holds {what}; {HOW}") from error
    notes = []
    for key in NESTED:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
            notes.append(f"{path}: took the weights from its {key!r}")
    if not isinstance(held, dict) or not held or not all(isinstance(value, torch.Tensor) for value in held.values()):
        inside = f" of {_first_of([str(key) for key in held])}" if isinstance(held, dict) and held else ""
        raise ArgumentError(f"{path} holds a {type(held).__name__}{inside}, not a state_dict of tensors; {HOW}")
    return {str(name): value for name, value in held.items()}, notes


def _first_of(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
