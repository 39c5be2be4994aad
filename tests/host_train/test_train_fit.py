"""The training loop: determinism, resuming, checkpoints, choice of the best epoch."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from trainings import same

from host_train.data import Split
from host_train.data.divide import hold_back
from host_train.training import checkpoint
from host_train.training.augment import Augmentation
from host_train.training.curves import plot_history
from host_train.training.fit import CHECKPOINT, HISTORY, WEIGHTS, fit, seed_everything
from host_train.training.forward import has_bfloat16
from host_train.training.measure import measure
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError

SCHEDULE = Schedule(
    epochs=4,
    batch=64,
    learning_rate=1e-2,
    augmentation=Augmentation(shift=1, rotation=5, scale=0.05, shear=0.05, flip=True),
)


def make() -> nn.Module:
    """With dropout and batch norm, so that random state and buffers matter."""
    with torch.random.fork_rng():
        seed_everything(7, 0)
        return nn.Sequential(
            nn.MaxPool2d(4),
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(100, 10),
        )


class Stop(Exception):
    pass


def stop_after(epochs: int):
    def report(record):
        if record.epoch == epochs:
            raise Stop

    return report


def test_every_epoch_has_its_time(tmp_path, data):
    begun = datetime.now(timezone.utc).replace(microsecond=0)
    history = fit(make(), *data, SCHEDULE, tmp_path, seed=5)
    records = json.loads((tmp_path / "history.json").read_text())
    finished = [datetime.fromisoformat(record["finished"]) for record in records]
    assert finished == sorted(finished) and begun <= finished[0] and finished[-1] <= datetime.now(timezone.utc)
    assert all(record["seconds"] > 0 for record in records) and [one.seconds for one in history] == [
        one["seconds"] for one in records
    ]
    state = checkpoint.load_state(tmp_path / CHECKPOINT)
    for record in state["history"]:  # as of a version that noted no times
        del record["finished"], record["seconds"]
    checkpoint.save_state(tmp_path / CHECKPOINT, state)
    again = fit(make(), *data, SCHEDULE, tmp_path, seed=5, resume=True)
    assert again == history and again[0].finished is None is again[0].seconds


@pytest.mark.parametrize("after", [1, 3])
def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path, data, after):
    whole, parts = make(), make()
    history = fit(whole, *data, SCHEDULE, tmp_path / "whole", seed=5)
    with pytest.raises(Stop):
        fit(parts, *data, SCHEDULE, tmp_path / "parts", seed=5, report=stop_after(after))
    torch.manual_seed(99)  # whatever the global generator has been through
    torch.rand(17)
    resumed = make()
    assert fit(resumed, *data, SCHEDULE, tmp_path / "parts", seed=5, resume=True) == history
    assert same(whole, resumed)
    ends = [checkpoint.load_state(tmp_path / name / CHECKPOINT) for name in ("whole", "parts")]
    for key in ("model", "optimiser", "policy", "best"):
        assert str(ends[0][key]) == str(ends[1][key])


def test_interruption_in_the_middle_of_an_epoch_loses_that_epoch_only(tmp_path, data, monkeypatch):
    whole, parts = make(), make()
    history = fit(whole, *data, SCHEDULE, tmp_path / "whole", seed=5)
    apply, calls = Augmentation.apply, []

    def interrupted(self, *images):
        calls.append(1)
        if len(calls) == 22:  # nine batches an epoch: in the third
            raise KeyboardInterrupt
        return apply(self, *images)

    monkeypatch.setattr(Augmentation, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(parts, *data, SCHEDULE, tmp_path / "parts", seed=5)
    monkeypatch.undo()
    assert len(checkpoint.load_state(tmp_path / "parts" / CHECKPOINT)["history"]) == 2
    resumed = make()
    assert fit(resumed, *data, SCHEDULE, tmp_path / "parts", seed=5, resume=True) == history and same(whole, resumed)


def test_interruption_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, data, monkeypatch):
    with pytest.raises(Stop):
        fit(make(), *data, SCHEDULE, tmp_path, seed=5, report=stop_after(2))
    before = (tmp_path / CHECKPOINT).read_bytes()

    def half(state, file):
        file.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        fit(make(), *data, SCHEDULE, tmp_path, seed=5, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, HISTORY]


def test_it_learns_and_ends_with_its_best_epoch(tmp_path, data):
    model = make()
    history = fit(model, *data, Schedule(epochs=8, batch=32, learning_rate=1e-2), tmp_path, seed=1)
    best = max(history, key=lambda record: (record.validation_accuracy, -record.validation_loss))
    assert [record.epoch for record in history if record.best][-1] == best.epoch
    assert (
        measure(model, data[1]) == (best.validation_loss, best.validation_accuracy) and best.validation_accuracy > 0.9
    )
    assert history[-1].train_loss < history[0].train_loss / 2
    stored = checkpoint.load_state(tmp_path / WEIGHTS)
    assert all(torch.equal(stored[name], value) for name, value in model.state_dict().items())
    assert [record["epoch"] for record in json.loads((tmp_path / HISTORY).read_text())] == list(range(1, 9))
    plot_history(history, tmp_path / "curves.png", "test")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_training_resumes_to_its_result(tmp_path, data):
    first, second, called = make(), make(), []
    history = fit(first, *data, SCHEDULE, tmp_path, seed=5)
    assert fit(second, *data, SCHEDULE, tmp_path, seed=5, resume=True, report=called.append) == history
    assert same(first, second) and not called


def test_the_seed_determines_everything(tmp_path, data):
    models = [make() for _ in range(3)]
    for number, (model, seed) in enumerate(zip(models, (5, 5, 6))):
        fit(model, *data, Schedule(epochs=1, augmentation=SCHEDULE.augmentation), tmp_path / str(number), seed=seed)
    assert same(models[0], models[1]) and not same(models[0], models[2])


def test_the_callers_generator_is_left_alone(tmp_path, data):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    fit(make(), *data, Schedule(epochs=1), tmp_path, seed=5)
    assert torch.equal(torch.rand(3), expected)


def test_an_earlier_run_is_not_overwritten(tmp_path, data):
    fit(make(), *data, Schedule(epochs=1), tmp_path)
    with pytest.raises(ArgumentError, match="--resume"):
        fit(make(), *data, Schedule(epochs=1), tmp_path)


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"schedule": Schedule(epochs=5)}, {"schedule": Schedule(epochs=4, learning_rate=0.1)}]
)
def test_another_runs_checkpoint_is_refused(tmp_path, data, change):
    options = {"seed": 5, "schedule": Schedule(epochs=4)}
    with pytest.raises(Stop):
        fit(make(), *data, folder=tmp_path, report=stop_after(1), **options)
    with pytest.raises(ArgumentError, match="of another run"):
        fit(make(), *data, folder=tmp_path, resume=True, **{**options, **change})


@pytest.mark.parametrize(
    "damage", [lambda b: b[:500], lambda b: b"", lambda b: b"hello", lambda b: b"\x80\x02cos\nsystem\n(S'true'\ntR."]
)
def test_a_damaged_checkpoint_is_named(tmp_path, data, damage):
    with pytest.raises(Stop):
        fit(make(), *data, SCHEDULE, tmp_path, report=stop_after(1))
    path = tmp_path / CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArgumentError, match=str(path)):
        fit(make(), *data, SCHEDULE, tmp_path, resume=True)


@pytest.mark.parametrize("change", [lambda state: state["model"].pop("1.weight"), lambda state: state.pop("policy")])
def test_a_checkpoint_of_other_layers_is_named(tmp_path, data, change):
    """As an update that renames a layer leaves it."""
    with pytest.raises(Stop):
        fit(make(), *data, SCHEDULE, tmp_path, report=stop_after(1))
    state = checkpoint.load_state(tmp_path / CHECKPOINT)
    change(state)
    checkpoint.save_state(tmp_path / CHECKPOINT, state)
    with pytest.raises(
        ArgumentError, match=f"{tmp_path / CHECKPOINT} has not the state of this network: .*; choose another folder"
    ):
        fit(make(), *data, SCHEDULE, tmp_path, resume=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_os_error(tmp_path, monkeypatch):
    """Which the command line reports in a line; what torch raises by itself it would not."""
    checkpoint.save_state(tmp_path / "state.pt", {"a": torch.ones(3)})
    before = (tmp_path / "state.pt").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode: open("/dev/full", mode))  # noqa: SIM115
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save_state(tmp_path / "state.pt", {"a": torch.rand(1 << 20)})
    assert (tmp_path / "state.pt").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_compiled_training_in_bfloat16_resumes_bit_for_bit_too(tmp_path, data):
    """Also where torch compiles anew in the epoch that goes on."""
    schedule = Schedule(
        epochs=2, batch=64, learning_rate=1e-2, augmentation=SCHEDULE.augmentation, bfloat16=True, compiled=True
    )
    whole, parts, resumed, plain = make(), make(), make(), make()
    history = fit(whole, *data, schedule, tmp_path / "whole", seed=5)
    with pytest.raises(Stop):
        fit(parts, *data, schedule, tmp_path / "parts", seed=5, report=stop_after(1))
    torch.compiler.reset()
    assert fit(resumed, *data, schedule, tmp_path / "parts", seed=5, resume=True) == history and same(whole, resumed)
    in_float32 = fit(plain, *data, replace(schedule, bfloat16=False, compiled=False), tmp_path / "plain", seed=5)
    for one, other in zip(history, in_float32):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.05)


def test_training_goes_on_where_torch_cannot_compile(tmp_path, data, monkeypatch):
    """As without a compiler or the headers of Python: it fails when something compiled is called first."""

    def broken(function):
        def call(*args):
            raise RuntimeError("CppCompileError: fatal error: Python.h: No such file or directory")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(
        UserWarning, match=r"not compiled, and slower: torch.compile fails here \(CppCompileError: .*\); install g\+\+"
    ):
        history = fit(make(), *data, Schedule(epochs=2, compiled=True), tmp_path / "compiled", seed=5)
    plain = fit(make(), *data, Schedule(epochs=2), tmp_path / "plain", seed=5)
    assert history[-1].train_loss == pytest.approx(plain[-1].train_loss, rel=0.05)


def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert has_bfloat16(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not has_bfloat16(torch.device("cuda")) and not has_bfloat16(torch.device("mps"))


def test_diverging_training_says_so(tmp_path, data):
    with pytest.raises(ArgumentError, match="lower the learning rate"):
        fit(make(), *data, Schedule(epochs=3, learning_rate=1e36), tmp_path)


def test_less_than_a_batch_is_refused(tmp_path, data):
    with pytest.raises(ArgumentError, match="less than a batch of 601"):
        fit(make(), *data, Schedule(epochs=1, batch=601), tmp_path)


@pytest.mark.parametrize(("epochs", "batch"), [(1, 60), (2, 120), (5, 300)])
def test_a_training_of_ten_steps_has_a_learning_rate(tmp_path, data, epochs, batch):
    history = fit(make(), *data, Schedule(epochs=epochs, batch=batch), tmp_path)
    assert len(history) == epochs and history[-1].train_loss < 3


def test_hold_back_divides_the_training_set():
    split = Split(np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1), np.arange(50))
    train, validation = hold_back(split, 10, seed=0)
    assert sorted(train.labels.tolist() + validation.labels.tolist()) == list(range(50)) and len(validation) == 10
    assert np.array_equal(train.images.ravel(), train.labels)
    assert not np.array_equal(hold_back(split, 10, seed=1)[1].labels, validation.labels)
    for count in (0, 50, 51):
        with pytest.raises(ArgumentError, match="validation must be from 1 to 49"):
            hold_back(split, count, seed=0)
