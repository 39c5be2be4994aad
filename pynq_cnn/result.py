"""What a classification gives back."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pynq_cnn.errors import ArgumentError


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 probabilities of float32 logits along the last axis (docs/numerics.md, section 5).

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0], np.float32))
    array([0.5, 0.5])
    """
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Classification:
    """The answer for one picture. Prints as text, shows itself in Jupyter.

    Parameters
    ----------
    logits : numpy.ndarray
        float32 [classes], the same on every backend.
    classes : tuple of str
        Names.
    backend : str
        Which execution ran.
    seconds : float
        Wall-clock time for this picture, its share of the batch: reading and fitting it, running, and the copies between.
    seen : numpy.ndarray
        uint8 [height, width, channels], what the network was given.
    color : str
        Order of its channels, as of `InputSpec`.

    Examples
    --------
    >>> answer = Classification(np.array([0, 2], np.float32), ("cat", "dog"), "reference", 0.001, np.zeros((2, 2, 1), np.uint8))
    >>> answer.label, answer.index, round(answer.probability, 6)
    ('dog', 1, 0.880797)
    """

    logits: np.ndarray
    classes: tuple[str, ...]
    backend: str
    seconds: float
    seen: np.ndarray
    color: str = "RGB"

    @property
    def index(self) -> int:
        """The class with the largest logit, the first among equals."""
        return int(np.argmax(self.logits))

    @property
    def label(self) -> str:
        """Name of that class."""
        return self.classes[self.index]

    @property
    def probabilities(self) -> np.ndarray:
        """float64 [classes], the softmax of the logits."""
        return softmax(self.logits)

    @property
    def probability(self) -> float:
        """That of `label`."""
        return float(self.probabilities[self.index])

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, likeliest first; all if there are fewer.

        Raises
        ------
        ArgumentError
            If `k` is no integer from 0.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 0:
            raise ArgumentError(f"k must be an integer from 0, not {k!r}")
        probabilities = self.probabilities
        return [(self.classes[i], float(probabilities[i])) for i in np.argsort(-self.logits, kind="stable")[:k]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label,
            "index": self.index,
            "probability": self.probability,
            "probabilities": dict(zip(self.classes, self.probabilities.tolist())),
            "logits": self.logits.tolist(),
            "backend": self.backend,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        answer = f"label={self.label!r}, probability={self.probability:.4f}"
        return f"Classification({answer}, backend={self.backend!r}, seconds={self.seconds:.4f})"

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.top())
        bars = "\n".join(f"  {name.ljust(width)}  {100 * p:6.2f} %  {'#' * round(30 * p)}".rstrip() for name, p in self.top())
        return f"{self.label}  ({self.backend}, {1000 * self.seconds:.1f} ms)\n{bars}"

    def _repr_html_(self) -> str:
        pixels = self.seen[:, :, 0] if self.seen.shape[2] == 1 else self.seen
        if self.color == "BGR":
            pixels = pixels[:, :, ::-1]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
        source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        rows = "".join(
            f'<tr><td style="text-align:right">{html.escape(name)}</td><td style="width:160px;text-align:left">'
            f'<div style="background:#4a90d9;height:12px;width:{160 * p:.0f}px"></div></td><td>{100 * p:.1f} %</td></tr>'
            for name, p in self.top()
        )
        return (
            '<div style="display:flex;align-items:center;gap:16px">'
            f'<img src="{source}" alt="what the network saw" width="112" height="112" style="image-rendering:pixelated"/>'
            f"<div><b>{html.escape(self.label)}</b> "
            f"<small>{html.escape(self.backend)}, {1000 * self.seconds:.1f} ms</small><table>{rows}</table></div></div>"
        )
