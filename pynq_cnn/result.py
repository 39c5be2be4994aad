"""The result of a classification."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.colors import PLAIN, as_shown
from pynq_cnn.model.output import answers, class_logits, probabilities

_SAYS = {
    "independent": "independent probabilities (see labels and probabilities)",
    "values": "plain values (see logits)",
}


def _duration(seconds: float) -> str:
    """In the unit that shows it.

    >>> _duration(0.11), _duration(0.0000345)
    ('110.0 ms', '34.5 us')
    """
    return f"{1e3 * seconds:.1f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.1f} us"


@dataclass(frozen=True, eq=False)
class Classification:
    """The answer for one picture. Prints as text, shows itself in Jupyter.

    Parameters
    ----------
    logits : numpy.ndarray
        float32 [outputs], the same on every backend; for plain values, these themselves.
    classes : tuple of str
        Names of the outputs; of one probability by sigmoid two, the second is what it is the probability of.
    backend : str
        Which execution ran.
    seconds : float
        Wall-clock time for this picture: reading and fitting it, and its share of what the whole batch took.
    run_seconds : float
        Its share of the run alone: the time in which the accelerator, or what stands in for it, computed.
    seen : numpy.ndarray
        uint8 [height, width, channels], what the network was given.
    color : str
        What its channels are, as of `InputSpec`.
    preparation : tuple of str
        The steps that prepared the picture, in order; see `pynq_cnn.images.prepare`.
    warnings : tuple of str
        Why the answer may be wrong; empty as a rule.
    kind : {"softmax", "sigmoid", "independent", "values"}
        Kind of the network's output, as of `OutputSpec`. Only the first two have one class as their answer: for the
        others `index` and `probability` raise ArgumentError, for plain values `probabilities` and `top` too.

    Examples
    --------
    >>> seen = np.zeros((2, 2, 1), np.uint8)
    >>> answer = Classification(np.array([0, 2], np.float32), ("cat", "dog"), "reference", 0.001, 0.0002, seen)
    >>> answer.label, answer.index, round(answer.probability, 6)
    ('dog', 1, 0.880797)
    >>> logits = np.array([3, -2, 1], np.float32)
    >>> tags = Classification(logits, ("sea", "dog", "sun"), "reference", 0.001, 0.0002, seen, kind="independent")
    >>> tags.labels, tags.label
    (('sea', 'sun'), 'sea, sun')
    """

    logits: np.ndarray
    classes: tuple[str, ...]
    backend: str
    seconds: float
    run_seconds: float
    seen: np.ndarray
    color: str = "RGB"
    preparation: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kind: str = "softmax"

    @property
    def index(self) -> int:
        """The class: that of the largest logit, the first among equals; of one sigmoid 1 if its probability is above
        0.5, else 0.
        """
        if self.kind not in ("softmax", "sigmoid"):
            raise ArgumentError(f"this network gives {_SAYS[self.kind]}, and no one class is its answer")
        return int(answers(self.logits, self.kind))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes that the answer is: one; of independent probabilities all above 0.5, perhaps none; of
        plain values none.
        """
        if self.kind == "independent":
            return tuple(name for name, is_there in zip(self.classes, answers(self.logits, self.kind)) if is_there)
        return () if self.kind == "values" else (self.classes[self.index],)

    @property
    def label(self) -> str:
        """The answer in words: `labels` with commas between, `none` if there is none; plain values as `name value`."""
        if self.kind == "values":
            return ", ".join(f"{name} {value:.6g}" for name, value in zip(self.classes, self.logits.tolist()))
        return ", ".join(self.labels) if self.labels else "none"

    @property
    def probabilities(self) -> np.ndarray:
        """float64 [classes]: the softmax of the logits; 1 - p and p of one sigmoid; the sigmoid of each of independent
        ones.
        """
        return probabilities(self.logits, self.kind)

    @property
    def probability(self) -> float:
        """That of `label`."""
        return float(self.probabilities[self.index])

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, likeliest first; all if there are fewer.

        Raises
        ------
        ArgumentError
            If `k` is no integer from 0, or there are no probabilities.
        """
        k = integer("k", k, 0)
        chances = self.probabilities
        # By logits, as two probabilities may round to the same number where these still differ.
        order = np.argsort(-class_logits(self.logits, self.kind), kind="stable")
        return [(self.classes[i], float(chances[i])) for i in order[:k]]

    @property
    def times(self) -> str:
        """The backend and its times, for people."""
        return f"{self.backend}, {_duration(self.seconds)}, of which the run {_duration(self.run_seconds)}"

    @property
    def seen_png(self) -> bytes:
        """`seen` as a PNG file: in grey or in true colours, with its alpha; plain channels in grey, side by side."""
        buffer = io.BytesIO()
        Image.fromarray(as_shown(self.seen, self.color)).save(buffer, "PNG")
        return buffer.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """For JSON. What this kind of output does not have is None: of independent probabilities `index` and
        `probability`, of plain values
        `probabilities` too; only those have `values`, by name."""
        one_class, plain = self.kind in ("softmax", "sigmoid"), self.kind == "values"
        return {
            "kind": self.kind,
            "label": self.label,
            "labels": list(self.labels),
            "index": self.index if one_class else None,
            "probability": self.probability if one_class else None,
            "probabilities": None if plain else dict(zip(self.classes, self.probabilities.tolist())),
            "values": dict(zip(self.classes, self.logits.tolist())) if plain else None,
            "logits": self.logits.tolist(),
            "backend": self.backend,
            "seconds": self.seconds,
            "run_seconds": self.run_seconds,
            "preparation": list(self.preparation),
            "warnings": list(self.warnings),
        }

    def __repr__(self) -> str:
        answer = f"label={self.label!r}" + (
            f", probability={self.probability:.4f}" if self.kind in ("softmax", "sigmoid") else ""
        )
        times = f"seconds={self.seconds:.4g}, run_seconds={self.run_seconds:.4g}"
        warnings = f", warnings={self.warnings!r}" if self.warnings else ""
        return f"Classification({answer}, backend={self.backend!r}, {times}{warnings})"

    def __str__(self) -> str:
        rows = [] if self.kind == "values" else self.top()
        width = max((len(name) for name, _ in rows), default=0)
        bars = "".join(f"\n  {name.ljust(width)}  {100 * p:6.2f} %  {'#' * round(30 * p)}".rstrip() for name, p in rows)
        notes = "".join(
            [f"\n  warning: {text}" for text in self.warnings] + [f"\n  prepared: {text}" for text in self.preparation]
        )
        return f"{self.label}  ({self.times}){bars}{notes}"

    def _repr_html_(self) -> str:
        source = "data:image/png;base64," + base64.b64encode(self.seen_png).decode("ascii")
        rows = "".join(
            f'<tr><td style="text-align:right">{html.escape(name)}</td><td style="width:160px;text-align:left"><div'
            f' style="background:#4a90d9;height:12px;width:{160 * p:.0f}px"></div></td><td>{100 * p:.1f} %</td></tr>'
            for name, p in ([] if self.kind == "values" else self.top())
        )
        warnings = "".join(
            f'<div style="color:#b35900"><b>Warning:</b> {html.escape(text)}</div>' for text in self.warnings
        )
        steps = f"<div><small>{html.escape('; '.join(self.preparation))}</small></div>" if self.preparation else ""
        width = 112 * (self.seen.shape[2] if self.color == PLAIN else 1)
        return (
            f'<div style="display:flex;align-items:center;gap:16px"><img src="{source}" alt="what the network saw"'
            f' width="{width}" height="112" style="image-rendering:pixelated"/><div><b>{html.escape(self.label)}</b>'
            f" <small>{html.escape(self.times)}</small>{warnings}<table>{rows}</table>{steps}</div></div>"
        )
