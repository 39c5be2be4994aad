"""Concatenation: its loops, what it refuses."""

from __future__ import annotations

import pytest

from layers.rule import Values, naive
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, UINT8, Concat, TensorType
from pynq_cnn.model.tensor import bytes_of


@naive.register
def _(layer: Concat, given: tuple[TensorType, ...], *values: Values) -> Values:
    """Section 8."""
    return [[[v for pixel in pixels for v in pixel] for pixels in zip(*rows)] for rows in zip(*values)]


def both(a: TensorType, b: TensorType) -> TensorType:
    return Concat("c", ("a", "b")).output(a, b)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Concat("c", ("a",)), "two layers or more"),
        (lambda: Concat("c", "ab"), "c.inputs"),
        (lambda: both(bytes_of((4, 4, 1)), bytes_of((4, 3, 1))), "a gives uint8 4 x 4 x 1, and b uint8 4 x 3 x 1"),
        (lambda: both(bytes_of((4, 4, 1)), bytes_of((4, 4, 1), 3)), "b uint8 4 x 4 x 1, zero point 3"),
        (lambda: both(bytes_of((4, 4, 1)), TensorType(BIT, (4, 4, 1))), "b bit 4 x 4 x 1"),
        (lambda: Concat("c", ("a", "b")).output(bytes_of((4, 4, 1))), "takes 2 input"),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_every_channel_has_its_zero_point():
    """Of an input with one per channel; a grouped convolution behind it took three of them for six channels."""
    given = TensorType(UINT8, (4, 4, 3), (1, 2, 3))
    assert both(given, given) == TensorType(UINT8, (4, 4, 6), (1, 2, 3, 1, 2, 3))


def test_channels_add_up():
    assert both(bytes_of((4, 4, 3), 9), bytes_of((4, 4, 5), 9)) == bytes_of((4, 4, 8), 9)
