"""Convolution on bytes (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import Conv2d, TensorType

KINDS[Conv2d] = 1


@describe.register
def _(layer: Conv2d, words: Words, *given: TensorType) -> None:
    words.window(layer.kernel, layer.stride, layer.padding)
    words.numbers(*layer.dilation, layer.groups)
    words.octets(layer.weight)
    words.array(layer.bias)
    words.skip(layer.skip, layer.outputs)
    words.finish(layer.requantisation, layer.threshold, layer.outputs)
