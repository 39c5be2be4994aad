"""Random networks that keep the arithmetic contract, for property tests. Built from docs/contract/numerics.md, not
from the code under test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from layers.rule import Drawing, random_requantisation, random_weights
from layers.test_avgpool import draw_avgpool
from layers.test_binary import draw_binary
from layers.test_conv2d import draw_conv2d
from layers.test_dense import draw_dense
from layers.test_maxpool import draw_maxpool

from pynq_cnn.model import (
    BIT,
    UINT8,
    AvgPool2d,
    BinaryConv2d,
    Concat,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Skip,
    Threshold,
)
from pynq_cnn.model.colors import COLORS
from pynq_cnn.model.layers import INPUT


@st.composite
def outputs_of(draw: st.DrawFn, scale: np.ndarray) -> tuple[OutputSpec, tuple[str, ...]]:
    """An output of any kind that goes with so many logits, and its classes."""
    kind = draw(st.sampled_from(["independent", "values", "sigmoid" if len(scale) == 1 else "softmax"]))
    output = OutputSpec(scale, np.zeros(len(scale), np.float32), kind)
    return output, tuple(map(str, range(output.classes)))


@st.composite
def colors(draw: st.DrawFn) -> tuple[str, int]:
    """The channels of an input, and their number."""
    color = draw(st.sampled_from([*COLORS, "plain"]))
    return color, COLORS.get(color) or draw(st.integers(1, 6))


@st.composite
def networks(draw: st.DrawFn, max_side: int = 20, max_channels: int = 40) -> Network:
    """A small random network of one to four layers and a dense or convolutional last one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = st.sampled_from(["small", "full", "extreme", "zero"])
    requantisations = st.sampled_from(["spread", "spread", "saturating", "any"])
    color, channels = draw(colors())
    shape = (draw(st.integers(1, max_side)), draw(st.integers(1, max_side)), channels)
    zero_point = tuple(draw(st.integers(0, 255)) for _ in range(channels)) if draw(st.booleans()) else (0,) * channels
    spec = InputSpec(*shape, color, (0.5,) * channels, (0.5,) * channels, zero_point=zero_point)
    layers: list = []

    def bias(outputs: int) -> np.ndarray:
        return rng.integers(-(2**20), 2**20, outputs, dtype=np.int32)

    for i in range(draw(st.integers(0, 3))):
        if layers and draw(st.booleans()) and min(shape[:2]) > 1:
            size = draw(st.integers(1, min(3, *shape[:2])))
            layer = MaxPool2d(f"pool{i}", size, draw(st.integers(1, 3)))
        elif layers and draw(st.integers(0, 4)) == 0 and max(shape[:2]) <= 11:
            size, stride = (tuple(draw(st.integers(1, side)) for side in shape[:2]) for _ in range(2))
            area = size[0] * size[1]
            one = Requantisation(np.array([65535 // area], np.uint16), np.array([16], np.uint8))
            layer = AvgPool2d(
                f"avg{i}", size, stride, draw(st.sampled_from([one, random_requantisation(rng, area, shape[2], "any")]))
            )
        else:
            kernel = [draw(st.integers(1, 11)) for _ in range(2)]
            padding = [draw(st.integers(0, k - 1)) for k in kernel]
            # Large enough a padding that the kernel fits its padded input.
            kernel = [min(k, side + 2 * p) for k, p, side in zip(kernel, padding, shape)]
            padding = [min(p, k - 1) for p, k in zip(padding, kernel)]
            kernel = [min(k, side + 2 * p) for k, p, side in zip(kernel, padding, shape)]
            padding = [min(p, k - 1) for p, k in zip(padding, kernel)]
            if any(k > side + 2 * p for k, p, side in zip(kernel, padding, shape)):
                kernel, padding = [1, 1], [0, 0]
            outputs = draw(st.integers(1, max_channels))
            weight = random_weights(rng, (outputs, *kernel, shape[2]), draw(weights))
            requantisation = random_requantisation(rng, weight[0].size, outputs, draw(requantisations))
            stride = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
            layer = Conv2d(f"conv{i}", weight, bias(outputs), stride, (padding[0], padding[1]), requantisation)
        layers.append(layer)
        shape = layer.output_shape(shape)

    if draw(st.booleans()):
        inputs = shape[0] * shape[1] * shape[2]
        if draw(st.booleans()):
            outputs = draw(st.integers(1, max_channels))
            weight = random_weights(rng, (outputs, inputs), draw(weights))
            layers.append(
                Dense(
                    "hidden", weight, bias(outputs), random_requantisation(rng, inputs, outputs, draw(requantisations))
                )
            )
            inputs = outputs
        classes = draw(st.integers(1, max_channels))
        layers.append(Dense("last", random_weights(rng, (classes, inputs), draw(weights)), bias(classes)))
    else:  # a convolution over all that is left, which gives 1 x 1
        if max(shape[:2]) > 11:
            layers.append(
                MaxPool2d(
                    "shrink",
                    max(shape[:2]) // 11 + 1 if min(shape[:2]) > max(shape[:2]) // 11 else 1,
                    max(shape[:2]) // 11 + 1,
                )
            )
            shape = layers[-1].output_shape(shape)
        classes = draw(st.integers(1, max_channels))
        if max(shape[:2]) > 11:
            layers.append(
                Dense("last", random_weights(rng, (classes, int(np.prod(shape))), draw(weights)), bias(classes))
            )
        else:
            layers.append(Conv2d("last", random_weights(rng, (classes, *shape), draw(weights)), bias(classes)))
    scale = rng.uniform(0.01, 1.0, classes).astype(np.float32)
    return Network("random", spec, tuple(layers), *draw(outputs_of(scale)))


@st.composite
def binary_networks(draw: st.DrawFn, max_side: int = 12, max_channels: int = 70) -> Network:
    """A small random network of bits: bytes to bits, binary layers and pools, and a last binary layer over all that is
    left.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, max_side)), draw(st.integers(1, max_side)), 1)
    spec = InputSpec(*shape, "L", (0.5,), (0.5,))
    outputs = draw(st.integers(1, max_channels))
    weight = random_weights(rng, (outputs, 1, 1, 1), "full")
    threshold = Threshold(rng.integers(-5000, 5000, outputs, dtype=np.int32))
    layers: list = [Conv2d("first", weight, rng.integers(-5000, 5000, outputs, dtype=np.int32), threshold=threshold)]
    shape = layers[-1].output_shape(shape)
    for i in range(draw(st.integers(0, 3))):
        if draw(st.booleans()) and min(shape[:2]) > 1:
            layers.append(MaxPool2d(f"pool{i}", draw(st.integers(1, 2)), draw(st.integers(1, 2))))
        else:
            kernel = [draw(st.integers(1, min(5, side))) for side in shape[:2]]
            padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
            outputs, stride = draw(st.integers(1, max_channels)), (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
            taps = kernel[0] * kernel[1] * shape[2]
            threshold = Threshold(rng.integers(-taps, taps, outputs, dtype=np.int32, endpoint=True))
            signs = rng.integers(-1, 1, (outputs, *kernel, shape[2]))
            layers.append(
                BinaryConv2d.from_signs(f"binary{i}", signs, stride=stride, padding=padding, threshold=threshold)
            )
        shape = layers[-1].output_shape(shape)
    classes = draw(st.integers(1, 10))
    layers.append(BinaryConv2d.from_signs("last", rng.integers(-1, 1, (classes, *shape))))
    return Network("bits", spec, tuple(layers), *draw(outputs_of(np.ones(classes, np.float32))))


@st.composite
def graphs(draw: st.DrawFn, max_side: int = 12, layers: int = 8) -> Network:
    """A random network of every kind of layer: branches, residuals, concatenations, bytes and bits side by side.

    Bits become bytes again by no layer: what is left of them at the end is joined by a binary layer over its whole
    image, which is then the last. Otherwise all that nothing takes yet is brought to 1 x 1 by dense layers, joined, and
    taken by the last one.
    """
    drawing = Drawing(draw)
    color, channels = draw(colors())
    zero_point = tuple(drawing.integer(0, 255) for _ in range(channels))
    spec = InputSpec(
        drawing.integer(1, max_side), drawing.integer(1, max_side), channels, color, (0.5,) * channels,
        (0.5,) * channels, zero_point=zero_point,
    )  # fmt: skip
    tensors, made, loose = {INPUT: spec.tensor}, [], {INPUT}
    only_bits = drawing.chance(4)

    def add(layer: Any) -> str:
        inputs = layer.inputs or (made[-1].name if made else INPUT,)
        tensors[layer.name] = layer.output(*(tensors[name] for name in inputs))
        made.append(layer)
        loose.difference_update(inputs)
        loose.add(layer.name)
        return layer.name

    for i in range(drawing.integer(1, layers)):
        name = draw(st.sampled_from(sorted(tensors)))
        if drawing.chance(2):
            name = made[-1].name if made else INPUT
        given, at = tensors[name], {"inputs": (name,)} if not made or made[-1].name != name else {}
        same = [n for n, t in tensors.items() if t.shape[:2] == given.shape[:2] and t.zero_point == given.zero_point]
        same = [n for n in same if tensors[n].datatype is given.datatype and sum(tensors[n].shape) < 60]
        kind = drawing.integer(0, 7)
        if kind == 0 and len(same) and given.shape[2] < 60:
            add(Concat(f"concat{i}", (name, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=2)))))
        elif kind == 1:
            add(draw_maxpool(drawing, f"max{i}", given, **at))
        elif given.datatype is BIT:
            add(draw_binary(drawing, f"binary{i}", given, drawing.integer(1, 70), **at))
        elif kind == 2:
            add(draw_avgpool(drawing, f"average{i}", given, **at))
        elif kind == 3:
            add(draw_dense(drawing, f"dense{i}", given, drawing.integer(1, 40), **at))
        else:
            layer = draw_conv2d(drawing, f"conv{i}", given, only_bits or drawing.chance(6), **at)
            shape = layer.output_shape(given.shape)
            skips = [n for n, t in tensors.items() if t.shape == shape and t.datatype is UINT8]
            if skips and drawing.chance(2):
                multiplier = drawing.rng.integers(
                    0, 65536, drawing.draw(st.sampled_from([1, shape[2]])), dtype=np.uint16
                )
                skip = draw(st.sampled_from(skips))
                layer = replace(layer, skip=Skip(multiplier), inputs=(name, skip))
            add(layer)

    classes = drawing.integer(1, 10)
    bits = sorted(name for name in loose if tensors[name].datatype is BIT)
    if bits:  # one tensor of them is the last one's; the others, and what they are of, are left out
        keep, wanted = [], {bits[0]}
        for layer, before in reversed(list(zip(made, [INPUT, *(layer.name for layer in made)]))):
            if layer.name in wanted:
                inputs = layer.inputs or (before,)
                keep.insert(0, replace(layer, inputs=inputs))
                wanted.update(inputs)
        shape = tensors[bits[0]].shape
        signs = drawing.rng.integers(-1, 1, (classes, *shape))
        made = [*keep, BinaryConv2d.from_signs("last", signs, inputs=(bits[0],))]
    else:
        ends = [
            add(replace(draw_dense(drawing, f"end{i}", tensors[name], drawing.integer(1, 20)), inputs=(name,)))
            for i, name in enumerate(sorted(loose - {INPUT}))
        ]
        ends = [
            add(
                Conv2d(
                    f"even{i}",
                    drawing.weights((2, 1, 1, tensors[name].shape[2])),
                    drawing.bias(2),
                    requantisation=Requantisation(np.array([999], np.uint16), np.array([18], np.uint8)),
                    inputs=(name,),
                )  # fmt: skip
            )
            for i, name in enumerate(ends)
        ]
        if len(ends) > 1:
            add(Concat("join", tuple(ends)))
        add(draw_dense(drawing, "last", tensors[made[-1].name], classes, last=True))
    scale = drawing.rng.uniform(0.01, 1.0, classes).astype(np.float32)
    return Network("graph", spec, tuple(made), *draw(outputs_of(scale)))


def random_images(network: Network, n: int, seed: int) -> np.ndarray:
    """uint8 [n, h, w, c]: noise, then one all 0 and one all 255."""
    images = np.random.default_rng(seed).integers(0, 256, (n, *network.input_shape), dtype=np.uint8)
    images[0], images[-1] = 0, 255
    return images
