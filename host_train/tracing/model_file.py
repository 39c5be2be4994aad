"""A model of the user's own from the Python file that makes it."""

from __future__ import annotations

import inspect
import linecache
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from host_train.reason import reason_of
from pynq_cnn.errors import ArgumentError


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
