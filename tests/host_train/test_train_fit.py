"""The training loop: determinism, resuming, checkpoints, choice of the best epoch."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from host_train.data import Split
from host_train.data.divide import hold_back
from host_train.training import checkpoint
from host_train.training.augment import Augmentation
from host_train.training.curves import plot_history
from host_train.training.fit import CHECKPOINT, HISTORY, WEIGHTS, fit, seed_everything
from host_train.training.forward import has_bfloat16
from host_train.training.measure import measure
from host_train.training.optimiser import one_cycle
from host_train.training.record import EpochRecord
from host_train.training.schedule import Schedule
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError

SCHEDULE = Schedule(
    epochs=4,
    batch=64,
    learning_rate=1e-2,
    augmentation=Augmentation(shift=1, rotation=5, scale=0.05, shear=0.05, flip=True),
)


@pytest.fixture(scope="module")
def data(digits):
    split = Split(digits["train_images"][..., None], digits["train_labels"].astype(np.int64))
    train, validation = hold_back(split, 100, seed=1)
    return TensorData.of(train, (0.3,), (0.4,)), TensorData.of(validation, (0.3,), (0.4,))


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


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


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


def rates(steps: int) -> list[float]:
    optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    policy, seen = one_cycle(optimiser, 0.5, steps), []
    for _ in range(steps):
        seen.append(policy.get_last_lr()[0])
        optimiser.step()
        policy.step()
    return seen


def test_the_learning_rate_climbs_for_a_tenth_and_falls():
    for steps in (*range(1, 10), *range(11, 40), 1000):
        optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
        policy = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.5, total_steps=steps, pct_start=0.1)
        for rate in rates(steps):
            assert rate == policy.get_last_lr()[0]
            optimiser.step()
            policy.step()
    ten = rates(10)
    assert ten[0] == pytest.approx(0.5, rel=1e-4) and ten == sorted(ten, reverse=True) and ten[-1] < 1e-5


def test_hold_back_divides_the_training_set():
    split = Split(np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1), np.arange(50))
    train, validation = hold_back(split, 10, seed=0)
    assert sorted(train.labels.tolist() + validation.labels.tolist()) == list(range(50)) and len(validation) == 10
    assert np.array_equal(train.images.ravel(), train.labels)
    assert not np.array_equal(hold_back(split, 10, seed=1)[1].labels, validation.labels)
    for count in (0, 50, 51):
        with pytest.raises(ArgumentError, match="validation must be from 1 to 49"):
            hold_back(split, count, seed=0)


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": 1, "batch": 0},
        {"epochs": 1, "learning_rate": 0},
        {"epochs": 1, "learning_rate": float("nan")},
    ]
    + [{"epochs": 1, "weight_decay": -1}, {"epochs": 1, "label_smoothing": 1}],
)
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[-1]):
        Schedule(**bad)


# -------------------------------------------------------------------------------------------------- curves


def drawn(losses: list[float], monkeypatch) -> Figure:
    """The figure of a history with these losses; accuracies are 1 less a tenth of them."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, dpi: figures.append(self))
    history = [EpochRecord(i, x, 1 - x / 10, x, 1 - x / 10, 0.1, i == 1) for i, x in enumerate(losses, start=1)]
    plot_history(history, Path("curves.png"), "test")
    figures[0].draw_without_rendering()
    return figures[0]


def test_one_epoch_is_seen(monkeypatch):
    for axes in drawn([2.3], monkeypatch).axes:
        lines = [line for line in axes.lines if line.get_label() != "best: epoch 1"]
        assert len(lines) == 2 and all(line.get_marker() not in ("None", "", None) for line in lines)


@pytest.mark.parametrize("epochs", [1, 2, 3, 12, 100])
def test_epochs_are_whole_numbers(monkeypatch, epochs):
    for axes in drawn([2.0] * epochs, monkeypatch).axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert ticks and all(1 <= tick.get_loc() == int(tick.label1.get_text()) <= epochs for tick in ticks)


@pytest.mark.parametrize("losses", [[2.3, 2.1, 2.0], [4.0, 2.0, 0.9], [3.0, 0.05], [3.0, 0.2, 0.004], [0.5]])
def test_ticks_are_plain_numbers(monkeypatch, losses):
    for axes in drawn(losses, monkeypatch).axes:
        low, high = axes.get_ylim()
        ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
        texts = [tick.label1.get_text() for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
        assert texts and all(float(text) > 0 for text in texts)


# --------------------------------------------------------------------------------------------- augmentation


def test_augmentation_moves_by_at_most_its_shift():
    image = torch.zeros(400, 1, 21, 21)
    image[:, :, 10, 10] = 1
    moved = Augmentation(shift=2).apply(image)
    mass = moved.sum((1, 2, 3))
    assert torch.allclose(mass, torch.ones(400), atol=1e-4)
    rows = (moved.sum((1, 3)) * torch.arange(21)).sum(1) - 10
    columns = (moved.sum((1, 2)) * torch.arange(21)).sum(1) - 10
    for offset in (rows, columns):
        assert offset.abs().max() <= 2.001 and offset.max() > 1.5 and offset.min() < -1.5


def test_augmentation_turns_by_at_most_its_rotation():
    image = torch.zeros(400, 1, 41, 41)
    image[:, :, 20, 36] = 1  # 16 pixels right of the centre
    turned = Augmentation(rotation=30).apply(image)
    rows = (turned.sum((1, 3)) * torch.arange(41)).sum(1) / turned.sum((1, 2, 3)) - 20
    angle = torch.rad2deg(torch.asin(rows / 16))
    assert angle.abs().max() < 31.5 and angle.max() > 25 and angle.min() < -25


def test_augmentation_scales_and_mirrors():
    square = torch.zeros(400, 1, 40, 40)
    square[:, :, 10:30, 10:30] = 1
    side = Augmentation(scale=0.2).apply(square).sum((1, 2, 3)).sqrt()
    assert 20 / 1.2 - 0.5 < side.min() < 17.5 and 24 < side.max() < 20 / 0.8 + 0.5
    half = torch.zeros(400, 1, 4, 4)
    half[..., :2] = 1
    left = Augmentation(flip=True).apply(half)[:, 0, 0, 0]
    assert 130 < left.sum() < 270 and set(left.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("reflect", "mode"), [(False, "constant"), (True, "reflect")])
def test_crops_are_windows_of_the_image_with_a_border(reflect, mode):
    image = np.random.default_rng(0).random((2, 5, 6), np.float32)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode)
    windows = [padded[:, y : y + 5, x : x + 6] for y in range(3) for x in range(3)]
    crops = Augmentation(crop=1, reflect=reflect).apply(torch.from_numpy(image).expand(300, 2, 5, 6)).numpy()
    matches = [[np.array_equal(crop, window) for window in windows] for crop in crops]
    assert (np.sum(matches, axis=1) == 1).all() and (np.sum(matches, axis=0) > 10).all()  # every offset, about as often


def test_images_too_small_to_reflect_are_refused():
    with pytest.raises(ArgumentError, match="images of 4 x 9 have no reflection of crop=4"):
        Augmentation(crop=4, reflect=True).apply(torch.zeros(1, 1, 4, 9))
    assert Augmentation(crop=3, reflect=True).apply(torch.zeros(1, 1, 4, 9)).shape == (1, 1, 4, 9)


@pytest.mark.parametrize(
    "bad",
    [
        {"shift": -1},
        {"rotation": float("nan")},
        {"scale": 1.0},
        {"shear": -0.1},
        {"crop": -1},
        {"crop": 1.5},
        {"reflect": True},
    ],
)
def test_bad_augmentations_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[0]):
        Augmentation(**bad)
