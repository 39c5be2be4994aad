"""The engine has no instruction for concatenation: refused by name."""

from __future__ import annotations

from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.model import Concat


@add.register
def _(layer: Concat, so_far: Lowering) -> None:
    raise refusal("concatenation", so_far)
