"""Labelled batches of one's own: a DataLoader, any iterable of (inputs, labels), or two tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from host_train.training.augment import Augmentation
from host_train.training.processes import Processes
from host_train.training.tensors import EVALUATION_BATCH
from pynq_cnn.errors import ArgumentError

Pair = tuple[torch.Tensor, torch.Tensor]

ACCEPTED = (
    "a DataLoader, another iterable of (inputs, labels), or the two as tensors or arrays: inputs float, as the model"
    " takes them, labels the numbers of the classes"
)


class Loader:
    """Labelled inputs of a model, in batches, in any of the forms of `ACCEPTED`.

    What can be gone through but once, as a generator, is kept whole. Two tensors are cut in batches, which are shuffled
    in training; anything else says itself how its batches are made and shuffled. Augmentation is the loader's.

    Parameters
    ----------
    data : iterable or pair
        The batches, or inputs float [n, ...] and labels integer [n].
    device : str
        torch's, where batches go.

    Raises
    ------
    ArgumentError
        For another form, or if there is no batch.

    Examples
    --------
    >>> data = Loader((torch.zeros(5, 3), [0, 1, 0, 1, 1]))
    >>> len(data), [len(labels) for _, labels in data.batches()], data.steps(2)
    (5, [5], 2)
    """

    def __init__(self, data: Any, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.pair: Pair | None = None
        self.data: Iterable[Any] = ()
        if isinstance(data, (str, bytes, dict, torch.Tensor, np.ndarray)) or not isinstance(data, Iterable):
            raise ArgumentError(f"data must be {ACCEPTED}; not {data!r:.60}")
        if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], (torch.Tensor, np.ndarray)):
            self.pair = _checked(data)
            self.count = len(self.pair[1])
        else:
            self.data = list(data) if isinstance(data, Iterator) else data
            sizes = [len(labels) for _, labels in self.batches()]
            self.count, self.own_steps = sum(sizes), len(sizes)
        if not self.count:
            raise ArgumentError(f"there are no images; data must be {ACCEPTED}")

    def __len__(self) -> int:
        return self.count

    def batches(self) -> Iterator[Pair]:
        """Inputs and labels on the device."""
        whole = self.data if self.pair is None else zip(*(one.split(EVALUATION_BATCH) for one in self.pair))
        for one in whole:
            inputs, labels = _checked(one)
            if len(labels):
                yield inputs.to(self.device), labels.to(self.device)

    def steps(self, batch: int) -> int:
        """Batches of an epoch of training; `batch` counts where they are made here."""
        return len(self.epoch(batch)) if self.pair is not None else self.own_steps

    def epoch(self, batch: int) -> Sequence[Any]:
        """The batches of one epoch of training, for `taken`; of two tensors all but what fills none, shuffled."""
        if self.pair is None:
            return _Counted(self)
        size = min(batch, self.count)
        order = torch.randperm(self.count)[: self.count // size * size]
        return [tuple(one[chosen].to(self.device) for one in self.pair) for chosen in order.split(size)]

    def size(self, chosen: Any) -> int:
        """Images in one of the batches."""
        return len(chosen[1])

    def taken(self, chosen: Any, augmentation: Augmentation, processes: Processes) -> tuple[Any, Any, Any]:
        """Images, the model's inputs and labels of one of the batches; images are the inputs."""
        inputs, labels = chosen
        return inputs, inputs, labels


class _Counted(Sequence[Any]):
    """The batches of a loader, which are as many as last time."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return self.loader.own_steps

    def __iter__(self) -> Iterator[Pair]:
        return self.loader.batches()

    def __getitem__(self, index: Any) -> Any:
        raise IndexError(index)


def _checked(batch: Any) -> Pair:
    """Inputs and labels as tensors; `ArgumentError` if they are none."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        what = f"{len(batch)} things" if isinstance(batch, (tuple, list)) else f"a {type(batch).__name__}"
        raise ArgumentError(f"data must be {ACCEPTED}; a batch of it is {what}")
    try:
        inputs, labels = (torch.as_tensor(one) for one in batch)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"data must be {ACCEPTED}; a batch of it is no numbers: {error}") from error
    if not inputs.is_floating_point():
        raise ArgumentError(
            f"inputs must be floats as the model takes them, not {inputs.dtype}; divide bytes by 255 and normalise them"
        )
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ArgumentError(
            f"labels must be integers [n], the numbers of the classes, not {labels.dtype} {(*labels.shape,)}"
        )
    if inputs.ndim < 2 or len(inputs) != len(labels):
        raise ArgumentError(f"there must be a label for each input, not {len(labels)} for {(*inputs.shape,)}")
    return inputs, labels.long()
