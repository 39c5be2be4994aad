"""Any chain of shapes is mapped exactly, or refused."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import INPUTS
from torch import nn

from host_train.tracing.trace import trace


@st.composite
def reshapes(draw: st.DrawFn) -> list:
    """Functions that give an image [n, 4, 2, 3] other shapes, one behind the other, each written in one of several
    ways.
    """
    shape, steps = [4, 2, 3], []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["view", "flatten", "unsqueeze", "squeeze", "index", "split"]))
        if kind == "view":
            sides = list(draw(st.permutations(shape)))  # of the same numbers, another shape
            steps.append(lambda x, sides=tuple(sides): x.reshape(x.size(0), *sides))
            shape = sides
        elif kind == "flatten":
            start = draw(st.integers(0, len(shape) - 1))
            steps.append(lambda x, start=start + 1: x.flatten(start))
            shape = [*shape[:start], int(np.prod(shape[start:]))]
        elif kind == "unsqueeze":
            place = draw(st.integers(1, len(shape)))
            way = draw(st.booleans())
            steps.append(
                lambda x, place=place, way=way: x.unsqueeze(place) if way else x[(slice(None),) * place + (None,)]
            )
            shape = [*shape[: place - 1], 1, *shape[place - 1 :]]
        elif kind == "split" and shape[0] % 2 == 0:
            steps.append(lambda x: x.unflatten(1, (2, x.shape[1] // 2)))
            shape = [2, shape[0] // 2, *shape[1:]]
        elif 1 in shape and len(shape) > 1:
            place = shape.index(1) + 1
            steps.append(
                (lambda x, place=place: x.squeeze(place))
                if kind == "squeeze"
                else (lambda x, place=place: x[(slice(None),) * place + (0,)])
            )
            shape = [*shape[: place - 1], *shape[place:]]
    return steps


class Chain(nn.Module):
    def __init__(self, steps: list) -> None:
        super().__init__()
        self.conv, self.fc, self.steps = nn.Conv2d(1, 4, (7, 6)), nn.Linear(24, 3), steps

    def forward(self, x):
        x = F.relu(self.conv(x))
        for step in self.steps:
            x = step(x)
        return self.fc(x.flatten(1))


@settings(max_examples=60, deadline=None)
@given(reshapes())
def test_any_chain_of_shapes_that_ends_flat_is_a_flattening(steps):
    model = Chain(steps)
    traced = trace(model, INPUTS[:2])
    assert [type(layer).__name__ for layer in traced.layers] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    with torch.no_grad():
        assert torch.equal(traced.layers(INPUTS), model(INPUTS))
