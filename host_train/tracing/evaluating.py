"""A model as it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model` in evaluation mode and without gradients; every module is afterwards in the mode in which it was."""
    modes = {module: module.training for module in model.modules()}
    with suppress(NotImplementedError):  # of an exported program, which has the mode that it was exported in
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
