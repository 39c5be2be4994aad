"""Convolution on bytes: how one is drawn, its loops, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from layers.rule import Drawing, Values, naive, naive_finish, zero_of
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, Conv2d, Requantisation, Skip, TensorType, Threshold
from pynq_cnn.model.tensor import bytes_of

W = np.ones((2, 3, 3, 1), np.int8)
B = np.zeros(2, np.int32)
ONES = Requantisation(np.ones(2, np.uint16), np.ones(2, np.uint8))


def draw_conv2d(drawing: Drawing, name: str, given: TensorType, bits: bool, outputs: int = 9, **options) -> Conv2d:
    """Any convolution over a tensor of bytes, to bytes or bits."""
    channels = given.shape[2]
    groups = drawing.draw(st.sampled_from([1, 1, channels, next(g for g in (3, 2, 1) if channels % g == 0)]))
    per_group = 1 if groups == channels and drawing.chance(2) else drawing.integer(1, max(1, outputs // groups))
    dilation = (drawing.integer(1, 3), drawing.integer(1, 3)) if drawing.chance(4) else (1, 1)
    size, padding = drawing.window(given.shape, 5, dilation)
    shape = (groups * per_group, *size, channels // groups)
    stride = (drawing.integer(1, 3), drawing.integer(1, 3))
    count, fan_in = shape[0], int(np.prod(shape[1:]))
    finish = {"requantisation": drawing.requantisation(fan_in, count)}
    if bits:
        finish = {"threshold": Threshold(drawing.rng.integers(-(2**16), 2**16, count, dtype=np.int32))}
    weight, bias = drawing.weights(shape), drawing.bias(count)
    return Conv2d(name, weight, bias, stride, padding, dilation=dilation, groups=groups, **finish, **options)


@naive.register
def _(layer: Conv2d, given: tuple[TensorType, ...], values: Values, *skipped: Values) -> Values:
    """Section 2."""
    out, kernel_h, kernel_w, per_group = layer.weight.shape
    height, width, weight = len(values), len(values[0]), layer.weight.tolist()
    (top, left, bottom, right), result = layer.padding, []
    for y in range((height + top + bottom - ((kernel_h - 1) * layer.dilation[0] + 1)) // layer.stride[0] + 1):
        result.append([])
        for x in range((width + left + right - ((kernel_w - 1) * layer.dilation[1] + 1)) // layer.stride[1] + 1):
            pixel = []
            for o in range(out):
                acc = int(layer.bias[o])
                if layer.skip is not None:
                    acc += int(layer.skip.multiplier[o % len(layer.skip.multiplier)]) * skipped[0][y][x][o]
                first = o // (out // layer.groups) * per_group
                for i in range(kernel_h):
                    for j in range(kernel_w):
                        row = y * layer.stride[0] - top + i * layer.dilation[0]
                        column = x * layer.stride[1] - left + j * layer.dilation[1]
                        for c in range(per_group):
                            inside = 0 <= row < height and 0 <= column < width
                            byte = values[row][column][first + c] if inside else zero_of(given[0], first + c)
                            acc += byte * weight[o][i][j][c]
                pixel.append(naive_finish(acc, layer, o))
            result[-1].append(pixel)
    return result


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Conv2d("c", W.astype(np.int16), B), "c.weight"),
        (lambda: Conv2d("c", np.full_like(W, -128), B), "-127"),
        (lambda: Conv2d("c", W[0], B), "c.weight"),
        (lambda: Conv2d("c", W.tolist(), B), "list"),
        (lambda: Conv2d("c", W[:0], B[:0]), "empty"),
        (lambda: Conv2d("c", W, B[:1]), "c.bias"),
        (lambda: Conv2d("c", W, B.astype(np.int64)), "int64"),
        (lambda: Conv2d("c", W, B, stride=(0, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, stride=(1.5, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, stride=(True, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, dilation=(256, 1)), "c.dilation"),
        (lambda: Conv2d("c", W, B, padding=(3, 0)), "smaller than the kernel"),
        (lambda: Conv2d("c", W, B, padding=(0, 0, 3, 0)), "smaller than the kernel"),
        (lambda: Conv2d("c", W, B, padding=(5, 0), dilation=2), r"kernel \(5, 5\)"),
        (lambda: Conv2d("c", W, B, padding=(-1, 0)), "c.padding"),
        (lambda: Conv2d("c", W, B, padding=(1, 0, 0)), "c.padding"),
        (lambda: Conv2d("c", W, B, groups=0), "c.groups"),
        (lambda: Conv2d("c", W, B, groups=3), "must divide its 2 output channels"),
        (lambda: Conv2d("c", W, B, requantisation=Requantisation(*np.ones((2, 3), np.uint16))), "shift"),
        (lambda: Conv2d("c", W[:1], B[:1], requantisation=ONES), "c.requantisation"),
        (lambda: Conv2d("c", W, B, requantisation="no"), "'no'"),
        (lambda: Conv2d("c/d", W, B), "'c/d'"),
        (lambda: Conv2d("..", W, B), r"'\.\.'"),
        (lambda: Conv2d("input", W, B), "no layer may be called 'input'"),
        (lambda: Conv2d("c", W, B, inputs="a"), "c.inputs"),
        (lambda: Conv2d("c", W, B, inputs=(1,)), "c.inputs"),
        (lambda: Conv2d("c", W, B, requantisation=ONES, threshold=Threshold(B)), "both"),
        (lambda: Conv2d("c", W, B, threshold=Threshold(B[:1])), "c.threshold"),
        (lambda: Conv2d("c", W, B, threshold=ONES), "c.threshold"),
        (lambda: Conv2d("c", W, B, skip=np.ones(2)), "c.skip"),
        (lambda: Conv2d("c", W, B, skip=Skip(np.ones(3, np.uint16))), "2 multipliers"),
        (lambda: Skip(np.ones(3, np.int32)), "multiplier"),
        (lambda: Conv2d("c", W, B).output(bytes_of((5, 5, 2))), "channels"),
        (lambda: Conv2d("c", W, B).output(bytes_of((2, 5, 1))), "larger than its padded input"),
        (lambda: Conv2d("c", W, B).output(TensorType(BIT, (5, 5, 1))), "c takes uint8, but .* gives bit"),
        (lambda: Conv2d("c", W, B).output(bytes_of((5, 5, 1)), bytes_of((3, 3, 2))), "takes 1 input"),
        (lambda: Conv2d("c", W, B, skip=Skip(np.ones(1, np.uint16))).output(bytes_of((5, 5, 1))), "takes 2 input"),
        (
            lambda: Conv2d("c", W, B, skip=Skip(np.ones(1, np.uint16))).output(
                bytes_of((5, 5, 1)), bytes_of((5, 5, 2))
            ),
            r"gives \(3, 3, 2\), but is to add \(5, 5, 2\)",
        ),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_a_skip_counts_in_the_bound_of_the_accumulator():
    """255 * (127 * 65000 + k) + bias: the first bias that could reach 2^31 is refused, the one before is not."""
    weight, skip = np.full((1, 1, 1, 65000), 127, np.int8), Skip(np.array([65535], np.uint16))
    room = 2**31 - 1 - 255 * (127 * 65000 + 65535)
    Conv2d("c", weight, np.array([room], np.int32), skip=skip)
    with pytest.raises(NetworkError, match="channel 0 could reach"):
        Conv2d("c", weight, np.array([room + 1], np.int32), skip=skip)


def test_it_keeps_its_own_read_only_arrays():
    weight = W.copy()
    layer = Conv2d("c", weight, B)
    weight[:] = 9
    assert (layer.weight == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0] = 2
    assert layer == Conv2d("c", W, B) != Conv2d("c", W * 2, B)
