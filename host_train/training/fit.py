"""The training loop.

What an epoch draws at random depends on the seed and the epoch's number alone: the generator is seeded afresh before each. So a
checkpoint needs no generator's state, and a training that is interrupted and resumed gives the same bits as one that was not (on the same
machine, with the same number of threads).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from host_train.data import Split
from host_train.layers.binary import clip_latent_weights
from host_train.progress import track
from host_train.reason import reason_of
from host_train.training.checkpoint import fitting, load_state, save_state, write_text
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"
HISTORY = "history.json"

EVALUATION_BATCH = 100  # small enough that activations stay near the core: of wide networks four times as fast as 1,000


@dataclass(frozen=True)
class EpochRecord:
    """How one epoch went.

    Parameters
    ----------
    epoch : int
        From 1.
    train_loss, validation_loss : float
        Mean cross-entropy, in nats.
    train_accuracy, validation_accuracy : float
        0 to 1.
    learning_rate : float
        At its end.
    best : bool
        Whether it was the best so far.
    finished : str, optional
        When, by ISO 8601 in UTC; None of a training from before that was noted. Of no concern to equality, as the seconds.
    seconds : float, optional
        How long it took, with its validation.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    best: bool
    finished: str | None = field(default=None, compare=False)
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class TensorData:
    """A split as tensors, with what normalises it.

    Parameters
    ----------
    images : torch.Tensor
        uint8 [n, channels, height, width].
    labels : torch.Tensor
        int64 [n].
    mean, std : torch.Tensor
        float32 [1, channels, 1, 1], of images in 0..1.
    """

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, split: Split, mean: tuple[float, ...], std: tuple[float, ...], device: str = "cpu") -> TensorData:
        """From NumPy's images uint8 [n, height, width, channels]."""
        images = torch.from_numpy(split.images.transpose(0, 3, 1, 2).copy()).to(device)
        centre, spread = (torch.tensor(values, device=device).reshape(1, -1, 1, 1) for values in (mean, std))
        return cls(images, torch.from_numpy(split.labels.copy()).to(device), centre, spread)

    def __len__(self) -> int:
        return len(self.labels)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(images - mean) / std of float images in 0..1."""
        return (images - self.mean) / self.std

    def batches(self, size: int = EVALUATION_BATCH) -> Any:
        """Normalised images and labels, in order."""
        for start in range(0, len(self), size):
            yield self.normalise(self.images[start : start + size].float() / 255), self.labels[start : start + size]


def hold_back(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Divide the training set into what is trained on and `count` images, chosen by `seed`, to choose the best epoch by.

    Examples
    --------
    >>> train, validation = hold_back(Split(np.zeros((10, 1, 1, 1), np.uint8), np.arange(10)), 3, seed=0)
    >>> len(train), len(validation), sorted(np.concatenate([train.labels, validation.labels])) == list(range(10))
    (7, 3, True)

    Raises
    ------
    ArgumentError
        If nothing would be left to train on.
    """
    if not 1 <= count < len(split):
        raise ArgumentError(f"validation must be from 1 to {len(split) - 1} of the {len(split)} training images, not {count}")
    order = np.random.default_rng(seed).permutation(len(split))
    return split[np.sort(order[count:])], split[np.sort(order[:count])]


def seed_everything(seed: int, epoch: int) -> None:
    """Seed torch's generators for one epoch (epoch 0: the initial weights)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))


def measure(model: nn.Module, data: TensorData) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0..1) of `model` over `data`."""
    model.eval()
    loss = right = 0.0
    with torch.no_grad():
        for images, labels in data.batches():
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
    return loss / len(data), right / len(data)


def has_bfloat16(device: torch.device) -> bool:
    """Whether layers run faster in bfloat16 there: on GPUs and CPUs that multiply it themselves."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # older ones emulate it
    if device.type != "cpu":
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # from torch 2.9 on; without it, say no
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def _compiled(model: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """`model` compiled; as it is, with a warning, where torch cannot compile even a sum: it takes a compiler and headers of its own."""

    def probe(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(probe)(torch.zeros(2, device=device))
    except Exception as error:  # of many kinds, by what is missing
        warnings.warn(
            f"training is not compiled, and slower: torch.compile fails here ({reason_of(error)}); install g++ and python3-dev",
            stacklevel=4,
        )
        return model
    return torch.compile(model)


@dataclass(frozen=True, eq=False)
class _Forward:
    """The network as a step of training computes it: the same weights, in the precision and form that the schedule asks for."""

    run: Callable[[torch.Tensor], torch.Tensor]
    memory_format: torch.memory_format
    bfloat16: bool

    @classmethod
    def of(cls, model: nn.Module, schedule: Schedule, device: torch.device) -> _Forward:
        if not schedule.compiled:
            return cls(model, torch.contiguous_format, schedule.bfloat16 and has_bfloat16(device))
        run = _compiled(model, device)
        # How the fast convolutions want 4-D tensors; sums are taken in another order, so only where the schedule asks for it.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(run, torch.channels_last, schedule.bfloat16 and has_bfloat16(device))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, torch.bfloat16) if self.bfloat16 else nullcontext():
            return self.run(images.contiguous(memory_format=self.memory_format)).float()


def _optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW, with weight decay on weights only: vectors are biases and batch norm."""
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": schedule.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


def _policy(optimiser: torch.optim.Optimizer, learning_rate: float, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """The one-cycle policy: up in the first tenth of the steps, down to nothing in the others."""
    # Of ten steps that tenth would be of no length, by which PyTorch divides; of a little less, the first step has the highest rate too.
    rise = 0.1 if steps != 10 else 0.0999
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=rise)


def fit(
    model: nn.Module,
    train: TensorData,
    validation: TensorData,
    schedule: Schedule,
    folder: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
    report: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train `model` in place; it ends with the weights of its best epoch.

    After every epoch `folder` has a checkpoint, written whole or not at all, and the history; at the end also `weights.pt`, the best
    epoch's weights. The best is the one of highest validation accuracy, among equals that of least validation loss.

    Parameters
    ----------
    model : torch.nn.Module
        Takes normalised images float32 [n, channels, height, width], gives logits [n, classes].
    train, validation : TensorData
        To train on, and to choose the best epoch by.
    schedule : Schedule
        How.
    folder : pathlib.Path
        Where its files are.
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
        If there is a checkpoint and not `resume`, or it is of another schedule or seed, or there is less than a batch to train on.
    """
    if len(train) < schedule.batch:
        raise ArgumentError(f"there are {len(train)} images to train on, less than a batch of {schedule.batch}; lower the batch")
    steps = len(train) // schedule.batch
    optimiser = _optimiser(model, schedule)
    policy = _policy(optimiser, schedule.learning_rate, steps * schedule.epochs)
    identity = json.loads(json.dumps({"seed": seed, "images": len(train), "schedule": asdict(schedule)}))
    history: list[EpochRecord] = []
    best: dict[str, Any] | None = None
    path = folder / CHECKPOINT
    if path.exists():
        if not resume:
            raise ArgumentError(
                f"{path} is of an earlier run; go on with it (--resume), put it aside (--force), or choose another folder (--out)"
            )
        state = load_state(path)
        if not isinstance(state, dict) or state.get("identity") != identity:
            found = state.get("identity") if isinstance(state, dict) else type(state).__name__
            raise ArgumentError(
                f"{path} is of another run, {found}, not {identity}; put it aside (--force), or choose another folder (--out)"
            )
        with fitting(path, "state", "choose another folder (--out)"):
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            policy.load_state_dict(state["policy"])
            history, best = [EpochRecord(**record) for record in state["history"]], state["best"]
    forward = _Forward.of(model, schedule, train.images.device)  # takes seconds: not before all that may be refused
    with torch.random.fork_rng():  # what a caller draws afterwards does not depend on this training
        for epoch in range(len(history) + 1, schedule.epochs + 1):
            seed_everything(seed, epoch)
            start = perf_counter()
            loss, accuracy = _epoch(model, forward, train, schedule, optimiser, policy, f"epoch {epoch}/{schedule.epochs}", progress)
            measured = measure(model, validation)
            # Rounding cannot order two epochs differently: both are compared as they were measured.
            key = [measured[1], -measured[0]]
            better = best is None or key > best["key"]
            if better:
                best = {"key": key, "model": {name: value.detach().clone() for name, value in model.state_dict().items()}}
            times = datetime.now(timezone.utc).isoformat(timespec="seconds"), round(perf_counter() - start, 3)
            record = EpochRecord(epoch, loss, accuracy, *measured, float(policy.get_last_lr()[0]), better, *times)
            history.append(record)
            save_state(
                path,
                {
                    "identity": identity,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "policy": policy.state_dict(),
                    "history": [asdict(one) for one in history],
                    "best": best,
                },
            )
            write_text(folder / HISTORY, json.dumps([asdict(one) for one in history], indent=1))
            if report is not None:
                report(record)
    assert best is not None  # there is at least one epoch
    model.load_state_dict(best["model"])
    model.eval()
    save_state(folder / WEIGHTS, best["model"])
    return history


def _epoch(
    model: nn.Module,
    forward: _Forward,
    train: TensorData,
    schedule: Schedule,
    optimiser: torch.optim.Optimizer,
    policy: torch.optim.lr_scheduler.LRScheduler,
    title: str,
    progress: bool,
) -> tuple[float, float]:
    """One time through the training images, less those that fill no batch; mean loss and accuracy on the way."""
    model.train()
    order = torch.randperm(len(train), device=train.images.device)[: len(train) // schedule.batch * schedule.batch]
    real = torch.float32 if order.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    loss_sum = torch.zeros((), device=order.device, dtype=real)
    right = torch.zeros((), device=order.device, dtype=torch.int64)
    for chosen in track(order.split(schedule.batch), title, "batch", progress):
        images = train.normalise(schedule.augmentation.apply(train.images[chosen].float() / 255))
        labels = train.labels[chosen]
        logits = forward(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=schedule.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        clip_latent_weights(model)
        policy.step()
        loss_sum += loss.detach() * len(chosen)
        right += (logits.argmax(1) == labels).sum()
    if not torch.isfinite(loss_sum):
        raise ArgumentError(f"the loss became {loss_sum.item()} in {title}; lower the learning rate ({schedule.learning_rate})")
    return loss_sum.item() / len(order), right.item() / len(order)
