"""Many results beside each other: compressions as a front, trainings over their epochs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from host_train.cli import main
from host_train.compression.front import FrontPoint, plot_front
from host_train.runs.beside import grouped, plot_beside, read_training


def compression(folder: Path, stored: int, top1: float) -> str:
    total = {"name": "total", "stored": stored, "stored_ratio": 1724320 / stored, "kept": stored // 2}
    folder.mkdir()
    (folder / "table.json").write_text(json.dumps({"layers": [total], "accuracy": {"integer_top1": top1}}))
    return str(folder)


def test_the_front_of_many_compressions(tmp_path, capsys):
    made = [("worse", 12000, 0.985), ("small", 8000, 0.99), ("large", 20000, 0.994)]
    words = ["front", *(compression(tmp_path / name, *rest) for name, *rest in made), "--out", str(tmp_path / "f")]
    assert main(words) == 0
    out = capsys.readouterr().out
    lines = [line.split("|") for line in out.splitlines() if line.startswith("|")][2:]
    assert [line[1].strip() for line in lines] == ["large", "worse", "small"]
    assert [line[-2].strip() for line in lines] == ["yes", "", "yes"] and lines[2][3].strip() == "215.5x"
    assert "39x at 99.26 %" in out and "419x at 99.00 %" in out and "arXiv 1705.08665" in out
    assert (tmp_path / "f" / "front.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "f" / "front.csv").read_text().splitlines()) == 4
    (tmp_path / "other").mkdir()
    same = compression(tmp_path / "other" / "small", 7000, 0.98)
    assert main(["front", words[2], same, "--out", str(tmp_path / "f")]) == 0
    told = capsys.readouterr().out
    assert f"| {tmp_path.name}/small " in told and "| other/small " in told
    assert main([*words, "--network", "deepnet"]) == 0
    assert "39x" not in capsys.readouterr().out
    assert main(["front", str(tmp_path)]) == 1
    assert "table.json is not there" in capsys.readouterr().err
    (tmp_path / "small" / "table.json").write_text("{}")
    assert main(["front", str(tmp_path / "small")]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("top1s", "told"),
    [
        ((0.999, 0.998), ""),
        ((0.9911, 0.985, 0.954), "1 point is below the picture"),
        ((0.99, 0.6, 0.5), "2 points are below the picture"),
    ],
)
def test_a_front_shows_no_accuracy_above_100_and_tells_what_lies_below(top1s, told, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    points = [FrontPoint(str(i), 10, 1465 * (1 + i), 5, top1) for i, top1 in enumerate(top1s)]
    plot_front(points, (), tmp_path / "f.png", "title")
    (axes,) = figures[0].axes
    low, high = axes.get_ylim()
    assert 100 * top1s[0] < high <= 100
    assert sum(100 * top1 < low for top1 in top1s) == int(told[:1] or 0)
    assert told in axes.get_title() and bool(told) == ("below" in axes.get_title())


def training(folder: Path, seed: int, accuracies: list[float], **settings: object) -> str:
    (folder / "float").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"recipe": "vgg_bnn_half", "seed": seed, **settings}))
    epochs = [
        {
            "epoch": number,
            "train_loss": 1 - part,
            "train_accuracy": part,
            "validation_loss": 1 - part,
            "validation_accuracy": part,
            "seconds": 2.0,
        }
        for number, part in enumerate(accuracies, 1)
    ]
    (folder / "float" / "history.json").write_text(json.dumps(epochs))
    (folder / "evaluation.json").write_text(json.dumps({"top1": accuracies[-1] - 0.01}))
    return str(folder)


@pytest.mark.parametrize(("accuracies", "told"), [([0.7], False), ([0.7, 0.8], True)])
def test_what_is_shaded_is_told(accuracies, told, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    runs = [training(tmp_path / str(seed), seed, [0.5, reached]) for seed, reached in enumerate(accuracies)]
    plot_beside(grouped([read_training(Path(run)) for run in runs]), tmp_path / "b.png", "title")
    assert ("shaded from the least to the most" in figures[0].get_suptitle()) == told


def test_trainings_beside_each_other(tmp_path, capsys):
    runs = [
        training(tmp_path / "a0", 0, [0.5, 0.7]),
        training(tmp_path / "a1", 1, [0.5, 0.8]),
        training(tmp_path / "b0", 0, [0.3, 0.4], stochastic=True),
    ]
    assert main(["beside", *runs, "--out", str(tmp_path / "o")]) == 0
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line[1:-1]] for line in lines]
    assert cells[0] == [
        "vgg_bnn_half, stochastic no",
        "0, 1",
        "75.00 ± 7.07",
        "0.2500 ± 0.0707",
        "74.00 ± 7.07",
        "2.00",
    ]
    assert cells[1][:3] == ["vgg_bnn_half, stochastic", "0", "40.00"]
    with (tmp_path / "o" / "beside.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and rows[-1]["validation_accuracy"] == "0.4" and rows[-1]["seed"] == "0"
    assert (tmp_path / "o" / "beside.png").read_bytes().startswith(b"\x89PNG")
    assert main(["beside", runs[0], runs[0], "--out", str(tmp_path / "o")]) == 1
    assert "is there twice" in capsys.readouterr().err


@pytest.mark.parametrize("history", ["[]", "{", '[{"epoch": 1}]'])
def test_a_run_without_epochs_is_told(history, tmp_path, capsys):
    folder = training(tmp_path / "a", 0, [0.5])
    (tmp_path / "a" / "float" / "history.json").write_text(history)
    assert main(["beside", folder]) == 1
    assert "history.json cannot be read" in capsys.readouterr().err


def test_beginnings_by_the_command_line(digits_folder, tmp_path, capsys):
    words = ["beginnings", "lenet", "--data-dir", str(digits_folder), "--steps", "20", "--batch", "16"]
    assert main([*words, "--out", str(tmp_path / "b.json")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "20 steps of 16 images by AdamW at 0.001, seed 0; losses are\nmeans over the first and the last 2"
    )
    lines = [line.split("|") for line in out.splitlines() if line.startswith("|")][2:]
    assert [line[2].strip() for line in lines] == ["default", "xavier", "kaiming", "normal"]
    found = {one["initial"]: one for one in json.loads((tmp_path / "b.json").read_text())}
    assert all(len(one["losses"]) == 20 and one["losses"][-1] < one["losses"][0] for one in found.values())
    # PyTorch's own beginning has a sixth of Kaiming's variance in each layer, and less comes through.
    assert found["default"]["logits"] < found["xavier"]["logits"] < found["kaiming"]["logits"]
    assert main([*words, "--steps", "0"]) == 1
    assert "--steps must be at least 1" in capsys.readouterr().err
    assert main([*words, "--batch", "1000"]) == 1
    assert re.search(
        r"20 steps of 1000 images are more than the \d+ training images of .*lower", capsys.readouterr().err
    )
