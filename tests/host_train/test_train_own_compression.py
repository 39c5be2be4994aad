"""Compression of a network of one's own with its data in any form; sensitivity; tables as data frames; logs."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import digit_arrays
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from host_train import from_torch
from host_train.cli import main
from host_train.compression.dense import layer_sizes
from host_train.compression.own import prune_in_rounds, share_and_tune
from host_train.compression.prune import kept, weighted_layers
from host_train.compression.recipe import CompressionRecipe
from host_train.compression.sensitivity import plot_sensitivity, sensitivity, to_markdown, write_points
from host_train.compression.share import codebook
from host_train.compression.subject import Subject, own_subject
from host_train.compression.sweep import sweep
from host_train.compression.table import compression_table
from host_train.frame import rows_of, to_frame
from host_train.quantisation.fold import fold
from host_train.tracing.trace import trace
from host_train.training.fit import fit
from host_train.training.loader import Loader
from host_train.training.measure import measure
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import save_package

RECIPE = CompressionRecipe(
    {"*": 0.3}, {"*": 3}, rounds=2, round_epochs=1, tune_epochs=2, share_epochs=1, learning_rate=3e-3
)


class Mine(nn.Module):
    """Layers in modules, functions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 5, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.features(x), 1))


@pytest.fixture(scope="module")
def parts() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    arrays = digit_arrays()
    return {
        part: (
            torch.from_numpy(arrays[f"{part}_images"]).float()[:, None] / 255,
            torch.from_numpy(arrays[f"{part}_labels"].astype(np.int64)),
        )
        for part in ("train", "test")
    }


@pytest.fixture(scope="module")
def model(parts) -> nn.Module:
    torch.manual_seed(0)
    trained = Mine()
    fit(trained, Loader(parts["train"]), None, Schedule(3, 32, 3e-3), None, progress=False)
    assert measure(trained, Loader(parts["test"]))[1] > 0.95
    return trained


@pytest.fixture
def subject(model, parts) -> Subject:
    train = DataLoader(TensorDataset(*parts["train"]), batch_size=32, shuffle=True)
    return own_subject(model, parts["test"], train)


# --------------------------------------------------------------------------------------------------------- data


def test_data_may_come_in_any_form(model, parts):
    images, labels = parts["test"]
    batches = list(zip(images.split(32), labels.split(32)))
    expected = measure(model, Loader((images, labels)))
    for data in (
        (images.numpy(), labels.numpy()),
        [images, labels.tolist()],
        DataLoader(TensorDataset(images, labels), batch_size=50),
        batches,
        (pair for pair in batches),  # which can be gone through but once
    ):
        loader = Loader(data)
        for _ in range(2):
            assert measure(model, loader) == pytest.approx(expected, rel=1e-5)
        assert len(loader) == 120


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("folder", "data must be a DataLoader"),
        (torch.zeros(3), "data must be a DataLoader"),
        (5, "data must be a DataLoader"),
        ([], "there are no images"),
        ([torch.zeros(3, 1, 2, 2)], "a batch of it is a Tensor"),
        ([(1, 2, 3)], "a batch of it is 3 things"),
        ([("a", "b")], "a batch of it is no numbers"),
        (
            (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), [0, 1]),
            "inputs must be floats as the model takes them, not torch.uint8",
        ),
        ((torch.zeros(2, 4), torch.zeros(2)), "labels must be integers"),
        ((torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.int64)), "labels must be integers"),
        ((torch.zeros(3, 4), [0, 1]), "a label for each input, not 2 for"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(ArgumentError, match=message):
        Loader(data)


def test_models_that_do_not_fit_are_told(parts):
    flat = Loader(parts["test"])
    with pytest.raises(ArgumentError, match="labels from 0 to 9, and the model gives 4 classes"):
        measure(nn.Sequential(nn.Flatten(), nn.Linear(784, 4)), flat)
    for run in (lambda: measure(nn.Identity(), flat), lambda: fit(nn.Conv2d(1, 1, 1), flat, flat, Schedule(1), None)):
        with pytest.raises(ArgumentError, match=r"must give logits \[n, classes\]"):
            run()
    with pytest.raises(ArgumentError, match="no distillation, no clean_images"):
        fit(nn.Linear(1, 1), flat, None, Schedule(1, clean_images=5), None)
    with pytest.raises(ArgumentError, match="model must be a torch.nn.Module, not a str"):
        own_subject("model", parts["test"])  # type: ignore[arg-type]


def test_a_training_by_a_loader_is_resumed_bit_by_bit(parts, tmp_path):
    def train(folder: Path | None, stop: int = 9, resume: bool = False) -> dict[str, torch.Tensor]:
        def report(record: object) -> None:
            if record.epoch == stop:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

        torch.manual_seed(4)
        net = Mine()
        data = DataLoader(TensorDataset(*parts["train"]), batch_size=50, shuffle=True)
        fit(net, Loader(data), Loader(parts["test"]), Schedule(3), folder, resume=resume, progress=False, report=report)
        return net.state_dict()

    whole = train(None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop=2)
    resumed = train(tmp_path, resume=True)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


# ------------------------------------------------------------------------------------------------- compression


def test_a_network_of_ones_own_is_pruned_shared_and_coded(subject, parts, tmp_path):
    steps = []
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    pruned = prune_in_rounds(subject, RECIPE, progress=False, report=lambda name, record: steps.append(name))
    assert steps == ["prune 1/2", "prune 2/2", "tune", "tune"]
    assert kept(pruned) == {"features.0": (60, 200), "head": (1536, 5120)}
    assert subject.measure(pruned)[1] > 0.9
    shared = share_and_tune(subject, pruned, RECIPE, progress=False)
    assert all(len(codebook(layer)) <= 7 for layer in weighted_layers(shared).values())
    assert subject.measure(shared)[1] > 0.9
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())


def test_it_becomes_a_small_package(model, parts, tmp_path):
    """Batch norm is folded first: it would scale the values that channels share."""
    images = parts["train"][0]
    folded = fold(trace(model, images[:2]).layers)
    subject = own_subject(folded, parts["test"], parts["train"])
    shared = share_and_tune(subject, prune_in_rounds(subject, RECIPE, progress=False), RECIPE, progress=False)
    network = from_torch(shared, images[:200], name="mine", shared=True)
    save_package(network, tmp_path / "mine")
    rows = compression_table(network, tmp_path / "mine", layer_sizes(shared))
    assert rows[-1].dense == 4 * (200 + 8 + 5120 + 10) and rows[-1].dense / rows[-1].huffman > 12
    assert rows_of(rows)[0]["kept"] <= 60 and rows_of(rows)[-1]["name"] == "total"


def test_what_is_of_runs_is_refused(subject):
    for change in ({"units": {"head": 3}}, {"distillation": 0.5}):
        with pytest.raises(ArgumentError, match="is of the compression of a run"):
            prune_in_rounds(subject, CompressionRecipe(**change))
    with pytest.raises(ArgumentError, match="names the layer 'fc'; the layers with weights are features.0, head"):
        prune_in_rounds(subject, CompressionRecipe({"fc": 0.5}))


def test_a_sweep_of_ones_own_network(subject, model, parts, tmp_path):
    points = sweep(subject, tmp_path, [0.5, 1.0, 3.0], epochs=1, progress=False)
    assert [point.threshold for point in points] == [0.5, 1.0, 3.0] and all(point.tuned is not None for point in points)
    assert points[0].accuracy > points[2].accuracy and points[2].sparsity > 0.9
    names = ("sweep.json", "threshold-accuracy.png", "threshold-sparsity.png", "sparsity-accuracy.png")
    assert all((tmp_path / name).is_file() for name in names)
    assert rows_of(points)[0]["layers.head"] == points[0].layers["head"]
    with pytest.raises(ArgumentError, match="has nothing to fine-tune on; give it train=, or epochs=0"):
        sweep(own_subject(model, parts["test"]), tmp_path / "other", [1.0], epochs=1)


# ------------------------------------------------------------------------------------------------- sensitivity


def test_layers_differ_in_what_they_can_lose(subject, tmp_path):
    found = sensitivity(subject, keep=[0.01, 0.5, 1], bits=[2, 8], progress=False)
    assert [(one.layer, one.how) for one in found.points] == [
        (layer, how) for layer in ("features.0", "head") for how in ["pruned"] * 3 + ["shared"] * 2
    ]
    assert found.accuracy == subject.measure(subject.copy())[1] and found.images == 120
    for layer, points in found.of("pruned").items():
        whole, half, little = points
        assert (whole.keep, half.keep, little.keep) == (1, 0.5, 0.01)
        assert whole.accuracy == found.accuracy and whole.loss == pytest.approx(found.loss)
        assert half.sparsity == 0.5 and little.accuracy < half.accuracy, layer
    for fine, coarse in found.of("shared").values():
        assert (fine.bits, coarse.bits) == (8, 2) and fine.loss == pytest.approx(found.loss, abs=0.02)
        assert coarse.loss > fine.loss
    text = to_markdown(found)
    assert "| layer, alone | 100 % kept | 50 % kept | 1 % kept |" in text and "as trained" in text
    write_points(found, tmp_path / "points.csv")
    rows = list(csv.DictReader((tmp_path / "points.csv").open()))
    assert len(rows) == 10 and float(rows[1]["accuracy"]) == found.points[1].accuracy and rows[1]["bits"] == ""
    plot_sensitivity(found, tmp_path / "plot.png")
    plot_sensitivity(sensitivity(subject, keep=[], bits=[3], progress=False), tmp_path / "one.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "one.png").is_file()
    for bad, message in [
        ({"keep": [0]}, "part of each layer"),
        ({"bits": [9]}, "bits of each"),
        ({"keep": [], "bits": []}, "nothing"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            sensitivity(subject, **bad)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits_folder) -> Path:
    """A run, interrupted and resumed, with logs."""
    out = tmp_path_factory.mktemp("logged")
    words = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out / "lenet"), "--quiet"]
    words += [
        "--epochs",
        "3",
        "--batch",
        "32",
        "--qat-epochs",
        "1",
        "--device",
        "cpu",
        "--csv",
        str(out / "log" / "e.csv"),
    ]
    if find_spec("tensorboard"):
        words += ["--tensorboard", str(out / "board")]
    with pytest.MonkeyPatch.context() as patch:
        plotted = []

        def interrupt(*given: object) -> None:
            plotted.append(given)
            raise KeyboardInterrupt

        patch.setattr("host_train.runs.training.plot_history", interrupt)
        assert main(words) == 130 and plotted
    assert main([*words, "--resume"]) == 0
    return out


def test_a_run_has_a_command_for_it(trained, digits_folder, capsys):
    words = ["sensitivity", str(trained / "lenet"), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    assert main([*words, "--keep", "0.5", "0.1", "--bits", "2", "4"]) == 0
    assert "50 % kept" in capsys.readouterr().out
    folder = trained / "lenet" / "sensitivity"
    stored = json.loads((folder / "sensitivity.json").read_text())
    assert len(stored["points"]) == 16 and stored["of"].startswith("python -m host_train train lenet")
    assert {path.name for path in folder.iterdir()} == {f"sensitivity.{kind}" for kind in ("json", "md", "csv", "png")}
    assert main([*words, "--keep", "2"]) == 1 and "part of each layer to keep must be" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- logs


def test_every_epoch_is_in_the_csv_file(trained):
    rows = list(csv.DictReader((trained / "log" / "e.csv").open()))
    assert [(row["training"], row["epoch"]) for row in rows] == [
        ("float", "1"),
        ("float", "2"),
        ("float", "3"),
        ("qat", "1"),
    ]
    history = json.loads((trained / "lenet" / "float" / "history.json").read_text())
    assert float(rows[1]["validation_accuracy"]) == history[1]["validation_accuracy"]


def test_every_epoch_is_in_tensorboard(trained):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = json.loads((trained / "lenet" / "float" / "history.json").read_text())
    events = EventAccumulator(str(trained / "board" / "float")).Reload()
    found = {event.step: event.value for event in events.Scalars("validation_loss")}
    assert found == pytest.approx({one["epoch"]: one["validation_loss"] for one in history}, rel=1e-5)
    assert len(EventAccumulator(str(trained / "board" / "qat")).Reload().Scalars("train_loss")) == 1


def test_without_tensorboard_that_is_told_before_training(tmp_path, digits_folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    words = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(tmp_path / "r"), "--device", "cpu"]
    assert main([*words, "--tensorboard", str(tmp_path / "board")]) == 1
    assert "--tensorboard needs TensorBoard, which is not installed: pip install tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "r" / "float").exists()


def test_tables_become_data_frames(subject, monkeypatch):
    points = sensitivity(subject, keep=[0.5], bits=[], progress=False).points
    assert rows_of(points)[0]["layer"] == "features.0"
    with pytest.raises(ArgumentError, match="a row must be a dataclass or a mapping"):
        rows_of([5])
    if find_spec("pandas"):
        frame = to_frame(points)
        assert list(frame["layer"]) == ["features.0", "head"] and frame["sparsity"].max() == 0.5
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ArgumentError, match="needs pandas, which is not installed: pip install pandas; without it"):
        to_frame(points)
