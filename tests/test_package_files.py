"""Packages that were made to harm, or came to harm: one exception, which names file and field; no hang, memory only for
what is stored.
"""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_network import NETWORK
from test_package import edit, npy, rewrite
from test_shared import shared_network

import pynq_cnn.zoo
from pynq_cnn.errors import ArgumentError, ModelPackageError, NetworkError
from pynq_cnn.model import SharedWeight, load_package, save_package, stored_bytes
from pynq_cnn.model.package import reading
from pynq_cnn.model.package.folder import check_replaceable
from pynq_cnn.zoo import MODELS, load_model, models

ARRAY = "layer.conv.weight.npy"
MANIFEST = "manifest.json"
UNIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")


def change_text(folder: Path, old: str, new: str) -> None:
    """Change the manifest as text, past what a JSON writer would write."""
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert old in text
    (folder / MANIFEST).write_text(text.replace(old, new, 1), encoding="utf-8")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    """A socket; its name is bound from its own folder, as long paths cannot be."""
    code = "import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(path.parent), path.name], check=True)


@UNIX
@pytest.mark.parametrize("file", [ARRAY, MANIFEST])
@pytest.mark.parametrize("put", [pipe, device, loop, listening, Path.mkdir])
def test_what_is_no_file_is_refused_and_not_opened(package, file, put):
    (package / file).unlink()
    put(package / file)
    for read in (load_package, stored_bytes, load_model):
        with pytest.raises(ModelPackageError, match=file):
            read(package)
    with pytest.raises(ModelPackageError, match="not a model package"):
        save_package(NETWORK, package)
    assert os.path.lexists(package / file)


def test_a_pipe_that_comes_between_looking_and_opening_does_not_hang(package, monkeypatch):
    file = package / ARRAY
    stat = os.stat

    def slow(path, *args, **options):
        about = stat(path, *args, **options)
        if path == file:
            file.unlink()
            os.mkfifo(file)
        return about

    monkeypatch.setattr(os, "stat", slow)
    with pytest.raises(ModelPackageError, match="is a pipe, not a file"):
        reading.read_file(file, 1000)


@pytest.mark.parametrize("grown", [-5, 5])
def test_a_file_that_changes_while_it_is_read(package, monkeypatch, grown):
    file = package / ARRAY
    fstat, size = os.fstat, file.stat().st_size

    def before(descriptor):
        about = fstat(descriptor)
        if os.path.samestat(about, os.stat(file)):
            os.truncate(file, size + grown)
        return about

    monkeypatch.setattr(os, "fstat", before)
    with pytest.raises(ModelPackageError, match=f"{ARRAY} changes while it is read"):
        reading.read_file(file, 1 << 20)


def test_a_file_that_is_too_large_is_not_read(package):
    os.truncate(package / ARRAY, 1 << 40)  # a sparse file
    with pytest.raises(ModelPackageError, match=rf"{ARRAY} has 1099511627776 bytes; at most"):
        load_package(package)
    os.truncate(package / MANIFEST, 1 << 30)
    with pytest.raises(ModelPackageError, match=rf"{MANIFEST} has 1073741824 bytes; at most"):
        load_package(package)


@pytest.mark.parametrize("name", ["a" * 300 + ".npy", "a\0.npy", "\ud800.npy", "\n.npy", ".npy", "..npy"])
def test_names_that_no_file_can_have(package, name):
    edit(package, lambda m: m["output"]["arrays"]["scale"].update(file=name))
    with pytest.raises(
        ModelPackageError, match=r"manifest.json: output.arrays.scale.*(plain name|cannot be read)"
    ) as caught:
        load_package(package)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["a" * 300, "a/" * 3000, "a\0b", "\ud800", "loop", "file", "missing"])
def test_folders_that_are_none(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").touch()
    for read in (load_package, stored_bytes):
        with pytest.raises(ModelPackageError, match="is not a folder"):
            read(path)
    with pytest.raises(ArgumentError, match="neither a shipped network"):
        load_model(path)
    if path != "missing":
        with pytest.raises(ModelPackageError):
            save_package(NETWORK, path)
    assert sorted(os.listdir()) == ["file", "loop"]


@pytest.mark.parametrize("path", [3, None, b"model", ["model"]])
def test_what_is_no_path(path):
    for call in (load_package, stored_bytes, check_replaceable, lambda path: save_package(NETWORK, path)):
        with pytest.raises(ArgumentError, match="must be a path, not"):
            call(path)
    with pytest.raises(ArgumentError, match="must be a Network"):
        save_package("lenet", "model")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"name": "n"', '"name": "n", "name": "m"', "the key 'name' is there twice"),
        ('"integer_top1": 0.99', '"integer_top1": 0.99, "integer_top1": 0.11', "'integer_top1' is there twice"),
        ('"integer_top1": 0.99', '"x": 1e400', "1e400 is beyond"),
        ('"integer_top1": 0.99', '"x": NaN', "NaN is not a JSON number"),
        ('"integer_top1": 0.99', f'"x": {"9" * 5000}', "an integer of 5000 digits"),
        ('"integer_top1": 0.99', f'"x": {"[" * 2000}{"]" * 2000}', "nested deeper"),
        ('"integer_top1": 0.99', f'"x": {"[" * 40}{"]" * 40}', "metadata.accuracy.x.* goes deeper than 32"),
        ('"integer_top1": 0.99', f'"x": {"9" * 400}', "metadata.accuracy.x must be a JSON value .* not an integer of"),
        ('"integer_top1": 0.99', r'"x": ["\ud800"]', r"metadata.accuracy.x\[0\] holds half of a surrogate pair"),
        ('"integer_top1": 0.99', r'"\ud800": 1', "key holds half of a surrogate pair"),
        ('"name": "n"', r'"name": "\udc80"', "network's name"),
        ('"name": "n"', r'"name": "a\nb"', "cannot be shown in a line"),
        ('"name": "n"', f'"name": "{"n" * 300}"', "1 to 255 characters"),
        ('"a",', r'"\ud800",', r"classes\[0\]"),
        ('"a",', r'"a\u0000",', r"classes\[0\]"),
        ('"a",', r'"\u001b[2J",', r"classes\[0\]"),
        ('"a",', r'"a\u2028b",', r"classes\[0\]"),
        ('"a",', r'" ",', r"classes\[0\]"),
        ('"a",', '"b",', "class names must be unique, .'b'. repeat"),
        ('"dtype": "int8"', r'"dtype": "\ud800"', r"holds int8, the manifest says '\\ud800'"),
        ('"name": "conv"', r'"name": "co\nv"', r"layers\[0\].name"),
        ('"mean": [\n   0.5', '"mean": [\n   true', "input.mean must be 1 numbers"),
        ('"mean": [\n   0.5', '"mean": [\n   "0.5"', "input.mean must be 1 numbers"),
        ('"std": [\n   0.5', '"std": [\n   -1e-320', "input.std must be 1 finite positive"),
        ('"fit": "crop"', '"fit": ["crop"]', "input.fit: has the wrong type"),
        ('"format_version": 2', r'"\n\ud800": 1, "format_version": 2', r"'\\n\\ud800': is unknown"),
    ],
)
def test_json_that_readers_understand_differently(package, old, new, message):
    change_text(package, old, new)
    with pytest.raises(ModelPackageError, match=message) as caught:
        load_package(package)
    assert str(package) in str(caught.value) and str(caught.value).encode() and len(str(caught.value)) < 1000


class Number(int):
    pass


def test_metadata_is_copied_into_plain_values(tmp_path):
    given = {
        "a": (1, np.float32(0.5)),
        "b": {"c": np.int64(3), "d": np.bool_(True)},
        "e": Number(7),
        "f": np.str_("text"),
        "g": None,
    }
    network = replace(NETWORK, metadata=given)
    assert network.metadata == {"a": [1, 0.5], "b": {"c": 3, "d": True}, "e": 7, "f": "text", "g": None}
    given["b"]["c"] = "changed"
    assert network.metadata["b"]["c"] == 3
    save_package(network, tmp_path / "model")
    assert load_package(tmp_path / "model") == network


def nested(depth: int):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> dict:
    value: dict = {}
    value["self"] = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (object(), "metadata.x"),
        ([1, {2}], r"metadata.x\[1\]"),
        ({"y": {1: 2}}, "metadata.x.y has the key 1"),
        (float("nan"), "metadata.x"),
        (np.float64("inf"), "metadata.x"),
        (np.zeros(2), "metadata.x"),
        (np.datetime64("2026-01-01"), "metadata.x"),
        (b"bytes", "metadata.x"),
        ("\udfff", "metadata.x"),
        pytest.param(10**5000, "metadata.x .* an integer of 16610 bits", id="5000 digits"),
        (nested(2000), "metadata.x.*deeper than 32"),
        (cyclic(), "metadata.x.*deeper than 32"),
        ([0] * (1 << 18), "more than 262144 values"),
    ],
)
def test_metadata_that_is_not_json_is_refused_where_it_enters_and_where_it_is_written(tmp_path, value, where):
    with pytest.raises(NetworkError, match=where):
        replace(NETWORK, metadata={"x": value})
    network = replace(NETWORK)
    network.metadata["x"] = value
    with pytest.raises(ModelPackageError, match=where):
        save_package(network, tmp_path / "model")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x1b[31m", "", " ", "x" * 256, 3, None, b"a", ["a"]])
def test_names_that_cannot_be_shown(name):
    with pytest.raises(NetworkError, match="network's name"):
        replace(NETWORK, name=name)
    with pytest.raises(NetworkError, match=r"classes\[1\]"):
        replace(NETWORK, classes=("a", name, "c"))


def test_names_in_any_script(tmp_path):
    network = replace(NETWORK, name="Réseau 网络", classes=("می\u200cخواهم", "👩\u200d🔬", "a\u00a0b"))
    save_package(network, tmp_path / "model")
    assert load_package(tmp_path / "model") == network


def test_layers_that_a_file_system_cannot_tell_apart_are_not_lost(tmp_path, monkeypatch):
    """As on a memory card: names that differ in case alone are one file."""
    real = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *args, **options: real(Path(path).parent / Path(path).name.lower(), *args, **options),
    )
    first, pool, last = NETWORK.layers
    second = replace(first, name="CONV", weight=np.ones((4, 1, 1, 4), np.int8))
    network = replace(NETWORK, layers=(first, second, pool, last))
    with pytest.raises(ModelPackageError, match="File exists.*layer.conv.weight.npy|exists"):
        save_package(network, tmp_path / "model")
    assert not os.listdir(tmp_path)


def test_what_could_not_be_loaded_again_is_not_saved(tmp_path, monkeypatch):
    from pynq_cnn.model.package import save

    for limit, message in (
        ("MAX_MANIFEST_BYTES", "manifest.json"),
        ("MAX_ARRAY_BYTES", "layer.conv.weight"),
        ("MAX_PACKAGE_BYTES", "all arrays"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(save, limit, 100)
            with pytest.raises(ModelPackageError, match=f"{message}.* at most 100 can be loaded again"):
                save_package(NETWORK, tmp_path / "model")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("limit", ["MAX_MANIFEST_BYTES", "MAX_PACKAGE_BYTES"])
def test_what_is_too_large_does_not_fill_the_disk_first(tmp_path, monkeypatch, limit):
    from pynq_cnn.model.package import save

    first, pool, last = NETWORK.layers
    again = [replace(first, name=f"again{i}", weight=np.zeros((4, 1, 1, 4), np.int8)) for i in range(200)]
    network = replace(NETWORK, layers=(first, *again, pool, last))
    written = []
    real = open
    monkeypatch.setattr("builtins.open", lambda path, *args: written.append(path) or real(path, *args))
    monkeypatch.setattr(save, limit, 5000)
    with pytest.raises(ModelPackageError, match="at most 5000 can be loaded again"):
        save_package(network, tmp_path / "model")
    assert 4 < len(written) < 60
    assert not os.listdir(tmp_path)


def test_every_array_counts_however_often_it_is_named(package, monkeypatch):
    from pynq_cnn.model.package import load

    total = sum(path.stat().st_size for path in package.glob("*.npy"))
    monkeypatch.setattr(load, "MAX_PACKAGE_BYTES", total)
    load_package(package)
    monkeypatch.setattr(load, "MAX_PACKAGE_BYTES", total - 1)
    with pytest.raises(ModelPackageError, match=rf"manifest.json: .*: arrays.* take more than {total - 1} bytes"):
        load_package(package)


def peak_of(call) -> int:
    """Most bytes that Python and NumPy held while it ran."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [[16384, 16384], [1 << 28, 1], [1, 1 << 20, 1, 3], [65535, 65535, 65535, 65535]])
def test_a_few_bytes_do_not_stand_for_gigabytes(tmp_path, shape):
    folder = tmp_path / "model"
    save_package(shared_network(), folder)
    edit(folder, lambda m: m["layers"][2]["shared"].update(shape=shape))

    def load() -> None:
        with pytest.raises(
            ModelPackageError, match=r"manifest.json: layers\[2\] \(fc\).shared: the entries reach to weight"
        ):
            load_package(folder)

    assert peak_of(load) < 4 << 20


@pytest.mark.parametrize("length", [25, 31, 40, 64, 255])
def test_long_huffman_words_are_refused_before_a_table_is_made(tmp_path, length):
    folder = tmp_path / "model"
    save_package(shared_network(), folder)
    lengths = np.load(folder / "layer.fc.code_lengths.npy")
    lengths[-1] = length
    rewrite(folder, "layer.fc.code_lengths.npy", npy(lengths))

    def load() -> None:
        with pytest.raises(
            ModelPackageError, match=rf"\(fc\).shared: a Huffman code word cannot have {length} bits; from 1 to 24"
        ):
            load_package(folder)

    assert peak_of(load) < 4 << 20


@pytest.mark.once
def test_loading_takes_memory_for_what_is_stored(tmp_path):
    """Arrays stay in the bytes of their files; nothing is copied to wider integers whole."""
    from pynq_cnn.model import Dense, OutputSpec

    rng = np.random.default_rng(0)
    weight = rng.integers(
        -127, 128, (40, 70000), dtype=np.int8
    )  # over 66,311 inputs: the accumulator's bound has to be added up
    weight[:, 66000:] = 0
    spec = replace(NETWORK.input, height=250, width=280)
    output = OutputSpec(np.ones(40, np.float32), np.zeros(40, np.float32))
    layer = Dense("wide", weight, np.zeros(40, np.int32))
    network = replace(NETWORK, input=spec, layers=(layer,), output=output, classes=tuple(map(str, range(40))))
    save_package(network, tmp_path / "model")
    assert peak_of(lambda: load_package(tmp_path / "model")) < 2 * weight.size
    sparse = np.where(rng.random((40, 70000)) < 0.1, np.sign(weight), 0).astype(np.int8)
    shared = SharedWeight.of(sparse, 4)
    layer = replace(layer, weight=sparse, shared=shared)
    save_package(replace(network, layers=(layer,)), tmp_path / "model")
    assert load_package(tmp_path / "model").layers[0] == layer
    assert peak_of(lambda: load_package(tmp_path / "model")) < 2 * sparse.size + 4 * len(shared.codes) + (8 << 20)


def test_what_is_loaded_cannot_be_changed_and_is_not_copied_again(package):
    network = load_package(package)
    for array in (network.layers[0].weight, network.layers[2].bias, network.output.scale, network.golden.images):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    again = replace(network.layers[0], name="other")
    assert np.shares_memory(again.weight, network.layers[0].weight)
    mine = np.ones((3, 36), np.int8)
    view = mine[:]
    view.flags.writeable = False
    layer = replace(NETWORK.layers[2], weight=view)
    mine[:] = 9
    assert (layer.weight == 1).all()


def test_copies_and_pickles_are_checked_and_frozen(package):
    network = load_package(package)
    for other in (copy.copy(network), copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert (
            other == network and not other.layers[0].weight.flags.writeable and not other.golden.images.flags.writeable
        )


def test_arrays_by_columns_and_empty_ones(tmp_path, package):
    weight = np.arange(36, dtype=np.int8).reshape(4, 3, 3, 1)
    rewrite(package, ARRAY, npy(np.asfortranarray(weight)))
    assert np.array_equal(load_package(package).layers[0].weight, weight)
    for data in (b"", b"PK\3\4", npy(weight)[:20], npy(weight) + b"\0", b"\x93NUMPY\3\0" + npy(weight)[8:]):
        rewrite(package, ARRAY, data)
        with pytest.raises(ModelPackageError, match=f"{ARRAY}.* is no plain .npy array"):
            load_package(package)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / MANIFEST).write_text("{"), "manifest.json is not JSON"),
        (lambda folder: edit(folder, lambda m: m.pop("metadata")), "manifest.json: metadata: has the wrong type: None"),
        (lambda folder: edit(folder, lambda m: m.update(layers=3)), "manifest.json: layers"),
        (lambda folder: edit(folder, lambda m: m["metadata"].update(accuracy="high")), "manifest.json: accuracy"),
        (
            lambda folder: edit(folder, lambda m: m["metadata"].update(accuracy={"integer_top1": "0.9"})),
            "manifest.json: integer_top1",
        ),
        (lambda folder: edit(folder, lambda m: m["metadata"].update(dataset=[])), "manifest.json: dataset"),
        (lambda folder: (folder / "gone.npy").symlink_to("nowhere"), "cannot be read"),
    ],
)
def test_damaged_manifests_of_shipped_networks(tmp_path, monkeypatch, change, message):
    shutil.copytree(MODELS / "lenet", tmp_path / "lenet")
    monkeypatch.setattr(pynq_cnn.zoo, "MODELS", tmp_path)
    assert list(models()) == ["lenet"]
    change(tmp_path / "lenet")
    with pytest.raises(ModelPackageError, match=message):
        models()
    with pytest.raises(ArgumentError, match=r"neither a shipped network \(lenet\)"):  # which names them all the same
        load_model("nothing")
