"""Trainings of several parts: a teacher, real weights first, all images last; statistics of batch norms anew."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from host_train.cli import main
from host_train.data import Split
from host_train.data.divide import hold_back
from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear, binarise, use_real_weights
from host_train.layers.residual import Residual
from host_train.networks import RECIPES, Recipe
from host_train.runs.run import Run
from host_train.runs.teaching import teacher_of, teacher_run
from host_train.settings import Settings
from host_train.training.augment import Augmentation
from host_train.training.checkpoint import load_state, save_state
from host_train.training.fit import CHECKPOINT, fit
from host_train.training.forward import Forward
from host_train.training.gradients import Computed, Recorded
from host_train.training.measure import measure
from host_train.training.norms import estimate_norms
from host_train.training.optimiser import make_optimiser
from host_train.training.schedule import Schedule
from host_train.training.teacher import Teacher
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError

CENTRE = (128 / 255,)
QUICK = Schedule(epochs=2, batch=32, learning_rate=1e-2)
TAUGHT = replace(QUICK, distillation=0.9, clean_images=200)


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.MaxPool2d(4), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(100, 10)
    )


def bits(stochastic: bool = False) -> nn.Sequential:
    first = BinaryConv2d(1, 8, 3, padding=1, input_step=1 / 128, stochastic=stochastic)
    norms = (nn.MaxPool2d(4), nn.BatchNorm2d(8), nn.Hardtanh())
    return nn.Sequential(first, *norms, nn.Flatten(), BinaryLinear(392, 10, stochastic=stochastic))


@pytest.fixture(scope="module")
def data(digits):
    split = Split(digits["train_images"][..., None], digits["train_labels"].astype(np.int64))
    train, validation = hold_back(split, 100, seed=1)
    return TensorData.of(train, (0.3,), (0.4,)), TensorData.of(validation, (0.3,), (0.4,))


def seeded(build, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# ------------------------------------------------------------------------------------------------- parts of a training


def test_the_gradient_of_signs_is_there_in_compiled_networks_too():
    """By torch 2.11's compiler, that of an autograd.Function was lost, and binary networks learnt nothing."""
    x = torch.tensor([-0.5, 0.0, 2.0], requires_grad=True)
    signs = torch.compile(lambda values: binarise(values), backend="aot_eager")(x)
    assert signs.tolist() == [-1.0, 1.0, 1.0]
    signs.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1.0, 1.0, 1.0]


def test_statistics_are_those_of_the_images_as_they_are(data):
    train = data[0]
    model = nn.Sequential(seeded(small)[0], nn.Dropout(0.5), nn.BatchNorm2d(1), nn.BatchNorm2d(1, momentum=None))
    estimate_norms(model, train, 500)
    pooled = model[0](train.normalise(train.images[:500].float() / 255))
    norm = model[2]
    assert norm.running_mean.item() == pytest.approx(pooled.mean().item(), abs=1e-6)  # dropout would have moved it
    assert norm.running_var.item() == pytest.approx(pooled.var().item(), rel=1e-3)
    assert [one.momentum for one in model[2:]] == [0.1, None] and not any(one.training for one in model.modules())


def test_statistics_leave_a_network_without_batch_norm_alone(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    estimate_norms(model, data[0], 100)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_training_with_clean_statistics_ends_with_them(data, tmp_path):
    model = seeded(small)
    fit(model, *data, replace(QUICK, clean_images=400, augmentation=Augmentation(crop=3)), tmp_path)
    ended = {name: value.clone() for name, value in model.state_dict().items()}
    estimate_norms(model, data[0], 400)
    assert all(torch.equal(ended[name], value) for name, value in model.state_dict().items())


def test_erasing_fills_a_square_with_the_mean():
    images = torch.rand(300, 2, 9, 11)
    erased = Augmentation(erase=4).apply(images)
    changed = (erased != images).any(1)
    sizes = changed.sum((1, 2))
    assert sizes.max() == 16 and 1 <= sizes.min() < 16  # at the border a part of it
    for image, before, where in zip(erased, images, changed):
        rows, columns = where.any(1).nonzero().ravel(), where.any(0).nonzero().ravel()
        assert where.sum() == len(rows) * len(columns)  # a whole rectangle
        assert torch.allclose(image[:, where], before.mean((1, 2))[:, None].expand(-1, int(where.sum())))
    assert all(changed[:, y, x].any() for y in (0, 8) for x in (0, 10))


@pytest.mark.parametrize("bad", [{"erase": -1}, {"erase": 1.5}])
def test_bad_squares_are_refused(bad):
    with pytest.raises(ArgumentError, match="erase"):
        Augmentation(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"optimiser": "adam"},
        {"distillation": 1.5},
        {"distillation": -0.1},
        {"temperature": 0},
        {"clean_images": -1},
        {"clean_images": 2.5},
    ],
)
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[0]):
        Schedule(epochs=1, **bad)


def test_the_schedule_names_the_optimiser(data, tmp_path):
    chosen = make_optimiser(small(), replace(QUICK, optimiser="sgd", weight_decay=1e-3))
    assert isinstance(chosen, torch.optim.SGD) and chosen.param_groups[0]["nesterov"]
    assert [group["weight_decay"] for group in chosen.param_groups] == [1e-3, 0.0]
    assert isinstance(make_optimiser(small(), QUICK), torch.optim.AdamW)
    history = fit(seeded(small), *data, replace(QUICK, epochs=4, optimiser="sgd", learning_rate=0.1), tmp_path)
    assert history[-1].validation_accuracy > 0.5


def test_a_checkpoint_of_a_version_with_fewer_options_goes_on(data, tmp_path):
    whole, parts = seeded(small), seeded(small)
    history = fit(whole, *data, QUICK, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(record):
        raise Stop

    with pytest.raises(Stop):
        fit(parts, *data, QUICK, tmp_path / "parts", report=stop)
    state = load_state(tmp_path / "parts" / CHECKPOINT)
    for name in ("optimiser", "distillation", "temperature", "clean_images"):
        del state["identity"]["schedule"][name]
    del state["identity"]["schedule"]["augmentation"]["erase"]
    save_state(tmp_path / "parts" / CHECKPOINT, state)
    resumed = seeded(small)
    assert fit(resumed, *data, QUICK, tmp_path / "parts", resume=True) == history and same(resumed, whole)


# ------------------------------------------------------------------------------------------------------------ teachers


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


# -------------------------------------------------------------------------------------------------- residual networks


@pytest.mark.parametrize(("name", "blocks"), [("resnet8", 3), pytest.param("resnet20", 9, marks=pytest.mark.slow)])
def test_residual_networks_are_trained_and_measured(name, blocks, tmp_path, monkeypatch, capsys):
    recipe = RECIPES[name]
    assert sum(isinstance(one, Residual) for one in recipe.build().modules()) == blocks
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 70).astype(np.uint8)
    images = (labels[:, None, None, None] * 25 + generator.integers(0, 6, (70, 32, 32, 3))).astype(np.uint8)
    np.savez(
        tmp_path / "cifar10.npz",
        train_images=images[:60],
        train_labels=labels[:60],
        test_images=images[60:],
        test_labels=labels[60:],
    )
    quick = Schedule(epochs=2, batch=16, optimiser="sgd", learning_rate=0.1, clean_images=50)
    monkeypatch.setitem(RECIPES, name, replace(recipe, teacher=None, schedule=quick, whole=replace(quick, epochs=1)))
    data = ["--data-dir", str(tmp_path), "--device", "cpu"]
    run = str(tmp_path / "run")
    assert main(["train", name, "--out", run, "--quiet", *data]) == 0
    assert main(["evaluate", run, "--json", *data]) == 0
    assert main(["profile", name, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    one_each = [f"--{stage}=1" for stage in ("rounds", "round-epochs", "tune-epochs", "share-epochs")]
    commands = [["export"], ["compress", "--quiet", *one_each], ["sweep", "--thresholds=1"], ["spectrum"]]
    for command, *options in commands[:3] if name == "resnet8" else commands:  # the last has many plots
        assert main([command, run, *options, "--data-dir", str(tmp_path)]) == 0, capsys.readouterr().err
    assert last[0]["parameters"] == sum(p.numel() for p in recipe.build().parameters())


def test_a_block_is_the_sum_of_two_paths():
    body, shortcut = nn.Conv2d(2, 3, 3, 2, 1), nn.Conv2d(2, 3, 1, 2)
    x = torch.randn(2, 2, 6, 6)
    assert torch.equal(Residual(body, shortcut)(x), torch.relu(body(x) + shortcut(x)))
    flat = nn.Conv2d(2, 2, 1)
    assert torch.equal(Residual(flat)(x), torch.relu(flat(x) + x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_recorded_step_is_the_computed_one(data):
    train = TensorData(*(one.to("cuda") for one in (data[0].images, data[0].labels, data[0].mean, data[0].std)))
    schedule = replace(QUICK, augmentation=Augmentation(crop=2, flip=True))
    model = seeded(small).to("cuda").train()
    step = Computed(model, Forward.of(model, schedule, torch.device("cuda")), train, schedule)
    recorded, chosen = Recorded(step, 32), torch.arange(64, 96, device="cuda")
    torch.manual_seed(5)
    loss, right = (one.clone() for one in recorded(chosen))
    gradients = [p.grad.clone() for p in model.parameters()]
    torch.manual_seed(5)
    again, also_right = step(chosen)
    assert torch.allclose(loss, again) and right == also_right
    assert all(torch.allclose(a, p.grad, atol=1e-5) for a, p in zip(gradients, model.parameters()))


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "vgg", "vgg_bnn", "vgg_bnn_half"])
def test_statistics_of_images_as_they_are_do_not_go_with_black_borders(name):
    """They cost resnet8 five points, and vgg one: images of CIFAR-10 fill their frame, crops of training do not."""
    recipe = RECIPES[name]
    for schedule in (recipe.start, recipe.schedule, recipe.whole):
        if schedule is not None and schedule.augmentation.crop:
            assert schedule.augmentation.reflect or not schedule.clean_images
