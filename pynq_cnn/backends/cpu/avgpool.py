"""Average pooling (docs/contract/numerics.md, section 7)."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import AvgPool2d, TensorType

KINDS[AvgPool2d] = 4


@describe.register
def _(layer: AvgPool2d, words: Words, *given: TensorType) -> None:
    words.window(layer.size, layer.stride, layer.padding)
    words.numbers(layer.bias)
    words.finish(layer.requantisation, None, given[0].shape[2])
