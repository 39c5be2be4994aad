"""Fully connected layer on bytes (docs/contract/numerics.md, section 2): a convolution whose kernel is
its whole input."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import Dense, TensorType

KINDS[Dense] = 1


@describe.register
def _(layer: Dense, words: Words, *given: TensorType) -> None:
    words.window(given[0].shape[:2], (1, 1), (0, 0, 0, 0))
    words.numbers(1, 1, 1)  # dilation, groups
    words.octets(layer.weight)
    words.array(layer.bias)
    words.skip(layer.skip, layer.outputs)
    words.finish(layer.requantisation, layer.threshold, layer.outputs)
