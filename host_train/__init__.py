"""Host side of pynq_cnn: data sets, networks, training, evaluation, quantisation and export.

`python -m host_train --help` lists the commands. `host_train.from_torch` converts a PyTorch model of your own,
`host_train.from_onnx` one in an ONNX file, `host_train.from_bnn_pynq` a folder of parameters of BNN-PYNQ. The last and
`host_train.data` need NumPy (and Pillow for CIFAR-10) only; everything else needs PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host_train.foreign.bnn_pynq import from_bnn_pynq
    from host_train.foreign.onnx_file import from_onnx
    from host_train.tracing.convert import from_torch

__all__ = ["from_bnn_pynq", "from_onnx", "from_torch"]

PLACES = {
    "from_bnn_pynq": "host_train.foreign.bnn_pynq",
    "from_onnx": "host_train.foreign.onnx_file",
    "from_torch": "host_train.tracing.convert",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, loaded on first use, as most of them need PyTorch."""
    if name not in PLACES:
        raise AttributeError(f"module 'host_train' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
