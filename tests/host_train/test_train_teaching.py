"""Teachers, and trainings of several parts: a teacher, real weights first, all images last."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from trainings import QUICK, same, seeded, small

from host_train.cli import main
from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear, use_real_weights
from host_train.networks import RECIPES, Recipe
from host_train.runs.run import Run
from host_train.runs.teaching import teacher_of, teacher_run
from host_train.settings import Settings
from host_train.training.augment import Augmentation
from host_train.training.checkpoint import load_state
from host_train.training.fit import CHECKPOINT, fit
from host_train.training.forward import Forward
from host_train.training.gradients import Computed
from host_train.training.measure import measure
from host_train.training.teacher import Teacher
from pynq_cnn.errors import ArgumentError

CENTRE = (128 / 255,)
TAUGHT = replace(QUICK, distillation=0.9, clean_images=200)


def bits(stochastic: bool = False) -> nn.Sequential:
    first = BinaryConv2d(1, 8, 3, padding=1, input_step=1 / 128, stochastic=stochastic)
    norms = (nn.MaxPool2d(4), nn.BatchNorm2d(8), nn.Hardtanh())
    return nn.Sequential(first, *norms, nn.Flatten(), BinaryLinear(392, 10, stochastic=stochastic))


def test_who_answers_as_the_teacher_has_nothing_to_learn(data):
    model = seeded(small).eval()
    teacher = Teacher.of(seeded(small), (0.3,), (0.4,))
    only = replace(QUICK, distillation=1.0)
    step = Computed(model, Forward.of(model, only, torch.device("cpu")), data[0], only, teacher)
    loss, _ = step(torch.arange(32))
    assert loss.abs() < 1e-6 and all(p.grad.abs().max() < 1e-3 for p in model.parameters())
    other = replace(step, teacher=Teacher.of(seeded(small, 1), (0.3,), (0.4,)))
    assert other(torch.arange(32))[0] > 1e-3
    apart = replace(step, teacher=Teacher.of(seeded(small), (0.1,), (0.4,)))  # it normalises by itself
    assert apart(torch.arange(32))[0] > 1e-6


def test_a_schedule_that_distils_wants_a_teacher(data, tmp_path):
    with pytest.raises(ArgumentError, match="distillation=0.9 learns from a teacher; give one"):
        fit(small(), *data, TAUGHT, tmp_path)


def test_a_training_does_not_go_on_with_another_teacher(data, tmp_path):
    teachers = [Teacher.of(seeded(small, seed), (0.3,), (0.4,)) for seed in (0, 1)]
    history = fit(seeded(small), *data, TAUGHT, tmp_path, teacher=teachers[0])
    with pytest.raises(ArgumentError, match="is of another run"):
        fit(seeded(small), *data, TAUGHT, tmp_path, teacher=teachers[1], resume=True)
    assert fit(seeded(small), *data, TAUGHT, tmp_path, teacher=teachers[0], resume=True) == history


@pytest.fixture
def recipes(monkeypatch):
    """A binary network of all parts, and its teacher."""
    monkeypatch.setitem(RECIPES, "teacher", Recipe("teacher", "a small one", "mnist", small, QUICK))
    whole = replace(TAUGHT, epochs=1, learning_rate=1e-3)
    taught = Recipe(
        *("bits", "a small one", "mnist", bits, TAUGHT),
        teacher="teacher",
        start=QUICK,
        whole=whole,
        mean=CENTRE,
        std=CENTRE,
        build_stochastic=lambda: bits(True),
    )
    monkeypatch.setitem(RECIPES, "bits", taught)


def test_one_command_trains_all_parts(recipes, digits_folder, tmp_path, capsys):
    data = ["--data-dir", str(digits_folder), "--device", "cpu"]
    assert main(["train", "bits", "--out", str(tmp_path / "one"), *data]) == 0
    told = capsys.readouterr().out
    assert (
        "taught by teacher: 2 epochs with real weights, then 2 epochs in floating point, then 1 on all images" in told
    )
    lines = [line.split()[0] for line in told.splitlines() if " epoch " in line]
    assert lines == ["teacher", "teacher", "start", "start", "float", "float", "whole"]
    assert (tmp_path / "one" / "whole" / "curves.png").is_file()
    run = Run.open(tmp_path / "one", digits_folder)
    ended = torch.load(tmp_path / "one" / "whole" / "weights.pt", weights_only=True)
    assert all(torch.equal(ended[name], value) for name, value in run.float_model().state_dict().items())
    history = json.loads((tmp_path / "one" / "whole" / "history.json").read_text())
    assert history[0]["validation_accuracy"] is None and history[0]["best"]
    identity = load_state(tmp_path / "one" / "whole" / CHECKPOINT)["identity"]
    assert identity["images"] == len(run.dataset.train) > len(run.train)

    # A teacher that was trained before, by itself: the same to the last bit.
    assert main(["train", "teacher", "--out", str(tmp_path / "teacher"), "--quiet", *data]) == 0
    given = ["--teacher", str(tmp_path / "teacher")]
    assert main(["train", "bits", "--out", str(tmp_path / "two"), "--quiet", *given, *data]) == 0
    assert not (tmp_path / "two" / "teacher").exists()
    assert same(Run.open(tmp_path / "two", digits_folder).float_model(), run.float_model())
    assert f"--teacher {tmp_path / 'teacher'}" in json.loads((tmp_path / "two" / "run.json").read_text())["command"]
    capsys.readouterr()
    assert main(["export", str(tmp_path / "one"), "--data-dir", str(digits_folder)]) == 0
    assert "also trained on" in capsys.readouterr().out  # what is measured on the images held back is no validation


def test_an_interrupted_training_of_many_parts_goes_on(recipes, digits_folder, tmp_path, monkeypatch):
    data = ["--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    assert main(["train", "bits", "--out", str(tmp_path / "whole"), *data]) == 0
    apply, calls = Augmentation.apply, []

    def interrupted(self, *images):
        calls.append(1)
        if len(calls) in (10, 50, 80, 110):
            raise KeyboardInterrupt
        return apply(self, *images)

    monkeypatch.setattr(Augmentation, "apply", interrupted)
    words, times = ["train", "bits", "--out", str(tmp_path / "parts"), *data], 1
    while main(words if times == 1 else [*words, "--resume"]) == 130:
        times += 1
    assert times == 5
    ends = [Run.open(tmp_path / name, digits_folder).float_model() for name in ("whole", "parts")]
    assert same(*ends)


def test_real_weights_come_first(recipes, digits_folder, tmp_path):
    words = [
        "train",
        "bits",
        "--out",
        str(tmp_path / "r"),
        "--quiet",
        "--data-dir",
        str(digits_folder),
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    start = load_state(tmp_path / "r" / "start" / "weights.pt")
    run = Run.open(tmp_path / "r", digits_folder)
    real, signs = (seeded(bits) for _ in range(2))
    for model in (real, signs):
        model.load_state_dict(start)
        model.eval()
    history = json.loads((tmp_path / "r" / "start" / "history.json").read_text())
    best = max((record for record in history if record["best"]), key=lambda record: record["epoch"])
    measured = [measure(model, run.tensors(run.validation))[0] for model in (use_real_weights(real), signs)]
    assert measured[0] == pytest.approx(best["validation_loss"], rel=1e-4)  # what was trained had real weights
    assert measured[1] != pytest.approx(best["validation_loss"], rel=1e-2)
    assert not any(layer.real for layer in run.float_model().modules() if isinstance(layer, BinaryLayer))


def test_a_teacher_has_not_seen_what_is_held_back(recipes, digits_folder, tmp_path):
    run = Run.create(tmp_path / "run", Settings("bits"), digits_folder)
    with pytest.raises(ArgumentError, match="this training has not ended"):
        teacher_of(run, "cpu")
    made = teacher_run(run)
    assert made is not None and made.folder == tmp_path / "run" / "teacher"
    assert np.array_equal(made.validation.images, run.validation.images)
    for settings, message in (
        (Settings("lenet"), "is a run of lenet, but bits needs one of teacher"),
        (Settings("teacher", seed=1), "was trained with seed 1 on other images"),
    ):
        other = tmp_path / f"{settings.recipe}-{settings.seed}"
        Run.create(other, settings, digits_folder)
        asked = Run.create(tmp_path / f"for-{other.name}", Settings("bits", teacher=str(other)), digits_folder)
        with pytest.raises(ArgumentError, match=message):
            teacher_run(asked)


def test_a_shorter_training_has_shorter_parts(recipes, digits_folder, tmp_path):
    run = Run.create(tmp_path / "run", Settings("bits", epochs=1, batch=16), digits_folder)
    recipe = run.recipe
    assert [one.epochs for one in (recipe.start, recipe.schedule, recipe.whole)] == [1, 1, 1]
    assert [one.batch for one in (recipe.start, recipe.schedule, recipe.whole)] == [16, 16, 16]
    made = teacher_run(run)
    assert made is not None and made.recipe.schedule.epochs == 1


def test_a_teacher_is_refused_where_none_is_needed(capsys, tmp_path):
    assert main(["train", "lenet", "--teacher", "runs/vgg", "--out", str(tmp_path)]) == 1
    assert "lenet learns from no teacher; remove --teacher runs/vgg" in capsys.readouterr().err


def test_a_teacher_sees_images_of_the_same_size(recipes, digits_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "bits", replace(RECIPES["bits"], size=(56, 56)))
    run = Run.create(tmp_path / "run", Settings("bits"), digits_folder)
    with pytest.raises(ArgumentError, match=r"bits takes images of 56 x 56, but its teacher teacher of 28 x 28"):
        teacher_run(run)
