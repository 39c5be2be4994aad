"""Several processes that train one network: each takes its share of every batch, and all make the same step.

They are torchrun's. PyTorch's DistributedDataParallel averages their gradients, so that a batch is as large as without
them. What is drawn at random is drawn alike in all of them, for the whole batch: a network without batch norm and
without dropout is trained as by one process, but for rounding.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pynq_cnn.errors import ArgumentError

Value = TypeVar("Value")
PATIENCE = timedelta(hours=2)  # for the others: the first may fetch data, or measure, meanwhile


def count_processes() -> int:
    """How many torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class Processes:
    """The processes that train together, and which of them this is.

    Parameters
    ----------
    rank : int
        From 0; the first alone writes files, prints and shows progress.
    count : int
        How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the first of them."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This one's places in a batch, as many as every other's; `ArgumentError` if it cannot be divided.

        Examples
        --------
        >>> Processes(1, 4).share(128), Processes().share(3)
        (slice(32, 64, None), slice(0, 3, None))
        """
        if batch % self.count:
            raise ArgumentError(
                f"a batch of {batch} cannot be divided among {self.count} processes; give a multiple of {self.count}"
                " (--batch), or start another number of them"
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def network(self, model: nn.Module, device: torch.device) -> nn.Module:
        """`model`, where its batch norms can take their statistics over the whole batch a copy with such ones, of the
        same parameters and buffers: on CUDA. On a CPU each process normalises its share by itself.
        """
        norms = any(isinstance(one, _BatchNorm) for one in model.modules())
        if self.count == 1 or device.type != "cuda" or not norms:
            return model
        same = {id(one): one for one in (*model.parameters(), *model.buffers())}
        return nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model, same)).train()

    def averaging(self, run: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
        """`run`, a module where there are several, such that gradients are means over all processes."""
        if self.count == 1:
            return run
        assert isinstance(run, nn.Module)
        return nn.parallel.DistributedDataParallel(run)

    def align(self, model: nn.Module) -> None:
        """Give the buffers of all, such as batch norms' running statistics, the first one's values."""
        if self.count > 1:
            for one in model.buffers():
                dist.broadcast(one, 0)

    def total(self, *values: torch.Tensor) -> list[float]:
        """Sums of numbers over all processes."""
        if self.count > 1:
            for one in values:
                dist.all_reduce(one)
        return [one.item() for one in values]

    def from_first(self, make: Callable[[], Value]) -> Value:
        """The result of `make` in the first process, for all; where it fails there, it fails in all."""
        if self.count == 1:
            return make()
        made: list[tuple[Value | None, ArgumentError | None]] = [(None, None)]
        if self.first:
            try:
                made = [(make(), None)]
            except ArgumentError as error:
                made = [(None, error)]
        dist.broadcast_object_list(made, 0)
        value, failure = made[0]
        if failure is not None:
            raise failure
        return value  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()


@contextmanager
def together(device: str) -> Iterator[tuple[Processes, str]]:
    """A context in which torchrun's processes work together; without torchrun, or of one process, nothing is set up.

    Parameters
    ----------
    device : str
        torch's; of `"cuda"` each process takes a GPU of its own.

    Yields
    ------
    Processes, str
        Them, and this one's device.

    Raises
    ------
    ArgumentError
        For another device than `cpu` and `cuda`, more processes than GPUs, or processes that torchrun did not start.
    """
    count = count_processes()
    if count == 1:
        yield ALONE, device
        return
    if "LOCAL_RANK" not in os.environ:
        raise ArgumentError(f"WORLD_SIZE={count} is set, but not what torchrun sets besides: start the processes by it")
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", count))
    if device not in ("cpu", "cuda"):
        raise ArgumentError(f"{count} processes train on the CPU or each on a GPU: --device cpu or cuda, not {device}")
    if device == "cuda":
        if torch.cuda.device_count() < here:
            raise ArgumentError(
                f"{here} processes want a GPU each and there are {torch.cuda.device_count()}; start as many"
                " (--nproc-per-node), or train on the CPU (--device cpu)"
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    dist.init_process_group("gloo" if device == "cpu" else "nccl", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), count), device
    finally:
        dist.destroy_process_group()
