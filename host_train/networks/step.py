"""Costs of a step of training: memory that waits for the backward pass, and images a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.reason import reason_of
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import text_table


@dataclass(frozen=True)
class StepCost:
    """A step of training of one network.

    Parameters
    ----------
    name : str
        The network.
    input_shape : tuple of int
        (channels, height, width).
    batch : int
        Images in a step.
    kept_bytes : int
        Of the tensors that the forward pass keeps for the backward pass, each storage once, parameters aside.
    images_per_second : float
        Of forward pass, backward pass and AdamW's step together: the best of the steps that were timed.
    """

    name: str
    input_shape: tuple[int, int, int]
    batch: int
    kept_bytes: int
    images_per_second: float

    def to_json(self) -> dict[str, Any]:
        """As values for JSON."""
        return {**asdict(self), "input_shape": list(self.input_shape)}


def step_cost(
    model: nn.Module, name: str, input_shape: tuple[int, int, int], batch: int, device: str = "cpu", steps: int = 3
) -> StepCost:
    """Train `model` for a few steps on random images, and measure.

    Parameters
    ----------
    model : torch.nn.Module
        Float32 [n, channels, height, width] to logits. Its weights change.
    name : str
        What it is called.
    input_shape : tuple of int
        (channels, height, width).
    batch : int
        Images in a step.
    device : str
        torch's.
    steps : int
        To time, behind one that is not.

    Raises
    ------
    ArgumentError
        If the model does not take such images, or a count is below 1.

    Examples
    --------
    >>> cost = step_cost(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), "n", (1, 2, 2), 8)
    >>> cost.kept_bytes >= 4 * 8 * (4 + 3), cost.images_per_second > 0
    (True, True)
    """
    for what, value in (("batch", batch), ("steps", steps)):
        integer(what, value, 1)
    model = model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters())
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    best = 0.0
    try:
        images = torch.rand(batch, *input_shape, device=device)
        for number in range(steps + 1):
            start = perf_counter()
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                logits = model(images).reshape(batch, -1)
                loss = F.cross_entropy(logits, torch.zeros(batch, dtype=torch.int64, device=device))
            size = sum(kept.values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if device != "cpu":
                getattr(torch, device.split(":")[0]).synchronize()
            if number:
                best = max(best, batch / (perf_counter() - start))
            kept.clear()
    except RuntimeError as error:
        wanted = " x ".join(map(str, input_shape))
        raise ArgumentError(f"{name} does not train on {batch} images of {wanted}: {reason_of(error)}") from error
    return StepCost(name, input_shape, batch, size, best)


def compare_steps(costs: Sequence[StepCost]) -> str:
    """A line a network, with how many times those of the first they are.

    Examples
    --------
    >>> print(compare_steps([StepCost("a", (1, 8, 8), 4, 1000, 50.0), StepCost("b", (1, 8, 8), 4, 1500, 40.0)]))
    network      input  batch  bytes kept         images/s
    a        1 x 8 x 8      4       1,000  1.00x      50.0  1.00x
    b        1 x 8 x 8      4       1,500  1.50x      40.0  0.80x
    """
    rows: list[tuple[str, ...]] = [("network", "input", "batch", "bytes kept", "", "images/s", "")]
    for one in costs:
        rows.append(
            (
                one.name,
                " x ".join(map(str, one.input_shape)),
                str(one.batch),
                f"{one.kept_bytes:,}",
                f"{one.kept_bytes / costs[0].kept_bytes:.2f}x",
                f"{one.images_per_second:.1f}",
                f"{one.images_per_second / costs[0].images_per_second:.2f}x",
            )
        )
    return text_table(rows)
