"""Options of a training change its recipe: how long it is, the size of images, the first weights."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from host_train.cli import main
from host_train.networks import RECIPES
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError


@pytest.mark.parametrize(("epochs", "qat"), [(None, 10), (2, 1), (1, 1), (30, 5), (60, 10), (120, 20)])
def test_quantisation_aware_epochs_are_in_proportion(epochs, qat):
    """60 and 10 are the recipe's."""
    assert Settings("convnet", epochs=epochs).resolve().qat.epochs == qat
    assert Settings("convnet", epochs=epochs, qat_epochs=3).resolve().qat.epochs == 3
    assert Settings("convnet", epochs=epochs, qat_epochs=0).resolve().qat is None
    assert Settings("nin", epochs=epochs).resolve().qat is None


def test_a_short_training_is_short_and_says_how_long_it_is(digits_folder, tmp_path, capsys):
    words = [
        "train",
        "convnet",
        "--epochs",
        "2",
        "--batch",
        "64",
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "2 epochs in floating point, then 1 quantisation-aware" in text
    assert re.findall(r"(float|qat) +epoch +(\d+)/(\d+) .* [\d.]+ s", text) == [
        ("float", "1", "2"),
        ("float", "2", "2"),
        ("qat", "1", "1"),
    ]
    assert main(["networks"]) == 0
    text = capsys.readouterr().out
    assert "60 epochs and 10 quantisation-aware" in text and "nin " in text


def test_another_size_and_beginning():
    small = Settings("nin", size=96).resolve()
    assert small.size == (96, 96) and replace(small, size=(112, 112)) == RECIPES["nin"]
    with pytest.raises(ArgumentError, match="vgg_bnn_half does not take images of 224 x 224"):
        Settings("vgg_bnn_half", size=224).resolve()
    with pytest.raises(ArgumentError, match="remove --initial"):
        Settings("vgg_bnn", initial="xavier").resolve()
    for initial, spread in {"xavier": (2 / (11 * 11 * 97)) ** 0.5, "kaiming": (2 / 121) ** 0.5, "normal": 0.05}.items():
        first = Settings("nin_plain", initial=initial).resolve().build()[0]
        assert float(first.weight.detach().std()) == pytest.approx(spread, rel=0.05) and not first.bias.any()
    command = Settings("nin", size=96, initial="xavier").command()
    assert command == "python -m host_train train nin --seed 0 --size 96 --initial xavier"
    for bad in ({"size": 0}, {"size": 4096}, {"size": "96"}, {"initial": "zero"}, {"initial": 3}):
        with pytest.raises(ArgumentError, match="must be"):
            Settings("nin", **bad).resolve()


def test_settings_change_the_recipe_and_nothing_else():
    recipe = RECIPES["lenet"]
    assert Settings("lenet").resolve() == recipe
    assert Settings("lenet", epochs=60).resolve().qat == replace(recipe.qat, epochs=10)
    changed = Settings("lenet", epochs=3, batch=16, learning_rate=0.5, qat_epochs=0).resolve()
    assert changed.qat is None and changed.schedule == replace(recipe.schedule, epochs=3, batch=16, learning_rate=0.5)
    assert Settings("lenet", qat_epochs=2).resolve().qat == replace(recipe.qat, epochs=2)
    nin = Settings("nin", qat_epochs=2).resolve()
    assert nin.schedule.bfloat16 and nin.qat == replace(nin.schedule, epochs=2, bfloat16=False, compiled=False)


def test_networks_are_listed(capsys):
    assert main(["networks"]) == 0
    assert "lenet" in capsys.readouterr().out
