"""The trainings of a run: in floating point, then quantisation-aware from its result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from host_train.quantisation.choose import choose
from host_train.runs.quantising import calibrated, measured
from host_train.runs.run import Run
from host_train.training.curves import plot_history
from host_train.training.fit import fit, seed_everything
from host_train.training.record import EpochRecord


def train(
    run: Run,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: bool = True,
    report: Callable[[str, int, EpochRecord], None] | None = None,
) -> None:
    """Train in floating point, then quantisation-aware if the recipe says so; resumes either.

    Parameters
    ----------
    run : Run
        The run to train.
    resume : bool
        Go on where an interrupted run stopped.
    device : str
        torch's.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called after every epoch with the training's name, its number of epochs and the epoch's record.
    """
    stages = [("float", run.recipe.schedule, partial(_fresh, run))]
    if run.recipe.qat is not None:
        stages.append(("qat", run.recipe.qat, partial(_calibrated, run, progress)))
    for number, (stage, schedule, build) in enumerate(stages):
        place = stage_device(stage, device)
        history = fit(
            build().to(place),
            run.tensors(run.train, place),
            run.tensors(run.validation, place),
            schedule,
            run.folder / stage,
            seed=run.settings.seed + number * 2**32,  # no epoch of one draws what one of the other draws
            resume=resume,
            progress=progress,
            report=None if report is None else partial(report, stage, schedule.epochs),
        )
        plot_history(
            history, run.folder / stage / "curves.png", f"{run.recipe.name} on {run.dataset.spec.title}: {stage}"
        )


def _fresh(run: Run) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        seed_everything(run.settings.seed, 0)
        return run.recipe.build()


def _calibrated(run: Run, progress: bool) -> nn.Module:
    """Where quantisation-aware training starts: the trained network with the calibration that does best."""
    forms = calibrated(run, progress)
    return forms[choose(measured(run, forms, progress)).label]


def stage_device(stage: str, device: str) -> str:
    """Where a training of a run is done that is to be on `device`: PyTorch has no fake quantisation for Apple's GPUs.

    Examples
    --------
    >>> stage_device("float", "mps"), stage_device("qat", "mps"), stage_device("qat", "cuda")
    ('mps', 'cpu', 'cuda')
    """
    return "cpu" if stage == "qat" and device == "mps" else device
