"""Lines of the user's source, for messages."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from types import CodeType, FrameType

import torch

from pynq_cnn.errors import NetworkError

TORCH = os.path.dirname(torch.__file__) + os.sep
GENERATED = "<eval_with_key>"  # how the code of a GraphModule is called
OWN = os.path.dirname(__file__) + os.sep


def place_of(file: str, line: int) -> str:
    """File and line, and what is written there; of code that torch.fx has written itself the line alone."""
    code = linecache.getline(file, line).strip()
    if file.startswith(GENERATED):
        return f"`{code.partition(';')[0]}`"
    shown = os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file
    return f"{shown}:{line}, `{code}`" if code else f"{shown}:{line}"


def _is_users(file: str) -> bool:
    """Whether a source file is neither torch's nor one that traces."""
    return not file.startswith((TORCH, OWN))


def calling_place(outermost: CodeType) -> str:
    """The line of the user's that is being traced, within a function's code; empty in a plain nn.Sequential, which has
    none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not outermost:
        if _is_users(frame.f_code.co_filename):
            return place_of(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def raising_place(error: BaseException) -> str:
    """The line of the user's that `error` came from."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return place_of(found[-1].filename, found[-1].lineno or 0) if found else ""


def located(error: NetworkError, places: dict[str, str]) -> NetworkError:
    """`error` with the place of the layer that it is about, where that is known."""
    place = places.get(error.layer or "")
    return NetworkError(f"{place}: {error}", error.layer) if place else error
