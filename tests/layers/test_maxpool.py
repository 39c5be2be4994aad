"""Max pooling: how one is drawn, its loops, what it refuses."""

from __future__ import annotations

import pytest

from layers.rule import Drawing, Values, naive
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, INT32, MaxPool2d, TensorType
from pynq_cnn.model.tensor import bytes_of


def draw_maxpool(drawing: Drawing, name: str, given: TensorType, **options) -> MaxPool2d:
    """Any max pooling over a tensor of bytes or bits."""
    size, padding = drawing.window(given.shape, 4)
    return MaxPool2d(name, size, (drawing.integer(1, 3), drawing.integer(1, 3)), padding, **options)


@naive.register
def _(layer: MaxPool2d, given: tuple[TensorType, ...], values: Values) -> Values:
    """Section 4: the largest of the window's values that lie inside the image."""
    (top, left, bottom, right), height, width = layer.padding, len(values), len(values[0])
    result = []
    for y in range((height + top + bottom - layer.size[0]) // layer.stride[0] + 1):
        result.append([])
        for x in range((width + left + right - layer.size[1]) // layer.stride[1] + 1):
            rows = [y * layer.stride[0] - top + i for i in range(layer.size[0])]
            columns = [x * layer.stride[1] - left + j for j in range(layer.size[1])]
            inside = [values[r][c] for r in rows for c in columns if 0 <= r < height and 0 <= c < width]
            result[-1].append([max(channel) for channel in zip(*inside)])
    return result


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: MaxPool2d("p", 0, 2), "p.size"),
        (lambda: MaxPool2d("p", 2, 256), "p.stride"),
        (lambda: MaxPool2d("p", 2, 2, (2, 0)), "p.padding .* smaller"),
        (lambda: MaxPool2d("p", 2, 2, "no"), "p.padding"),
        (lambda: MaxPool2d("p", 4, 2).output(bytes_of((3, 9, 1))), "larger than its padded input"),
        (lambda: MaxPool2d("p", 2, 2).output(TensorType(INT32, (3, 9, 1))), "p takes uint8 or bit"),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_it_gives_what_it_takes():
    pool = MaxPool2d("p", 2, 2)
    assert pool.output(TensorType(BIT, (4, 4, 3))) == TensorType(BIT, (2, 2, 3))
    assert pool.output(bytes_of((4, 4, 3), 7)) == bytes_of((2, 2, 3), 7)
