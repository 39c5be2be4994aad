"""Networks whose inputs are resized: training, calibration and integers see the same bytes."""

from __future__ import annotations

import json

import numpy as np
from torch import nn

from host_train.cli import main
from host_train.data import load_dataset
from host_train.data.resize import resize_dataset
from host_train.networks import RECIPES, Recipe
from host_train.runs.run import Run
from host_train.training.schedule import Schedule
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.images import to_network_input
from pynq_cnn.model import AvgPool2d, InputSpec, load_package


def test_resized_data_are_the_bytes_that_a_picture_gives(digits_folder):
    dataset = load_dataset("mnist", digits_folder)
    resized = resize_dataset(dataset, 56, 42)
    spec = InputSpec(56, 42, 1, "L", (0.5,), (0.5,))
    assert resized.spec.shape == (56, 42, 1) and resized.train.images.shape == (700, 56, 42, 1)
    assert np.array_equal(resized.test.labels, dataset.test.labels) and resized.source == dataset.source
    for small, large in zip(dataset.test.images[:20], resized.test.images):
        assert np.array_equal(to_network_input(small, spec), large)


def tiny_nin() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 11, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def test_training_calibration_and_integers_see_the_same_bytes(digits_folder, tmp_path, monkeypatch, capsys):
    schedule = Schedule(epochs=5, batch=32, learning_rate=2e-2)
    monkeypatch.setitem(RECIPES, "tiny", Recipe("tiny", "a small one", "mnist", tiny_nin, schedule, size=(56, 56)))
    out, data = str(tmp_path / "run"), ["--data-dir", str(digits_folder)]
    assert main(["train", "tiny", "--out", out, "--quiet", *data]) == 0
    run = Run.open(tmp_path / "run", digits_folder)
    assert run.input.shape == (56, 56, 1)
    small = load_dataset("mnist", digits_folder)
    original = {image.tobytes(): to_network_input(image, run.input).tobytes() for image in small.train.images}
    seen = {image.tobytes() for split in (run.train, run.validation) for image in split.images}
    assert seen == set(original.values())

    assert main(["export", out, *data]) == 0
    network = load_package(tmp_path / "run" / "package")
    assert network.input.shape == (56, 56, 1) and isinstance(network.layers[-1], AvgPool2d)
    assert any(np.array_equal(image, run.dataset.test.images[0]) for image in network.golden.images)
    stated = network.metadata["accuracy"]
    assert stated["integer_top1"] > 0.5 and 0.9 < stated["agreement"] <= 1.0
    assert f"the same class for {round(stated['agreement'] * stated['images'])} of them" in capsys.readouterr().out
    inputs = np.stack([to_network_input(image, network.input) for image in small.test.images])
    answers = network.logits(ReferenceBackend(network).run(inputs)).argmax(1)
    assert (answers == small.test.labels).mean() == stated["integer_top1"]
    assert main(["evaluate", str(tmp_path / "run" / "package"), "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["integer_top1"]
    assert main(["evaluate", out, "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["float32_top1"]
