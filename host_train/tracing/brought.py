"""Objects that people bring in the place of a model: taken for the model that they hold, or refused with advice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pynq_cnn.errors import ArgumentError, NetworkError

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
# Packages of PyTorch whose modules compute with integers, or watch in order to.
INTEGER = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")
WATCHING = ("torch.ao.quantization.observer", "torch.ao.quantization.fake_quantize", "torch.ao.nn.qat")
BEFORE = "give from_torch the model as it was before, in float32; it finds the steps of integers itself"


def model_in(brought: Any) -> nn.Module:
    """The model in what was brought.

    Raises
    ------
    ArgumentError
        If it is no model.
    NetworkError
        If it is one whose layers cannot be seen, or that is in integers already.

    Examples
    --------
    >>> model_in(nn.DataParallel(nn.ReLU()))
    ReLU()
    >>> model_in("model.pt")
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.ArgumentError: model must be a torch.nn.Module, not the path 'model.pt'; make the model and load it
    """
    if isinstance(brought, PARALLEL):
        return model_in(brought.module)
    if isinstance(brought, torch.export.ExportedProgram):
        return brought.module()
    if not isinstance(brought, nn.Module):
        raise ArgumentError(f"model must be a torch.nn.Module, not {_told(brought)}")
    for name, module in brought.named_modules():
        kind, where = type(module), f"{name}: " if name else ""
        if isinstance(module, torch.jit.ScriptModule):
            raise NetworkError(
                f"{where}this is TorchScript, whose layers cannot be seen; give from_torch the model that it was made"
                " of, or write it by torch.onnx.export(model, images, FILE, dynamo=False) and give that to from_onnx"
            )
        if kind.__module__.startswith(INTEGER):
            raise NetworkError(f"{where}a {kind.__name__} of {kind.__module__} is in integers already; {BEFORE}")
        if kind.__module__.startswith(WATCHING):
            raise NetworkError(f"{where}a {kind.__name__} prepares the model for PyTorch's own integers; {BEFORE}")
    return brought


def _told(brought: Any) -> str:
    """A line that says which object it is, and what to do."""
    if isinstance(brought, Mapping):
        return "a state_dict; make the model and load it: model.load_state_dict(...)"
    if isinstance(brought, (str, os.PathLike)):
        file = os.fspath(brought)
        if str(file).endswith(".onnx"):
            return f"the path {file!r}; from_onnx takes ONNX files"
        return f"the path {file!r}; make the model and load it"
    if isinstance(brought, type) and issubclass(brought, nn.Module):
        return f"the class {brought.__name__}; give an object of it: {brought.__name__}()"
    return f"{brought!r:.60}"
