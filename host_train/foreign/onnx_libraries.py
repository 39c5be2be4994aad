"""onnx and onnx2torch, loaded when a file is to be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from pynq_cnn.errors import ArgumentError

HOW = "pip install 'pynq-cnn[onnx]'"


def load_onnx_library() -> Any:
    """The package onnx; `ArgumentError` if it is not installed."""
    return _load("onnx")


def load_onnx2torch() -> Any:
    """The package onnx2torch; `ArgumentError` if it is not installed."""
    with _torchvision():
        return _load("onnx2torch")


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ArgumentError(f"{error.name} is not installed; install what reads ONNX files: {HOW}") from error


@contextmanager
def _torchvision() -> Iterator[None]:
    """A stand-in where torchvision is missing, or is of another build than PyTorch and does not load.

    onnx2torch imports it for two operations on boxes, which no classifier has.
    """
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError):  # a build for other libraries raises either
        found = [name for name in sys.modules if name.partition(".")[0] == "torchvision"]
        kept = {name: sys.modules.pop(name) for name in found}
        package, boxes = ModuleType("torchvision"), ModuleType("torchvision.ops")
        package.ops = boxes  # type: ignore[attr-defined]
        boxes.nms = boxes.roi_align = None  # type: ignore[attr-defined]
        sys.modules.update({"torchvision": package, "torchvision.ops": boxes})
        try:
            yield
        finally:
            del sys.modules["torchvision"], sys.modules["torchvision.ops"]
            sys.modules.update(kept)
    else:
        yield
