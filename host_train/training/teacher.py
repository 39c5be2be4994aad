"""A trained network whose answers another one learns."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from host_train.training.forward import has_bfloat16


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network with its own normalisation.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode, on the device of the images.
    mean, std : torch.Tensor
        float32 [1, channels, 1, 1], of images in 0..1.
    """

    model: nn.Module
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], device: str = "cpu") -> Teacher:
        """From a model and its normalisation; the model is moved."""
        centre, spread = (torch.tensor(values, device=device).reshape(1, -1, 1, 1) for values in (mean, std))
        model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(model.eval().requires_grad_(False), centre, spread)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 [n, classes] for images in 0..1, in bfloat16 where the processor has it."""
        device = images.device
        fast = torch.autocast(device.type, torch.bfloat16) if has_bfloat16(device) else nullcontext()
        with torch.no_grad(), fast:
            normalised = (images - self.mean) / self.std
            return self.model(normalised.contiguous(memory_format=torch.channels_last)).float()

    def digest(self) -> str:
        """SHA-256 of its weights: another teacher makes another training.

        Examples
        --------
        >>> Teacher.of(nn.Linear(1, 1), (0.0,), (1.0,)).digest() == Teacher.of(nn.Linear(1, 1), (0.0,), (1.0,)).digest()
        False
        """
        total = hashlib.sha256()
        for name, value in self.model.state_dict().items():
            total.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return total.hexdigest()
