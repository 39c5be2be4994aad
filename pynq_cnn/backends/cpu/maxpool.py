"""Max pooling (docs/contract/numerics.md, sections 4 and 6)."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import MaxPool2d, TensorType

KINDS[MaxPool2d] = 3


@describe.register
def _(layer: MaxPool2d, words: Words, *given: TensorType) -> None:
    words.window(layer.size, layer.stride, layer.padding)
