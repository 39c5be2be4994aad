"""The kind of a model's output: told by the user, by how the model ends, or by how many outputs it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model.output import KINDS


def check_kind(stated: Any) -> None:
    """`ArgumentError` if a statement is none."""
    if stated is not None and stated not in KINDS:
        raise ArgumentError(f"output must be one of {', '.join(KINDS)}, not {stated!r:.60}")


def output_kind(stated: str | None, ending: nn.Module, outputs: int, classes: Sequence[str] | None, model: str) -> str:
    """The kind of output of a model (`pynq_cnn.model.OutputSpec`).

    Parameters
    ----------
    stated : str, optional
        The user's statement.
    ending : torch.nn.Module
        Softmax, LogSoftmax or Sigmoid behind the logits; Identity if none.
    outputs : int
        Logits of an image.
    classes : sequence of str, optional
        Names that the user gives.
    model : str
        The model's name.

    Raises
    ------
    ArgumentError
        If the statement contradicts the model, or is needed.
    NetworkError
        If the model ends with a softmax over one number.

    Examples
    --------
    >>> output_kind(None, nn.Sigmoid(), 1, None, "Mine"), output_kind(None, nn.Identity(), 10, None, "Mine")
    ('sigmoid', 'softmax')
    """
    possible: tuple[str, ...]
    numbers = "one number" if outputs == 1 else f"{outputs} numbers"
    if isinstance(ending, nn.Sigmoid):
        possible = ("sigmoid", "independent") if outputs == 1 else ("independent",)
    elif not isinstance(ending, nn.Identity):
        if outputs == 1:
            raise NetworkError(
                f"{model} ends with a softmax over one number, which is always 1; train it with a Sigmoid, or two"
                " outputs"
            )
        possible = ("softmax",)
    else:
        possible = ("sigmoid", "independent", "values") if outputs == 1 else ("softmax", "independent", "values")
    if stated is not None and stated not in possible:
        ends = "" if isinstance(ending, nn.Identity) else f" behind a {type(ending).__name__}"
        raise ArgumentError(
            f"the output {stated!r} contradicts {model}, which gives {numbers} for each image{ends}: state"
            f" {_or(possible)}"
        )
    if stated is not None:
        return stated
    if possible[0] != "sigmoid" or isinstance(ending, nn.Sigmoid) or (classes is not None and len(classes) == 2):
        return possible[0]
    raise ArgumentError(
        f"{model} gives one number for each image, and nothing says what it is: state the output, 'sigmoid' if it is a"
        " logit (and classes, first the name for a probability near 0), 'values' if it is a plain value"
    )


def _or(kinds: Sequence[str]) -> str:
    return " or ".join(map(repr, kinds))
