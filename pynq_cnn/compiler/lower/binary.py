"""The engine has no instruction for bits: refused by name."""

from __future__ import annotations

from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.model import BinaryConv2d


@add.register
def _(layer: BinaryConv2d, so_far: Lowering) -> None:
    raise refusal("layers of bits", so_far)
