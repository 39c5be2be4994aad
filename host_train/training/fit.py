"""The training loop.

What an epoch draws at random depends on the seed and the epoch's number alone: the generator is seeded afresh before
each. So a checkpoint needs no generator's state, and a training that is interrupted and resumed gives the same bits as
one that was not (on the same machine, with the same number of threads).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.files import write_text
from host_train.layers.binary import clip_latent_weights
from host_train.progress import track
from host_train.training.checkpoint import fitting, load_state, save_state
from host_train.training.forward import Forward
from host_train.training.gradients import Computed, Gradients, gradients
from host_train.training.loader import Loader
from host_train.training.measure import measure
from host_train.training.norms import estimate_norms
from host_train.training.optimiser import make_optimiser, one_cycle
from host_train.training.processes import ALONE, Processes
from host_train.training.record import EpochRecord
from host_train.training.schedule import Schedule
from host_train.training.teacher import Teacher
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"
HISTORY = "history.json"


def seed_everything(seed: int, epoch: int) -> None:
    """Seed torch's generators for one epoch (epoch 0: the initial weights)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))


def fit(
    model: nn.Module,
    train: TensorData | Loader,
    validation: TensorData | Loader | None,
    schedule: Schedule,
    folder: Path | None,
    *,
    teacher: Teacher | None = None,
    processes: Processes = ALONE,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
    report: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train `model` in place; it ends with the weights of its best epoch.

    After every epoch `folder` has a checkpoint, written whole or not at all, and the history; at the end also
    `weights.pt`, the best epoch's weights. The best is the one of highest validation accuracy, among equals that of
    least validation loss; without validation images, the last.

    Parameters
    ----------
    model : torch.nn.Module
        Takes normalised images float32 [n, channels, height, width], gives logits [n, classes].
    train, validation : TensorData or Loader
        To train on, and to choose the best epoch by; None where all images are trained on.
    schedule : Schedule
        Its epochs, batch, learning rate and so on.
    folder : pathlib.Path
        Where its files are; None for none.
    teacher : Teacher, optional
        Whose answers are learnt, where the schedule asks for it.
    processes : Processes
        That train together, each on its share of every batch (`host_train.training.processes.together`). The first
        alone writes files, reads the checkpoint, shows the bar and reports.
    seed : int
        Determines everything random.
    resume : bool
        Go on from the checkpoint in `folder`, if there is one.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called with the record of every epoch.

    Returns
    -------
    list of EpochRecord
        Of all epochs, those before an interruption too.

    Raises
    ------
    ArgumentError
        If there is a checkpoint and not `resume`, or it is of another schedule, seed or teacher, or there is less than
        a batch to train on, or the schedule distils and there is no teacher, or the batch cannot be divided among the
        processes.
    """
    if schedule.distillation and teacher is None:
        raise ArgumentError(f"distillation={schedule.distillation} learns from a teacher; give one")
    if isinstance(train, Loader) and (teacher is not None or schedule.clean_images or processes.count > 1):
        raise ArgumentError(
            "a loader of one's own has no images in 0..1: no distillation, no clean_images, and one process alone"
        )
    processes.share(schedule.batch)
    steps = train.steps(schedule.batch)
    optimiser = make_optimiser(model, schedule)
    policy = one_cycle(optimiser, schedule.learning_rate, steps * schedule.epochs)
    taught = {"teacher": teacher.digest()} if teacher is not None else {}
    identity = json.loads(json.dumps({"seed": seed, "images": len(train), "schedule": asdict(schedule), **taught}))
    history: list[EpochRecord] = []
    best: dict[str, Any] | None = None
    path = None if folder is None else folder / CHECKPOINT
    state = None if path is None else processes.from_first(lambda: _earlier(path, identity, resume))
    if state is not None and path is not None:
        with fitting(path, "state", "choose another folder (--out)"):
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            policy.load_state_dict(state["policy"])
            history, best = [EpochRecord(**record) for record in state["history"]], state["best"]
    # Takes seconds: not before all that may be refused.
    forward = Forward.of(model, schedule, train.device, processes)
    with torch.random.fork_rng():  # what a caller draws afterwards does not depend on this training
        step = gradients(Computed(model.train(), forward, train, schedule, teacher, processes))
        for epoch in range(len(history) + 1, schedule.epochs + 1):
            seed_everything(seed, epoch)
            start = perf_counter()
            title = f"epoch {epoch}/{schedule.epochs}"
            shown = progress and processes.first
            loss, accuracy = _epoch(model, step, train, schedule, optimiser, policy, title, shown, processes)
            if schedule.clean_images and isinstance(train, TensorData):
                estimate_norms(model, train, schedule.clean_images)
            processes.align(model)
            loss_then, accuracy_then = (None, None) if validation is None else measure(model, validation, processes)
            # Rounding cannot order two epochs differently: both are compared as they were measured.
            key = [epoch, 0] if loss_then is None or accuracy_then is None else [accuracy_then, -loss_then]
            better = best is None or key > best["key"]
            if better:
                best = {
                    "key": key,
                    "model": {name: value.detach().clone() for name, value in model.state_dict().items()},
                }
            times = datetime.now(timezone.utc).isoformat(timespec="seconds"), round(perf_counter() - start, 3)
            rate = float(policy.get_last_lr()[0])
            record = EpochRecord(epoch, loss, accuracy, loss_then, accuracy_then, rate, better, *times)
            history.append(record)
            if not processes.first:
                continue
            if folder is not None:
                records = [asdict(one) for one in history]
                now = {
                    "identity": identity,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "policy": policy.state_dict(),
                    "history": records,
                    "best": best,
                }
                save_state(folder / CHECKPOINT, now)
                write_text(folder / HISTORY, json.dumps(records, indent=1))
            if report is not None:
                report(record)
    assert best is not None  # there is at least one epoch
    model.load_state_dict(best["model"])
    model.eval()
    if processes.first and folder is not None:
        save_state(folder / WEIGHTS, best["model"])
    processes.wait()  # for the weights, with which all may go on
    return history


def _earlier(path: Path, identity: dict[str, Any], resume: bool) -> dict[str, Any] | None:
    """The state of the checkpoint to go on from, None if there is none; `ArgumentError` as of `fit`."""
    if not path.exists():
        return None
    if not resume:
        raise ArgumentError(
            f"{path} is of an earlier run; go on with it (--resume), put it aside (--force), or choose another folder"
            " (--out)"
        )
    state = load_state(path)
    if not isinstance(state, dict) or _completed(state.get("identity")) != identity:
        found = state.get("identity") if isinstance(state, dict) else type(state).__name__
        raise ArgumentError(
            f"{path} is of another run, {found}, not {identity}; put it aside (--force), or choose another folder"
            " (--out)"
        )
    return state


def _completed(identity: Any) -> Any:
    """The training of a checkpoint; what schedules of an earlier version did not have is as it is by
    default.
    """
    if not isinstance(identity, dict) or not isinstance(identity.get("schedule"), dict):
        return identity
    default = asdict(Schedule(epochs=1))
    found = identity["schedule"]
    distortion = {**default["augmentation"], **found.get("augmentation", {})}
    return {**identity, "schedule": {**default, **found, "augmentation": distortion}}


def _epoch(
    model: nn.Module,
    step: Gradients,
    train: TensorData | Loader,
    schedule: Schedule,
    optimiser: torch.optim.Optimizer,
    policy: torch.optim.lr_scheduler.LRScheduler,
    title: str,
    progress: bool,
    processes: Processes,
) -> tuple[float, float]:
    """One time through the training images, less those that fill no batch; mean loss and accuracy on the way."""
    model.train()
    device = train.device
    real = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    loss_sum = torch.zeros((), device=device, dtype=real)
    right, seen = (torch.zeros((), device=device, dtype=torch.int64) for _ in range(2))
    batches = train.epoch(schedule.batch)
    for chosen in track(batches, title, "batch", progress, len(batches)):
        loss, answered = step(chosen)
        optimiser.step()
        clip_latent_weights(model)
        policy.step()
        own = train.size(chosen) // processes.count
        loss_sum += loss * own
        right += answered
        seen += own
    loss_then, right_then, images = processes.total(loss_sum, right, seen)
    if not math.isfinite(loss_then):
        raise ArgumentError(
            f"the loss became {loss_then} in {title}; lower the learning rate ({schedule.learning_rate})"
        )
    return loss_then / images, right_then / images
