"""The trainings of a run: of its teacher; in floating point; quantisation-aware, from its result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from host_train.layers.binary import use_real_weights
from host_train.quantisation.choose import choose
from host_train.runs.quantising import calibrated, measured
from host_train.runs.run import Run
from host_train.runs.teaching import teacher_of, teacher_run
from host_train.training.checkpoint import load_weights
from host_train.training.curves import plot_history
from host_train.training.fit import WEIGHTS, fit, seed_everything
from host_train.training.processes import ALONE, Processes
from host_train.training.record import EpochRecord
from host_train.training.schedule import Schedule

# What a training adds to the seed, in units of 2^32: no epoch of one draws what an epoch of another draws.
SEEDS = {"float": 0, "qat": 1, "start": 2, "whole": 3}


def train(
    run: Run,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: bool = True,
    report: Callable[[str, int, EpochRecord], None] | None = None,
    processes: Processes = ALONE,
) -> None:
    """Train what the recipe says: its teacher, with real weights, in floating point, on all images, quantisation-aware;
    resumes each.

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
    processes : Processes
        That train together, on one machine or with one folder.
    """
    progress = progress and processes.first
    taught_by = teacher_run(run)
    if taught_by is not None and not (taught_by.folder / taught_by.recipe.result / WEIGHTS).is_file():
        told = None if report is None else lambda _stage, epochs, record: report("teacher", epochs, record)
        train(taught_by, resume=resume, device=device, progress=progress, report=told, processes=processes)
    for stage, schedule, build in _stages(run, progress):
        place = stage_device(stage, device)
        everything = stage == "whole"
        history = fit(
            build().to(place),
            run.tensors(run.dataset.train if everything else run.train, place),
            None if everything else run.tensors(run.validation, place),
            schedule,
            run.folder / stage,
            teacher=teacher_of(run, place) if schedule.distillation else None,
            processes=processes,
            seed=run.settings.seed + SEEDS[stage] * 2**32,
            resume=resume,
            progress=progress,
            report=None if report is None else partial(report, stage, schedule.epochs),
        )
        if processes.first:
            title = f"{run.recipe.name} on {run.dataset.spec.title}: {stage}"
            plot_history(history, run.folder / stage / "curves.png", title)


def _stages(run: Run, progress: bool) -> list[tuple[str, Schedule, Callable[[], nn.Module]]]:
    """The trainings, in order: folder, schedule, and what makes the model that it begins with."""
    recipe = run.recipe
    stages: list[tuple[str, Schedule, Callable[[], nn.Module]]] = []
    if recipe.start is not None:
        stages.append(("start", recipe.start, lambda: use_real_weights(_fresh(run))))
    stages.append(("float", recipe.schedule, partial(_after, run, "start") if stages else partial(_fresh, run)))
    if recipe.whole is not None:
        stages.append(("whole", recipe.whole, partial(_after, run, "float")))
    if recipe.qat is not None:
        stages.append(("qat", recipe.qat, partial(_calibrated, run, progress)))
    return stages


def _after(run: Run, stage: str) -> nn.Module:
    """The network as the training `stage` left it."""
    return load_weights(run.recipe.build(), run.folder / stage / WEIGHTS)


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
