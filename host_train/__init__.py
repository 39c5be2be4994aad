"""Host side of pynq_cnn: data sets, networks, training, evaluation, quantisation and export.

`python -m host_train --help` lists the commands. `host_train.from_torch` converts a PyTorch model of your own.
`host_train.data` needs NumPy (and Pillow for CIFAR-10) only; everything else needs PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host_train.tracing.convert import from_torch

__all__ = ["from_torch"]


def __getattr__(name: str) -> Any:
    """`from_torch`, loaded on first use: it needs PyTorch."""
    if name != "from_torch":
        raise AttributeError(f"module 'host_train' has no attribute {name!r}")
    from host_train.tracing.convert import from_torch

    return from_torch
