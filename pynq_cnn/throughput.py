"""Throughput of a network on a backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ThroughputReport:
    """How fast a classifier is, and where the time goes. A measurement of this machine, now.

    Parameters
    ----------
    backend : str
        Which execution ran.
    images : int
        How many.
    seconds : float
        For all of them.
    steps : dict
        Seconds by step: for the overlay pack, flush, run, invalidate, unpack; for the kernel pack, run, unpack; for cpu
        and the reference run. Besides, logits.
    """

    backend: str
    images: int
    seconds: float
    steps: dict[str, float]

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return self.images / self.seconds

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {100 * value / self.seconds:.1f} %" for name, value in self.steps.items())
        return f"{self.backend}: {self.images_per_second:,.0f} images/s over {self.images} images ({parts})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "backend": self.backend,
            "images": self.images,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "steps": dict(self.steps),
        }
