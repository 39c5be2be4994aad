"""Kinds of output of a network: classes, a probability, several probabilities, or plain values
(docs/contract/numerics.md, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model.description import Description

# Kinds of output, and what there are so many of as there are names.
OUTPUTS = {
    "softmax": "classes",
    "sigmoid": "classes by one sigmoid",
    "independent": "independent probabilities",
    "values": "plain values",
}
KINDS = tuple(OUTPUTS)


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 probabilities of float32 logits along the last axis.

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0], np.float32))
    array([0.5, 0.5])
    """
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """float64 probabilities of float32 logits, each by itself; no power is taken of a positive number, so none
    overflows.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0], np.float32))
    array([0. , 0.5, 1. ])
    """
    values = np.asarray(logits, np.float64)
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1 + small)


def probabilities(logits: np.ndarray, kind: str) -> np.ndarray:
    """float64 [..., classes] of float32 logits [..., outputs]; `ArgumentError` for plain values, which have none.

    Examples
    --------
    >>> probabilities(np.array([[0.0]], np.float32), "sigmoid")
    array([[0.5, 0.5]])
    """
    if kind == "values":
        raise ArgumentError("this network gives plain values and no probabilities; its values are the logits")
    if kind == "softmax":
        return softmax(logits)
    return np.concatenate([sigmoid(-logits), sigmoid(logits)], axis=-1) if kind == "sigmoid" else sigmoid(logits)


def class_logits(logits: np.ndarray, kind: str) -> np.ndarray:
    """One logit for each class, [..., classes]: of one sigmoid 0 and its logit, whose softmax is 1 - p and p.

    Examples
    --------
    >>> class_logits(np.array([[3.0]], np.float32), "sigmoid")
    array([[0., 3.]], dtype=float32)
    """
    return np.concatenate([np.zeros_like(logits), logits], axis=-1) if kind == "sigmoid" else logits


def answers(logits: np.ndarray, kind: str) -> np.ndarray:
    """Answers of float32 logits [n, outputs].

    Returns
    -------
    numpy.ndarray
        "softmax": int64 [n], the class of the largest logit, the first among equals. "sigmoid": int64 [n], class 1
        where its probability is above 0.5, else class 0. "independent": bool [n, outputs], whether each probability is
        above 0.5. "values": the logits themselves.

    Examples
    --------
    >>> answers(np.array([[1, 3], [2, 2]], np.float32), "softmax").tolist()
    [1, 0]
    >>> answers(np.array([[0.1], [0.0]], np.float32), "sigmoid").tolist()
    [1, 0]
    >>> answers(np.array([[1, -1, 3]], np.float32), "independent")
    array([[ True, False,  True]])
    """
    if kind in ("softmax", "sigmoid"):
        return (
            class_logits(logits, kind).argmax(-1).astype(np.int64)
        )  # argmax gives int32 on the board's 32-bit processor
    return logits > 0 if kind == "independent" else logits


@dataclass(frozen=True, eq=False, repr=False)
class OutputSpec(Description):
    """`logits = float32(acc) * scale + offset` (docs/contract/numerics.md, section 5), and what they say.

    Parameters
    ----------
    scale, offset : numpy.ndarray
        float32 [outputs], finite; scale > 0.
    kind : {"softmax", "sigmoid", "independent", "values"}
        "softmax": one of several classes, a logit each. "sigmoid": one logit, two classes; its sigmoid is the
        probability of the second. "independent": a probability of its own for each class, the sigmoid of its logit.
        "values": numbers that are no probabilities.

    Raises
    ------
    NetworkError
        For a wrong dtype, length, sign, NaN or infinity; for an unknown kind, or one that does not go with the number
        of outputs.
    """

    scale: np.ndarray
    offset: np.ndarray
    kind: str = "softmax"

    def __post_init__(self) -> None:
        scale = self._freeze("scale", None, (None,))
        offset = self._freeze("offset", None, (len(scale),))
        for name, array in (("scale", scale), ("offset", offset)):
            if array.dtype != np.float32:
                raise NetworkError(f"output.{name} must be float32, not {array.dtype}")
            if not np.isfinite(array).all():
                raise NetworkError(f"output.{name} must be finite, not {array.tolist()}")
        if scale.min() <= 0:
            raise NetworkError(f"output.scale must be positive, not {scale.tolist()}")
        if self.kind not in KINDS:
            raise NetworkError(f"output.kind must be one of {', '.join(KINDS)}, not {self.kind!r:.80}")
        if self.kind == "softmax" and self.outputs == 1:
            raise NetworkError(
                "output.kind 'softmax' needs two outputs at least, as of one alone the probability would always be 1;"
                " say 'sigmoid' (one logit, two classes), 'independent' or 'values'"
            )
        if self.kind == "sigmoid" and self.outputs != 1:
            raise NetworkError(
                f"output.kind 'sigmoid' is of one logit, not of {self.outputs}; say 'independent' or 'softmax'"
            )

    @property
    def outputs(self) -> int:
        """Logits of an image."""
        return len(self.scale)

    @property
    def classes(self) -> int:
        """Names that these need: one per output, but two for "sigmoid"."""
        return 2 if self.kind == "sigmoid" else self.outputs
