"""Average pooling: how one is drawn, its loops, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from layers.rule import Drawing, Values, naive, naive_finish, zero_of
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, AvgPool2d, Requantisation, TensorType
from pynq_cnn.model.tensor import bytes_of


def draw_avgpool(drawing: Drawing, name: str, given: TensorType, **options) -> AvgPool2d:
    """Any average pooling over a tensor of bytes, to bytes."""
    size, padding = drawing.window(given.shape, 6)
    area, stride = size[0] * size[1], (drawing.integer(1, 3), drawing.integer(1, 3))
    zero = drawing.integer(0, 255) if drawing.chance(2) else 0
    constants = Requantisation(np.array([65535 // area], np.uint16), np.array([16], np.uint8), zero, zero)
    if drawing.chance(3):
        constants = drawing.requantisation(area, given.shape[2])
    return AvgPool2d(name, size, stride, constants, -area * given.zero_point[0], padding, **options)


@naive.register
def _(layer: AvgPool2d, given: tuple[TensorType, ...], values: Values) -> Values:
    """Section 7."""
    (top, left, bottom, right), height, width = layer.padding, len(values), len(values[0])
    result = []
    for y in range((height + top + bottom - layer.size[0]) // layer.stride[0] + 1):
        result.append([])
        for x in range((width + left + right - layer.size[1]) // layer.stride[1] + 1):
            pixel = []
            for c in range(given[0].shape[2]):
                acc = layer.bias
                for i in range(layer.size[0]):
                    for j in range(layer.size[1]):
                        row, column = y * layer.stride[0] - top + i, x * layer.stride[1] - left + j
                        inside = 0 <= row < height and 0 <= column < width
                        acc += values[row][column][c] if inside else zero_of(given[0], c)
                pixel.append(naive_finish(acc, layer, c))
            result[-1].append(pixel)
    return result


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: AvgPool2d("a", (2, 0), (1, 1)), "a.size"),
        (lambda: AvgPool2d("a", 2, 1, bias=2**25), "a.bias"),
        (lambda: AvgPool2d("a", 2, 1, padding=(0, 2)), "a.padding"),
        (lambda: AvgPool2d("a", (2, 2), (1, 1), "no"), "a.requantisation"),
        (
            lambda: AvgPool2d("a", 2, 1, Requantisation(*np.ones((1, 3), np.uint16), np.ones(3, np.uint8))).output(
                bytes_of((2, 2, 4))
            ),
            "4 values",
        ),
        (lambda: AvgPool2d("a", 2, 1).output(TensorType(BIT, (3, 9, 1))), "a takes uint8"),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()
