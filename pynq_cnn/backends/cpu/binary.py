"""Convolution of bits with bits (docs/contract/numerics.md, section 6)."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import BinaryConv2d, TensorType

KINDS[BinaryConv2d] = 2


@describe.register
def _(layer: BinaryConv2d, words: Words, *given: TensorType) -> None:
    words.window(layer.kernel, layer.stride, layer.padding)
    words.octets(layer.weight.astype("<u8"))
    words.finish(None, layer.threshold, layer.outputs)
