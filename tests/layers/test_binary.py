"""Convolution of bits: how one is drawn, its loops, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from layers.rule import Drawing, Values, naive, naive_finish
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, BinaryConv2d, TensorType, Threshold
from pynq_cnn.model.tensor import bytes_of

THRESHOLD = Threshold(np.zeros(2, np.int32))


def draw_binary(drawing: Drawing, name: str, given: TensorType, outputs: int, **options) -> BinaryConv2d:
    """Any convolution over a tensor of bits, to bits."""
    size, padding = drawing.window(given.shape)
    taps = size[0] * size[1] * given.shape[2]
    threshold = Threshold(drawing.rng.integers(-taps, taps, outputs, dtype=np.int32, endpoint=True))
    signs = drawing.rng.integers(-1, 1, (outputs, *size, given.shape[2]))
    stride = (drawing.integer(1, 2), drawing.integer(1, 2))
    return BinaryConv2d.from_signs(name, signs, stride=stride, padding=padding, threshold=threshold, **options)


@naive.register
def _(layer: BinaryConv2d, given: tuple[TensorType, ...], values: Values) -> Values:
    """Section 6 as it stands there: n - 2 * popcount(x ^ w) over the taps inside the image, on packed words."""

    def pack(bits: list) -> int:
        return sum(bit << c for c, bit in enumerate(bits))

    words, (top, left, bottom, right) = layer.weight.tolist(), layer.padding
    height, width, result = len(values), len(values[0]), []
    for y in range((height + top + bottom - layer.kernel[0]) // layer.stride[0] + 1):
        result.append([])
        for x in range((width + left + right - layer.kernel[1]) // layer.stride[1] + 1):
            pixel = []
            for o in range(layer.outputs):
                n = differing = 0
                for i in range(layer.kernel[0]):
                    for j in range(layer.kernel[1]):
                        row, column = y * layer.stride[0] - top + i, x * layer.stride[1] - left + j
                        if 0 <= row < height and 0 <= column < width:
                            n += layer.channels
                            w = sum(word << (64 * k) for k, word in enumerate(words[o][i][j]))
                            differing += bin(pack(values[row][column]) ^ w).count("1")
                pixel.append(naive_finish(n - 2 * differing, layer, o))
            result[-1].append(pixel)
    return result


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Threshold(np.zeros(2, np.int64)), "int64"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.uint64), 65), "b.weight"),
        (lambda: BinaryConv2d("b", np.full((2, 1, 1, 1), 1 << 63, np.uint64), 63), "past its 63 channels"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.int64), 64), "b.weight"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 0), np.uint64), 0), "b.channels"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.uint64), 3, padding=(1, 0)), "b.padding"),
        (
            lambda: BinaryConv2d.from_signs("b", np.ones((2, 1, 1, 3)), threshold=THRESHOLD).output(
                bytes_of((3, 3, 3))
            ),
            "b takes bit, but the layer before it gives uint8",
        ),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_it_gives_bits():
    layer = BinaryConv2d.from_signs("b", np.ones((2, 1, 1, 3)), threshold=THRESHOLD)
    assert layer.output(TensorType(BIT, (3, 3, 3))) == TensorType(BIT, (3, 3, 2))


def test_sign_of_zero_is_plus_one():
    signs = np.array([0.0, -0.0, 1e-30, -1e-30])[None, None, None]
    assert BinaryConv2d.from_signs("b", signs).signs().ravel().tolist() == [1, 1, 1, -1]
