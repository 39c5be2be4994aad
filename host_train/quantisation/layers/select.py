"""Values of an image put elsewhere: a convolution of zeros and ones, which gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from host_train.layers.padded import Sides
from host_train.layers.select import Select
from host_train.quantisation.fixed_point import fixed_point
from host_train.quantisation.layers.rules import absorbed, integer_layer, quantised, role, select_inputs
from host_train.quantisation.layers.state import Grid, Role, Values
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Conv2d, Requantisation

FAR = 255  # a stride that fits only once


@dataclass(frozen=True, eq=False)
class OneHot:
    """A convolution of which every output channel sees one value.

    Parameters
    ----------
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in] of 0 and 1.
    stride : tuple of int
        (vertical, horizontal).
    padding : tuple of int
        (top, left, bottom, right).
    """

    weight: np.ndarray
    stride: tuple[int, int]
    padding: Sides


def _along(offsets: np.ndarray, step: int, given: int, wanted: int) -> tuple[int, int, int, int]:
    """Along one side: where the kernel starts before the image, its length, its stride, and the padding behind.

    Parameters
    ----------
    offsets : numpy.ndarray
        Where the first value of each channel is, perhaps outside the image.
    step, given, wanted : int
        Distance of the values; sides of image and output.
    """
    before = max(0, -int(offsets.min(initial=0)))
    length = int(offsets.max(initial=0)) + before + 1
    behind = (wanted - 1) * step + length - before - given
    if behind < 0:  # the kernel is longer where more would fit
        longer = -behind if step == 1 else max(0, -behind - step + 1)
        length, behind = length + longer, 0
    # Each side is padded by less than the kernel: taps that are 0 make it longer.
    back = max(0, before - length + 1)
    front = max(0, behind - length + 1)
    return before + front, length + front + back, step, behind + back


def one_hot(index: np.ndarray, shape: tuple[int, ...]) -> OneHot:
    """The convolution that does what `Select` does to an image of `shape`; `NetworkError` if there is none.

    Examples
    --------
    >>> made = one_hot(np.array([[[5, 6]], [[1, 2]]]), (2, 1, 4))  # channels swapped, columns cut off
    >>> made.weight[:, 0].tolist(), made.padding
    ([[[0, 0], [0, 1], [0, 0]], [[0, 0], [1, 0], [0, 0]]], (0, 0, 0, 0))
    """
    channels, height, width = shape
    out, rows, columns = index.shape
    inside = index >= 0
    channel, row, column = index // (height * width), index // width % height, index % width
    y, x = np.arange(rows)[:, None], np.arange(columns)[None, :]
    down = _distance(row, inside, 1)
    right = _distance(column, inside, 2)
    seen = inside.any((1, 2))
    first = inside.reshape(out, -1).argmax(1)
    channel_of = channel.reshape(out, -1)[np.arange(out), first]
    row_of = row.reshape(out, -1)[np.arange(out), first] - first // columns * down
    column_of = column.reshape(out, -1)[np.arange(out), first] - first % columns * right
    there_y, there_x = row_of[:, None, None] + y * down, column_of[:, None, None] + x * right
    there = (there_y >= 0) & (there_y < height) & (there_x >= 0) & (there_x < width) & seen[:, None, None]
    again = np.where(there, (channel_of[:, None, None] * height + there_y) * width + there_x, -1)
    if not np.array_equal(again, index):
        raise NetworkError(
            "this selection of values is no convolution; only whole channels, every n-th row or column, cutting off and"
            " zeros around can be mapped"
        )
    top, tall, down, bottom = _along(row_of[seen], down if rows > 1 else FAR, height, rows)
    left, wide, right, far = _along(column_of[seen], right if columns > 1 else FAR, width, columns)
    weight = np.zeros((out, tall, wide, channels), np.int8)
    taken = np.flatnonzero(seen)
    weight[taken, row_of[taken] + top, column_of[taken] + left, channel_of[taken]] = 1
    return OneHot(weight, (down, right), (top, left, bottom, far))


def _distance(place: np.ndarray, inside: np.ndarray, axis: int) -> int:
    """Of neighbours along an axis; 1 if there are none."""
    along, valid = np.diff(place, axis=axis), inside
    both = np.take(valid, range(1, valid.shape[axis]), axis) & np.take(valid, range(valid.shape[axis] - 1), axis)
    found = along[both]
    return int(found[0]) if found.size and found[0] > 0 else 1


def zeros_around(select: Select) -> Sides | None:
    """The padding, where all that `select` does is to put zeros around an image; None if it does more."""
    index = select.index.cpu().numpy()
    inside = index >= 0
    rows, columns = inside.any((0, 2)).nonzero()[0], inside.any((0, 1)).nonzero()[0]
    if not len(rows):
        return None
    top, left, bottom, right = rows[0], columns[0], index.shape[1] - 1 - rows[-1], index.shape[2] - 1 - columns[-1]
    image = index[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    same = image.shape == select.shape and np.array_equal(image.reshape(-1), np.arange(image.size))
    return (int(top), int(left), int(bottom), int(right)) if same else None


def moved_channels(select: Select) -> tuple[list[int], int] | None:
    """The channel that each is taken from, -1 for zeros, and how many there are, where `select` takes whole channels;
    None if it does more.
    """
    index = select.index.cpu().numpy()
    count, height, width = select.shape
    pixels = height * width
    if index.shape[1:] != (height, width):
        return None
    whole = index.reshape(len(index), -1)
    first = whole[:, 0]
    if (first[first >= 0] % pixels).any():
        return None
    expected = np.where(first[:, None] >= 0, first[:, None] + np.arange(pixels), -1)
    if not np.array_equal(whole, expected):
        return None
    return [int(one) // pixels if one >= 0 else -1 for one in first], count


@role.register
def _(layer: Select, name: str) -> Role:
    return Role.MOVING


@absorbed.register
def _(layer: Select, user: nn.Module) -> nn.Module | None:
    return select_inputs(user, layer)


@quantised.register
def _(layer: Select, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: Select, name: str, behind: Values, given: Values) -> tuple[Conv2d, Values]:
    made = one_hot(layer.index.cpu().numpy(), given.image)
    ones = np.array([1.0])
    bias = -given.zero_point * made.weight.sum((1, 2, 3), dtype=np.int32)
    constants = Requantisation(*fixed_point(ones), given.zero_point)
    layer_ = Conv2d(name, made.weight, bias, made.stride, made.padding, constants, inputs=(given.source,))
    return layer_, replace(behind, image=behind.shape)
