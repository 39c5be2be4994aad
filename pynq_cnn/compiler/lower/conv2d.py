"""A convolution of bytes, whole, in groups, or of each channel alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pynq_cnn.compiler.buffers import View
from pynq_cnn.compiler.instructions import Flag
from pynq_cnn.compiler.limits import fault_of
from pynq_cnn.compiler.lower.byte_kernel import Kernel, convolve
from pynq_cnn.compiler.lower.finish import finish, weight_sums
from pynq_cnn.compiler.lower.gather import gatherings, unchanged
from pynq_cnn.compiler.lower.lane_kernel import Window, depthwise
from pynq_cnn.compiler.lower.rule import Task, lower_layer, takes_pool
from pynq_cnn.compiler.lower.sparse_kernel import sparse
from pynq_cnn.compiler.stage import Finish, Stage, Step
from pynq_cnn.model import Conv2d

# What a stage costs besides its turns of the loop, spread over a few images: how finely groups are worked on depends on
# it.
STAGE_CYCLES = 20
MOST_BLOCKS = 64
MOST_WEIGHTS = 1 << 24  # of a block


@takes_pool.register
def _(layer: Conv2d) -> bool:
    return layer.skip is None


@lower_layer.register
def _(layer: Conv2d, task: Task) -> list[Step]:
    return lower_convolution(layer, task)


def lower_convolution(layer: Conv2d, task: Task) -> list[Step]:
    """The step of a convolution.

    Raises
    ------
    CompileError
        If a threshold leaves the accumulator's range.
    """
    sums = None if layer.threshold is None else weight_sums(layer.weight, layer.skip)
    try:
        done, flags = finish(layer.bias, layer.requantisation, layer.threshold, sums, layer.skip)
    except OverflowError:
        raise task.refuse("its sums reach over more than 2^31, too much to compare with a threshold") from None
    ways: list[tuple[Stage, ...]] = []
    if layer.depthwise:
        window = Window(layer.kernel, layer.stride, layer.dilation, layer.padding, task.pool)
        ways.append(depthwise(task, window, done, flags, layer.weight[..., 0]))
    blocks = [layer.groups] if layer.groups == 1 else _blocks(layer, task)
    ways += [_in_blocks(layer, task, done, flags, count) for count in blocks]
    if not ways:
        raise task.refuse(f"{layer.groups} groups are more than can be worked on in {MOST_BLOCKS} blocks")
    if layer.groups == 1:
        ways += _gathered(layer, task, done, flags)
    few = sparse(layer, task, done, flags) if layer.groups == 1 else ()
    fit = [stages for stages in ways if _fits(stages, task)]
    if not fit and few and _fits(few, task):
        return [Step(task.name, few)]
    best = min(fit or ways, key=lambda stages: _cost(stages, task))
    return [Step(task.name, best, few if _fits(few, task) else ())]


def _fits(stages: tuple[Stage, ...], task: Task) -> bool:
    return all(fault_of(stage, task.hardware) is None for stage in stages)


def _cost(stages: tuple[Stage, ...], task: Task) -> int:
    """Cycles of the batch, about."""
    total = 0
    for stage in stages:
        words = task.hardware.words_of_a_tile(stage.lane_unit) * stage.groups * stage.tiles_of_a_group
        total += task.images * (STAGE_CYCLES + stage.iterations(stage.groups, 0, stage.rows.count)) + words
    return total


def _blocks(layer: Conv2d, task: Task) -> list[int]:
    """Numbers of blocks that the groups can be worked on in: each has a stage, and weights of 0 between its groups."""
    outputs = layer.outputs // layer.groups
    counts = [count for count in range(1, min(layer.groups, MOST_BLOCKS) + 1) if layer.groups % count == 0]
    if layer.threshold is not None:
        counts = [count for count in counts if count == 1 or layer.groups // count * outputs % 8 == 0]
    # Of a block every output channel has a weight for every input channel.
    return [count for count in counts if layer.weight.size * (layer.groups // count) // count <= MOST_WEIGHTS]


def _kernel(layer: Conv2d, task: Task, weight: np.ndarray) -> Kernel:
    top, left = layer.padding[:2]
    return Kernel(weight, layer.stride, layer.dilation, (-top, -left), any(layer.padding), task.pool)


def _gathered(layer: Conv2d, task: Task, done: Finish, flags: Flag) -> Iterator[tuple[Stage, ...]]:
    """The stages of a convolution whose input's rows are gathered before."""
    hardware, images, given = task.hardware, task.images, task.given[0]
    height = task.node.gives.shape[0]
    kernel = _kernel(layer, task, layer.weight)
    for one in gatherings(task.name, kernel, given, height, hardware.feature_map_bytes, hardware.simd):
        first = convolve(
            task.name, one.gather, given, one.between, unchanged(one.between.channels), Flag.NONE, task.pads, None,
            hardware, images,
        )  # fmt: skip
        skip = task.given[1] if layer.skip is not None else None
        then = convolve(
            task.name, one.kernel, one.between, task.gives, done, flags, task.pads * one.rows, skip, hardware, images
        )
        yield first, then


def _in_blocks(layer: Conv2d, task: Task, done: Finish, flags: Flag, count: int) -> tuple[Stage, ...]:
    """The stages of a convolution in so many blocks of neighbouring groups."""
    groups = layer.groups // count  # of a block
    outputs, inputs = layer.outputs // layer.groups, layer.in_channels // layer.groups
    stages = []
    for block in range(count):
        first_out, first_in = block * groups * outputs, block * groups * inputs
        weight = layer.weight[first_out : first_out + groups * outputs]
        if groups > 1:
            merged = np.zeros((groups * outputs, *layer.kernel, groups * inputs), np.int8)
            for group in range(groups):
                out = slice(group * outputs, (group + 1) * outputs)
                merged[out, ..., group * inputs : (group + 1) * inputs] = weight[out]
            weight = merged
        kernel = _kernel(layer, task, weight)

        def part(view: View | None, first: int, channels: int) -> View | None:
            return None if view is None else view.part(first, channels)

        given = task.given[0].part(first_in, groups * inputs)
        skip = part(task.given[1], first_out, len(weight)) if layer.skip is not None else None
        stages.append(
            convolve(
                task.name,
                kernel,
                given,
                part(task.gives, first_out, len(weight)),
                replace(done, parameters=done.parameters[first_out : first_out + len(weight)]),
                flags,
                task.pads[first_in : first_in + groups * inputs],
                skip,
                task.hardware,
                task.images,
            )  # fmt: skip
        )
    return tuple(stages)
