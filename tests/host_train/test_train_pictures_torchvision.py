"""Data sets of torchvision in the place of a folder of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from digits import idx_bytes
from stripes import GREY

from host_train.data.own import load_pictures
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.errors import DatasetError


def test_data_sets_of_torchvision_are_taken(tmp_path, digits):
    """Of files that are there already: nothing is downloaded."""
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, word in (("train", "train"), ("test", "t10k")):
        (raw / f"{word}-images-idx3-ubyte").write_bytes(idx_bytes(digits[f"{part}_images"]))
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(idx_bytes(digits[f"{part}_labels"]))
    dataset = load_pictures("torchvision:MNIST", GREY, tmp_path)
    assert len(dataset.train) == 700 and len(dataset.test) == 120 and dataset.spec.title == "torchvision's MNIST"
    assert dataset.spec.classes[3] == "3 - three"
    first = int(dataset.names["test"][0].removeprefix("test/"))
    assert np.array_equal(dataset.test.images[0, :, :, 0], digits["test_images"][first])
    assert dataset.test.labels[0] == digits["test_labels"][first]
    settings = Settings("lenet", epochs=1, batch=32, qat_epochs=0, pictures="torchvision:MNIST")
    assert len(Run.create(tmp_path / "run", settings, tmp_path).validation) == 70
    with pytest.raises(DatasetError, match="has no 'Digits'; give the name of one of its classes"):
        load_pictures("torchvision:Digits", GREY, tmp_path)
    for name, message in [
        ("ImageNet", "ImageNet of torchvision, in .* cannot be had: .*; give the folder of its files by --data-dir"),
        ("FakeData", "has no files, and so no pictures"),
        ("EMNIST", "has no split called train or trainval"),
    ]:
        with pytest.raises(DatasetError, match=message):
            load_pictures(f"torchvision:{name}", GREY, tmp_path)


def test_without_torchvision_that_is_told(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DatasetError, match=r"needs torchvision, which cannot be imported: .*pip install"):
        load_pictures("torchvision:SVHN", GREY, tmp_path)
