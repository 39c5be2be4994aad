"""The network as a step of training computes it: its precision, its memory format, compiled or not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from host_train.reason import reason_of
from host_train.training.processes import ALONE, Processes
from host_train.training.schedule import Schedule


def has_bfloat16(device: torch.device) -> bool:
    """Whether layers run faster in bfloat16 there: on GPUs and CPUs that multiply it themselves."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # older ones emulate it
    if device.type != "cpu":
        return False
    capabilities: dict[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # from torch 2.9 on; without it, say no
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def _compiled(model: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """`model` compiled; as it is, with a warning, where torch cannot compile even a sum: it takes a compiler and
    headers of its own.
    """

    def probe(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(probe)(torch.zeros(2, device=device))
    except Exception as error:  # of many kinds, by what is missing
        warnings.warn(
            f"training is not compiled, and slower: torch.compile fails here ({reason_of(error)}); install g++ and"
            " python3-dev",
            stacklevel=4,
        )
        return model
    return torch.compile(model)


@dataclass(frozen=True, eq=False)
class Forward:
    """The network as a step of training computes it: the same weights, in the precision and form that the schedule asks
    for.
    """

    run: Callable[[torch.Tensor], torch.Tensor]
    memory_format: torch.memory_format
    bfloat16: bool

    @classmethod
    def of(cls, model: nn.Module, schedule: Schedule, device: torch.device, processes: Processes = ALONE) -> Forward:
        own = processes.network(model, device)
        if not schedule.compiled:
            return cls(processes.averaging(own), torch.contiguous_format, schedule.bfloat16 and has_bfloat16(device))
        run = _compiled(own, device)
        # How the fast convolutions want 4-D tensors; sums are taken in another order, so only where the schedule asks
        # for it.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(processes.averaging(run), torch.channels_last, schedule.bfloat16 and has_bfloat16(device))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, torch.bfloat16) if self.bfloat16 else nullcontext():
            return self.run(images.contiguous(memory_format=self.memory_format)).float()
