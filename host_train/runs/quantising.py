"""The ways to put a run in integers, and how good each is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from host_train.layers.binary import is_binary
from host_train.quantisation.bits import binary_to_network
from host_train.quantisation.calibrate import METHODS, calibrations
from host_train.quantisation.choose import Candidate, measure_candidate
from host_train.quantisation.fold import fold
from host_train.quantisation.to_network import to_network
from host_train.runs.run import Run
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network


def calibrated(run: Run, progress: bool) -> Mapping[str, nn.Sequential]:
    """The trained network quantised without further training, by each method of calibration."""
    return calibrations(fold(run.float_model()), run.calibration_batches(), run.std, progress=progress)


def in_integers(run: Run, model: nn.Module) -> Network:
    """A calibrated network, or a binary one as it is, as a Network."""
    make = binary_to_network if is_binary(model) else to_network
    return make(model, run.recipe.name, run.input, run.dataset.spec.classes)


def measured(run: Run, forms: Mapping[str, nn.Module], progress: bool = True) -> list[Candidate]:
    """Calibrated or binary networks, by how they were made, in integers and measured on the validation images."""
    return [measure_candidate(label, in_integers(run, form), run.validation, progress) for label, form in forms.items()]


def ways(run: Run) -> tuple[str, ...]:
    """Labels of all ways to quantise this run."""
    if run.recipe.binary:
        return ("binary",)
    return (*METHODS, "qat") if run.recipe.qat is not None else tuple(METHODS)


def candidates(run: Run, how: str = "auto") -> list[Candidate]:
    """The ways to quantise this run, each measured on the validation images.

    Parameters
    ----------
    run : Run
        A trained one.
    how : str
        One of `ways(run)`, which must be among them, or `"auto"` for all. What has been trained quantisation-aware is
        left out where another is asked for; that training need not have ended.

    Raises
    ------
    ArgumentError
        If there is no such way, or a training that it needs has not ended.
    """
    known = ways(run)
    if how not in ("auto", *known):
        raise ArgumentError(f"the way to quantise must be one of auto, {', '.join(known)} for this run, not {how!r}")
    if known == ("binary",):
        return measured(run, {"binary": run.float_model()})
    trained = {"qat": run.qat_model()} if "qat" in known and how in ("auto", "qat") else {}  # first: it may be missing
    return measured(run, {**calibrated(run, progress=True), **trained})
