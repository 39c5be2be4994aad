"""The reference against loops that transcribe docs/contract/numerics.md one number at a time, in Python's unbounded
integers.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import binary_networks, networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.reference import ExactMatrix, ReferenceBackend, requantise
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.model import AvgPool2d, BinaryConv2d, Conv2d, MaxPool2d, Network, Requantisation


def naive_requantise(acc: int, m: int, s: int) -> int:
    """Section 3. Python's >> is arithmetic on numbers of any size."""
    return min(max((acc * m + (1 << (s - 1))) >> s, 0), 255)


def naive_binary(layer: BinaryConv2d, values: list) -> list:
    """Section 6 as it stands there: n - 2 * popcount(x ^ w) over the taps inside the image, on packed words."""

    def pack(bits: list) -> int:
        return sum(bit << c for c, bit in enumerate(bits))

    words = layer.weight.tolist()
    height, width, result = len(values), len(values[0]), []
    for y in range((height + 2 * layer.padding[0] - layer.kernel[0]) // layer.stride[0] + 1):
        result.append([])
        for x in range((width + 2 * layer.padding[1] - layer.kernel[1]) // layer.stride[1] + 1):
            pixel = []
            for o in range(layer.outputs):
                n = differing = 0
                for i in range(layer.kernel[0]):
                    for j in range(layer.kernel[1]):
                        row, column = (
                            y * layer.stride[0] - layer.padding[0] + i,
                            x * layer.stride[1] - layer.padding[1] + j,
                        )
                        if 0 <= row < height and 0 <= column < width:
                            n += layer.channels
                            w = sum(word << (64 * k) for k, word in enumerate(words[o][i][j]))
                            differing += bin(pack(values[row][column]) ^ w).count("1")
                acc = n - 2 * differing
                pixel.append(acc if layer.threshold is None else int(acc >= int(layer.threshold.value[o])))
            result[-1].append(pixel)
    return result


def naive(network: Network, image: np.ndarray) -> list[int]:
    """Sections 1 to 5, pixel by pixel."""
    values = image.tolist()
    for layer in network.layers:
        if isinstance(layer, MaxPool2d):  # section 4
            rows = (len(values) - layer.size) // layer.stride + 1
            columns = (len(values[0]) - layer.size) // layer.stride + 1
            values = [
                [
                    [
                        max(
                            values[y * layer.stride + i][x * layer.stride + j][c]
                            for i in range(layer.size)
                            for j in range(layer.size)
                        )
                        for c in range(len(values[0][0]))
                    ]
                    for x in range(columns)
                ]
                for y in range(rows)
            ]
            continue
        if isinstance(layer, AvgPool2d):  # section 7
            rows = (len(values) - layer.size[0]) // layer.stride[0] + 1
            columns = (len(values[0]) - layer.size[1]) // layer.stride[1] + 1
            result = []
            for y in range(rows):
                result.append([])
                for x in range(columns):
                    pixel = []
                    for c in range(len(values[0][0])):
                        acc = 0
                        for i in range(layer.size[0]):
                            acc += sum(
                                values[y * layer.stride[0] + i][x * layer.stride[1] + j][c]
                                for j in range(layer.size[1])
                            )
                        if layer.requantisation is not None:
                            k = c % len(layer.requantisation.shift)
                            acc = naive_requantise(
                                acc, int(layer.requantisation.multiplier[k]), int(layer.requantisation.shift[k])
                            )
                        pixel.append(acc)
                    result[-1].append(pixel)
            values = result
            continue
        if isinstance(layer, BinaryConv2d):
            values = naive_binary(layer, values)
            continue
        weight, stride, pads, pad_value = layer.weight, (1, 1), (0, 0), None
        if isinstance(layer, Conv2d):
            stride, pads, pad_value = layer.stride, layer.padding, layer.pad_value
        else:  # a dense layer is the sum over the flattened input, HWC order
            values = [[[v for row in values for pixel in row for v in pixel]]]
            weight = weight[:, None, None, :]
        taps = weight.tolist()
        out, kernel_h, kernel_w, channels = weight.shape
        height, width = len(values), len(values[0])
        outside = [0] * channels if pad_value is None else pad_value.tolist()
        result = []
        for y in range((height + 2 * pads[0] - kernel_h) // stride[0] + 1):
            result.append([])
            for x in range((width + 2 * pads[1] - kernel_w) // stride[1] + 1):
                pixel = []
                for o in range(out):
                    acc = int(layer.bias[o])
                    for i in range(kernel_h):
                        for j in range(kernel_w):
                            row, column = y * stride[0] - pads[0] + i, x * stride[1] - pads[1] + j
                            source = values[row][column] if 0 <= row < height and 0 <= column < width else outside
                            acc += sum(a * b for a, b in zip(source, taps[o][i][j]))
                    if layer.requantisation is not None:
                        acc = naive_requantise(
                            acc, int(layer.requantisation.multiplier[o]), int(layer.requantisation.shift[o])
                        )
                    elif layer.threshold is not None:
                        acc = int(acc >= int(layer.threshold.value[o]))
                    pixel.append(acc)
                result[-1].append(pixel)
        values = result
    return values[0][0]


@settings(max_examples=60)
@given(networks(max_side=7, max_channels=5), st.integers(0, 2**16))
def test_reference_is_the_contract(network, seed):
    images = random_images(network, 2, seed)
    assert ReferenceBackend(network).run(images).tolist() == [naive(network, image) for image in images]


@settings(max_examples=60)
@given(binary_networks(max_side=6), st.integers(0, 2**16))
def test_reference_is_the_contract_for_bits(network, seed):
    images = random_images(network, 2, seed)
    assert ReferenceBackend(network).run(images).tolist() == [naive(network, image) for image in images]


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 65535), st.integers(1, 47))
def test_requantise(acc, m, s):
    constants = Requantisation(np.array([m], np.uint16), np.array([s], np.uint8))
    assert requantise(np.array([[acc]], np.int32), constants).tolist() == [[naive_requantise(acc, m, s)]]


@pytest.mark.parametrize("inputs", [500, 519, 1040, 4100, 4200, 66000])
def test_sums_are_exact_beyond_float32(inputs):
    """255 * 127 * 519 is the first that passes 2^24; an odd bias shows a lost last bit."""
    x, w = np.full((1, inputs), 255, np.uint8), np.full((1, inputs), 127, np.int8)
    assert (ExactMatrix.of(w).product(x) + np.array([1], np.int32)).item() == 255 * 127 * inputs + 1


@given(st.integers(1, 6000), st.sampled_from([1, 40, 127]), st.integers(0, 2**32 - 1))
def test_products_are_exact(inputs, largest, seed):
    """In one part, in several, and in float64."""
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 256, (2, inputs), np.uint8), rng.integers(-largest, largest + 1, (3, inputs), np.int8)
    matrix = ExactMatrix.of(w)
    assert np.array_equal(matrix.product(x), x.astype(np.int64) @ w.T.astype(np.int64))
    assert all(
        255 * np.abs(part).sum(0).max() < (2**24 if part.dtype == np.float32 else 2**53) for part in matrix.parts
    )


@settings(max_examples=20)
@given(networks(max_side=8, max_channels=6), st.integers(1, 7), st.integers(1, 4))
def test_batches_change_nothing(network, n, batch):
    images = random_images(network, n, 3)
    assert np.array_equal(ReferenceBackend(network, batch).run(images), ReferenceBackend(network).run(images))
    assert ReferenceBackend(network).run(images[:0]).shape == (0, len(network.output.scale))


def test_arguments():
    for batch in (0, -1, 65536, 1.5, True, "8"):
        with pytest.raises(ArgumentError, match="batch"):
            ReferenceBackend(NETWORK, batch)
    with pytest.raises(ArgumentError, match="network"):
        ReferenceBackend("lenet")
    with ReferenceBackend(NETWORK) as backend, pytest.raises(ArgumentError, match="uint8"):
        backend.run(np.zeros((1, 8, 8, 1)))
    with pytest.raises(BackendError, match="closed"):
        backend.run(np.zeros((1, 8, 8, 1), np.uint8))


def test_exact_matrices_take_no_wide_copies_of_the_weights():
    """Four bytes a weight for float32, and a quarter of that while their sums are bounded; it was 24 in all."""
    weight = np.ones((1000, 3000), np.int8)
    tracemalloc.start()
    ExactMatrix.of(weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * weight.size
