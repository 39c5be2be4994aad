"""Convolutional networks on the PYNQ-Z2, and the same bits on a laptop.

>>> import pynq_cnn
>>> pynq_cnn.models()["lenet"].dataset
'MNIST'

Importing this package needs no board and loads neither pynq nor torch; what it offers is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynq_cnn.api import classify, release
    from pynq_cnn.classifier import Classifier
    from pynq_cnn.errors import (
        ArgumentError,
        BackendError,
        BoardWarning,
        CompileError,
        DatasetError,
        DeviceError,
        ImageError,
        ImageWarning,
        ModelPackageError,
        NetworkError,
        PynqCnnError,
        PynqCnnWarning,
    )
    from pynq_cnn.result import Classification
    from pynq_cnn.zoo import models

__version__ = "0.1.0"

_HOMES = {
    "Classifier": "classifier",
    "classify": "api",
    "release": "api",
    "Classification": "result",
    "models": "zoo",
    "ArgumentError": "errors",
    "BackendError": "errors",
    "BoardWarning": "errors",
    "CompileError": "errors",
    "DatasetError": "errors",
    "DeviceError": "errors",
    "ImageError": "errors",
    "ImageWarning": "errors",
    "ModelPackageError": "errors",
    "NetworkError": "errors",
    "PynqCnnError": "errors",
    "PynqCnnWarning": "errors",
}

__all__ = [
    "ArgumentError",
    "BackendError",
    "BoardWarning",
    "Classification",
    "Classifier",
    "CompileError",
    "DatasetError",
    "DeviceError",
    "ImageError",
    "ImageWarning",
    "ModelPackageError",
    "NetworkError",
    "PynqCnnError",
    "PynqCnnWarning",
    "__version__",
    "classify",
    "models",
    "release",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pynq_cnn' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"pynq_cnn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
