"""Which weights and which calibration to export: what does best on the validation images, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from host_train.data import Split
from host_train.evaluation.evaluate import evaluate, predict_integers
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to quantise, with what it reaches on the validation images.

    Parameters
    ----------
    label : str
        How it was made.
    network : Network
        In integers.
    top1, loss : float
        On the validation images, through the integer arithmetic.
    """

    label: str
    network: Network
    top1: float
    loss: float


def measure_candidate(label: str, network: Network, validation: Split, progress: bool = True) -> Candidate:
    """Evaluate `network` on the validation images, with a bar where there is a terminal."""
    result = evaluate(
        predict_integers(network, title=f"validation, {label}", progress=progress), validation, network.classes
    )
    return Candidate(label, network, result.top1, result.loss)


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate of highest accuracy, among equals that of least loss, among those the first; `ArgumentError` if
    there is none.
    """
    if not candidates:
        raise ArgumentError("there is nothing to choose from")
    return min(candidates, key=lambda one: (-one.top1, one.loss))
