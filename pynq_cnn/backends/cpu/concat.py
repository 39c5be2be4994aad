"""Concatenation of channels (docs/contract/numerics.md, section 8)."""

from __future__ import annotations

from pynq_cnn.backends.cpu.plan import KINDS, Words, describe
from pynq_cnn.model import Concat, TensorType

KINDS[Concat] = 5


@describe.register
def _(layer: Concat, words: Words, *given: TensorType) -> None:
    """Which tensors, and what comes of them, is all there is to say."""
