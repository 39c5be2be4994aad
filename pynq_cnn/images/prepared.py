"""A picture made into a network's input, with the steps on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pynq_cnn.model import InputSpec


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture made into a network's input. `classify` takes it in place of the picture.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 [spec.height, spec.width, spec.channels], contiguous.
    spec : InputSpec
        The input it was made for.
    steps : tuple of str
        The steps that made it of the picture, in order; "taken as it is" where nothing was.
    warnings : tuple of str
        Where something was assumed without evidence, or the picture is not like what the network knows. Empty as a
        rule.
    seconds : float
        How long it took.
    """

    pixels: np.ndarray
    spec: InputSpec
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Notes:
    """Steps and warnings, written down while a picture is prepared."""

    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Something was done to the picture."""
        self.steps.append(text)

    def warn(self, text: str) -> None:
        """Something about the picture is in doubt; the text says what to do."""
        self.warnings.append(text)

    def warn_all(self, texts: Iterable[str]) -> None:
        """Several of these."""
        self.warnings.extend(texts)
