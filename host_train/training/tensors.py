"""Images and labels as tensors, in normalised batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from host_train.data import Split
from host_train.training.augment import Augmentation
from host_train.training.processes import Processes
from pynq_cnn.errors import ArgumentError

EVALUATION_BATCH = 100  # small enough that activations stay near the core: of wide networks four times as fast as 1,000

ACCELERATOR_BATCH = 1000  # large enough to keep a GPU busy


@dataclass(frozen=True, eq=False)
class TensorData:
    """A split as tensors, with what normalises it.

    Parameters
    ----------
    images : torch.Tensor
        uint8 [n, channels, height, width].
    labels : torch.Tensor
        int64 [n].
    mean, std : torch.Tensor
        float32 [1, channels, 1, 1], of images in 0..1.
    """

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, split: Split, mean: tuple[float, ...], std: tuple[float, ...], device: str = "cpu") -> TensorData:
        """From NumPy's images uint8 [n, height, width, channels]."""
        images = torch.from_numpy(split.images.transpose(0, 3, 1, 2).copy()).to(device)
        centre, spread = (torch.tensor(values, device=device).reshape(1, -1, 1, 1) for values in (mean, std))
        return cls(images, torch.from_numpy(split.labels.copy()).to(device), centre, spread)

    def __len__(self) -> int:
        return len(self.labels)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(images - mean) / std of float images in 0..1."""
        return (images - self.mean) / self.std

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.images.device

    def steps(self, batch: int) -> int:
        """Batches of an epoch of training; `ArgumentError` if there is less than one."""
        if len(self) < batch:
            raise ArgumentError(
                f"there are {len(self)} images to train on, less than a batch of {batch}; lower the batch (--batch)"
            )
        return len(self) // batch

    def epoch(self, batch: int) -> Sequence[torch.Tensor]:
        """The indices of each batch of one epoch, shuffled by torch's generator; not of those that fill none."""
        return torch.randperm(len(self), device=self.device)[: len(self) // batch * batch].split(batch)

    def size(self, chosen: torch.Tensor) -> int:
        """Images in one of the batches."""
        return len(chosen)

    def taken(
        self, chosen: torch.Tensor, augmentation: Augmentation, processes: Processes
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """This process's share of the batch of indices: distorted images in 0..1, the same normalised, and labels."""
        part = processes.share(len(chosen))
        own = chosen[part]
        images = augmentation.apply(self.images[own].float() / 255, part, len(chosen))
        return images, self.normalise(images), self.labels[own]

    def batches(self, size: int | None = None) -> Any:
        """Normalised images and labels, in order; `size` of them at once, or as many as suit the device."""
        size = size or (EVALUATION_BATCH if self.images.device.type == "cpu" else ACCELERATOR_BATCH)
        for start in range(0, len(self), size):
            yield self.normalise(self.images[start : start + size].float() / 255), self.labels[start : start + size]
