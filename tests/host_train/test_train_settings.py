"""Numbers that a caller gives: NumPy's are kept as Python's, so that files can hold them; others are refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from host_train.compression.experiment import experiment
from host_train.compression.recipe import CompressionRecipe
from host_train.compression.share import share
from host_train.networks.step import step_cost
from host_train.settings import Settings
from host_train.spectrum.bits import check_rates
from pynq_cnn.errors import ArgumentError


def test_numpys_integers_are_kept_as_pythons():
    settings = Settings("lenet", seed=np.int64(3), epochs=np.int32(2), batch=np.uint8(9), threads=np.int64(1))
    assert settings == Settings("lenet", seed=3, epochs=2, batch=9, threads=1)
    assert json.loads(json.dumps(asdict(settings)))["seed"] == 3
    recipe = CompressionRecipe(bits={"*": np.int64(4)}, rounds=np.int64(2))
    assert json.loads(json.dumps({"bits": recipe.bits, "rounds": recipe.rounds})) == {"bits": {"*": 4}, "rounds": 2}
    assert [type(rate) for rate in check_rates(np.array([1, 8]).tolist() + [np.int64(2)])] == [int] * 3


def test_codebooks_take_numpys_integers():
    from torch import nn

    assert share(nn.Sequential(nn.Linear(4, 2)), {"*": np.int64(2)}, (1.0,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings("lenet", epochs=0), "epochs must be an integer from 1, not 0"),
        (lambda: Settings("lenet", batch=True), "batch must be an integer from 1, not True"),
        (lambda: Settings("lenet", qat_epochs=-1), "qat_epochs must be an integer from 0, not -1"),
        (lambda: Settings("lenet", seed=2**32), "seed must be an integer from 0 to 4294967295, not 4294967296"),
        (lambda: CompressionRecipe(rounds=1.5), "rounds must be an integer from 1, not 1.5"),
        (lambda: step_cost(None, "n", (1, 2, 2), 0), "batch must be an integer from 1, not 0"),
        (lambda: experiment(None, None, [1.0], bits=9), "bits must be an integer from 1 to 8, not 9"),
        (lambda: experiment(None, None, [1.0], epochs=True), "epochs must be an integer from 1, not True"),
        (lambda: check_rates([]), "there are no rates"),
        (lambda: check_rates([9]), "each of the rates must be an integer from 1 to 8, not 9"),
    ],
)
def test_other_numbers_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
