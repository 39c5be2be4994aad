"""The cache of data sets, and where they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import host_train.data as data
from host_train.data import load_dataset
from host_train.data.dataset import ARRAY_NAMES, digest
from host_train.data.npz import write_npz
from host_train.data.sources import Source
from pynq_cnn.errors import DatasetError


class Way:
    """A source that counts how often it is asked."""

    def __init__(self, answer: dict[str, np.ndarray] | str) -> None:
        self.answer, self.asked = answer, 0
        self.source = Source(f"way {answer if isinstance(answer, str) else 'good'}", self.fetch)

    def fetch(self) -> dict[str, np.ndarray]:
        self.asked += 1
        if isinstance(self.answer, str):
            raise DatasetError(self.answer)
        return self.answer


@pytest.fixture
def tiny(monkeypatch, digits):
    """Registers the small data set as MNIST, with its own digests; gives it the ways to try."""

    def register(*ways: Way) -> None:
        entry = data.DATASETS["mnist"]
        spec = replace(entry.spec, digests={name: digest(digits[name]) for name in ARRAY_NAMES})
        monkeypatch.setitem(
            data.DATASETS, "mnist", replace(entry, spec=spec, sources=tuple(way.source for way in ways))
        )

    return register


def test_what_is_fetched_is_kept_in_the_cache(tiny, digits, own_cache):
    broken, good, never = Way("broken"), Way(digits), Way("never asked")
    tiny(broken, good, never)
    first = load_dataset("mnist")
    assert first.original and first.source == "way good" and (broken.asked, good.asked, never.asked) == (1, 1, 0)
    second = load_dataset("mnist")
    assert second.source == str(own_cache / "mnist.npz") and good.asked == 1
    assert np.array_equal(first.train.images, second.train.images) and second.train.labels.dtype == np.int64
    assert [path.name for path in own_cache.iterdir()] == ["mnist.npz"]


def test_a_folder_is_preferred_and_not_cached(tiny, digits, digits_folder, own_cache):
    way = Way(digits)
    tiny(way)
    assert load_dataset("mnist", digits_folder).original and way.asked == 0 and not own_cache.exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:1000], lambda b: b"", lambda b: b[:3000] + bytes([b[3000] ^ 1]) + b[3001:]]
)
def test_a_damaged_cache_is_replaced(tiny, digits, own_cache, damage):
    way = Way(digits)
    tiny(way)
    load_dataset("mnist")
    path = own_cache / "mnist.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert load_dataset("mnist").source == "way good" and way.asked == 2
    assert load_dataset("mnist").source == str(path)


def test_another_data_set_in_the_cache_is_not_taken_for_this(tiny, digits, own_cache):
    way = Way(digits)
    tiny(way)
    write_npz(own_cache / "mnist.npz", {**digits, "test_labels": digits["test_labels"][::-1]})
    assert load_dataset("mnist").source == "way good"


def test_when_nothing_works_every_way_is_listed(tiny, digits, own_cache):
    altered = Way({**digits, "train_images": digits["train_images"] ^ 1})
    tiny(Way("no npm here"), altered, Way("no network"))
    with pytest.raises(DatasetError) as raised:
        load_dataset("mnist")
    text = str(raised.value)
    for part in (
        "--data-dir",
        str(own_cache / "mnist.npz"),
        "no npm here",
        "train_images are not those of MNIST",
        "no network",
        "idx files",
    ):
        assert part in text
    assert not own_cache.exists()


def test_an_unwritable_cache_is_no_obstacle(tiny, digits, tmp_path, monkeypatch):
    tiny(Way(digits))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PYNQ_CNN_DATA", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert load_dataset("mnist").original


def test_interrupted_write_leaves_what_was_there(tmp_path, digits, monkeypatch):
    path = tmp_path / "mnist.npz"
    write_npz(path, digits)
    before = path.read_bytes()

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_npz(path, digits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
