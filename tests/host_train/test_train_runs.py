"""A run keeps to its data and its network, and is opened by later versions."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from digits import QUICK, write_idx

from host_train.cli import main
from host_train.data import load_dataset
from host_train.data.dataset import digest
from host_train.networks import RECIPES
from host_train.runs.record import data_digest
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError


def test_a_run_keeps_to_its_data(trained, digits, digits_folder, tmp_path, capsys):
    other = write_idx(tmp_path / "other", {**digits, "train_images": digits["train_images"][::-1]})
    for words in (
        ["evaluate", str(trained)],
        ["export", str(trained)],
        ["train", "lenet", "--out", str(trained), "--resume", *QUICK],
    ):
        assert main([*words, "--data-dir", str(other)]) == 1
        err = capsys.readouterr().err
        assert f"{trained} was trained on other data than those of {other}" in err and "--data-dir" in err
    tests = write_idx(tmp_path / "tests", {**digits, "test_images": digits["test_images"][::-1]})
    assert (
        main(["evaluate", str(trained), "--data-dir", str(tests)]) == 0
    )  # measured on other images, of the same training
    compressed = write_idx(tmp_path / "compressed", digits, gzipped=True)
    assert main(["evaluate", str(trained), "--data-dir", str(compressed)]) == 0


def test_a_run_keeps_to_its_network(trained, digits_folder, tmp_path, capsys, monkeypatch):
    """As when another version of the recipe pools before batch norm: every weight fits, and answers are others."""
    layers = dict(RECIPES["lenet"].build().named_children())
    names = list(layers)
    pool, before = names.index("pool1"), names.index("pool1") - 1
    names[before], names[pool] = names[pool], names[before]
    swapped = replace(
        RECIPES["lenet"], build=lambda: torch.nn.Sequential(OrderedDict((name, layers[name]) for name in names))
    )
    monkeypatch.setitem(RECIPES, "lenet", swapped)
    for words in (
        ["evaluate", str(trained)],
        ["export", str(trained)],
        ["train", "lenet", "--out", str(trained), "--resume", *QUICK],
    ):
        assert main([*words, "--data-dir", str(digits_folder)]) == 1
        assert f"{trained} is of another network than lenet is in this version" in capsys.readouterr().err


def test_published_data_are_known_by_their_digests(digits_folder):
    dataset = load_dataset("mnist", digits_folder)
    assert data_digest(dataset) != data_digest(replace(dataset, original=True))
    digests = {
        **dataset.spec.digests,
        "train_images": digest(dataset.train.images),
        "train_labels": digest(dataset.train.labels),
    }
    assert data_digest(replace(dataset, original=True, spec=replace(dataset.spec, digests=digests))) == data_digest(
        dataset
    )


def test_runs_from_before_the_digest_open_and_stay_as_they_are(trained, digits_folder, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    stored = json.loads(path.read_text())
    del stored["data"], stored["network"]
    path.write_text(json.dumps(stored))
    before, run = path.read_text(), Run.open(tmp_path / "run", digits_folder)
    assert run.settings.command() == stored["command"]
    assert (
        Run.create(tmp_path / "run", run.settings, digits_folder).settings == run.settings
        and path.read_text() == before
    )


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "[" * 100000, '{"recipe": "lenet", "colour": 1}', '{"recipe": ["x"]}', '{"seed": 1}']
    + [
        f'{{"recipe": "lenet", "{name}": "3"}}'
        for name in ("seed", "epochs", "batch", "learning_rate", "qat_epochs", "threads")
    ],
)
def test_a_damaged_run_is_named(tmp_path, digits_folder, damage):
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(ArgumentError, match="run.json"):
        Run.open(tmp_path, digits_folder)


def test_weights_of_another_network_are_refused(trained, digits_folder, tmp_path, monkeypatch):
    run = Run.open(trained, digits_folder)
    other = replace(run, recipe=replace(run.recipe, build=lambda: torch.nn.Sequential(torch.nn.Linear(2, 2))))
    with pytest.raises(ArgumentError, match="weights.pt has not the weights of this network"):
        other.float_model()


def test_runs_from_before_the_option_still_open(tmp_path, digits_folder):
    (tmp_path / "run.json").write_text('{"recipe": "lenet", "seed": 3, "epochs": null, "threads": 2, "command": "..."}')
    settings = Run.open(tmp_path, digits_folder).settings
    assert settings == Settings("lenet", seed=3, threads=2)
    assert settings.command() == "python -m host_train train lenet --seed 3 --threads 2"
    assert Settings("lenet", qat_epochs=0).command() == "python -m host_train train lenet --seed 0 --qat-epochs 0"
