"""Model packages: what is saved is loaded; everything that is not whole is refused with the file and the field."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import binary_networks, networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import Golden, Network, load_package, save_package, stored_bytes


def with_golden(network: Network) -> Network:
    images = random_images(network, 3, 1)
    return replace(
        network,
        golden=Golden(images, ReferenceBackend(network).run(images)),
        metadata={"accuracy": {"integer_top1": 0.99}},
    )


@pytest.mark.once
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.one_of(networks(), binary_networks()))
def test_round_trip(tmp_path, network):
    network = with_golden(network)
    save_package(network, tmp_path / "model")
    assert load_package(tmp_path / "model") == network


def test_a_package_without_a_kind_of_output_is_of_classes_by_softmax(package):
    edit(package, lambda manifest: manifest["output"].pop("kind"))
    assert load_package(package).output.kind == "softmax"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"kind": "guess"}, "output.kind must be one of softmax, sigmoid, independent, values, not 'guess'"),
        ({"kind": None}, "output.kind: has the wrong type"),
        ({"kind": "sigmoid"}, "is of one logit, not of 3"),
        ({"unit": "m"}, "output.unit: is unknown"),
    ],
)
def test_an_output_that_is_not_as_documented(package, output, message):
    edit(package, lambda manifest: manifest["output"].update(output))
    with pytest.raises(ModelPackageError, match=message):
        load_package(package)


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def arrays_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.npy"))


ARRAYS = [
    *(f"layer.conv.{name}.npy" for name in ("weight", "bias", "multiplier", "shift")),
    *(f"layer.fc.{name}.npy" for name in ("weight", "bias")),
    "output.scale.npy",
    "output.offset.npy",
    "golden.images.npy",
    "golden.accumulators.npy",
]


def test_these_are_all_arrays(package):
    assert arrays_of(package) == sorted(ARRAYS)


def rewrite(folder: Path, file: str, data: bytes, **entry) -> None:
    """Replace an array with `data` and correct its checksum, so that only the checks behind the checksum can object."""
    (folder / file).write_bytes(data)

    def change(node):
        if isinstance(node, dict):
            if node.get("file") == file:
                node.update(sha256=hashlib.sha256(data).hexdigest(), **entry)
            for child in node.values():
                change(child)
        elif isinstance(node, list):
            for child in node:
                change(child)

    edit(folder, change)


def npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file", ARRAYS)
class TestEveryArray:
    def refused(self, package, file, message="."):
        with pytest.raises(ModelPackageError, match=message) as caught:
            load_package(package)
        assert file in str(caught.value) or file.split(".")[-2] in str(caught.value)

    def test_missing(self, package, file):
        (package / file).unlink()
        self.refused(package, file, "cannot be read")

    def test_truncated(self, package, file):
        data = (package / file).read_bytes()
        (package / file).write_bytes(data[:-1])
        self.refused(package, file, "altered or truncated")
        rewrite(package, file, data[:-1])
        self.refused(package, file, "no plain .npy array")

    def test_altered(self, package, file):
        data = bytearray((package / file).read_bytes())
        data[-1] ^= 1
        (package / file).write_bytes(bytes(data))
        self.refused(package, file, "altered")

    def test_pickled(self, package, file):
        rewrite(package, file, npy(np.array([{"x": 1}], object), allow_pickle=True))
        self.refused(package, file, "no plain .npy array")

    def test_wrong_dtype(self, package, file):
        array = np.load(package / file)
        rewrite(package, file, npy(array.astype(np.int64)))
        self.refused(package, file, "the manifest says")
        rewrite(package, file, npy(array.astype(np.int64)), dtype="int64")
        self.refused(package, file)

    def test_byte_order(self, package, file):
        array = np.load(package / file)
        if array.dtype.itemsize == 1:
            pytest.skip("one byte has no order")
        rewrite(package, file, npy(array.astype(array.dtype.newbyteorder(">"))))
        self.refused(package, file, "the manifest says")

    def test_wrong_shape(self, package, file):
        array = np.load(package / file)
        rewrite(package, file, npy(array[..., :-1]))
        self.refused(package, file, "the manifest says")
        rewrite(package, file, npy(array[..., None]), shape=[*array.shape, 1])
        self.refused(package, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format="other"), "format"),
        (lambda m: m.update(format_version=99), "format_version: 99 cannot be read"),
        (lambda m: m.update(format_version=True), "format_version"),
        (lambda m: m.update(extra=1), "extra: is unknown"),
        (lambda m: m.pop("classes"), "classes: is missing"),
        (lambda m: m.update(layers={}), "layers: has the wrong type"),
        (lambda m: m.update(layers=["conv"]), r"layers\[0\]: must be an object"),
        (lambda m: m["layers"].reverse(), "layers"),
        (lambda m: m["layers"].append(m["layers"][0]), "unique"),
        (lambda m: m["layers"].pop(1), "fc takes 36 inputs"),
        (lambda m: m["layers"][0].update(type="lstm"), r"layers\[0\] \(conv\).type: 'lstm' is unknown"),
        (lambda m: m["layers"][0].update(dilution=2), "dilution: is unknown"),
        (lambda m: m["layers"][0].update(stride=[1]), "conv.stride"),
        (lambda m: m["layers"][0]["arrays"].pop("shift"), "go together"),
        (lambda m: m["layers"][0]["arrays"].pop("bias"), "bias: is missing"),
        (lambda m: m["layers"][1].update(size="2"), "size: has the wrong type"),
        (lambda m: m["layers"][1].update(size=[99, 99]), r"window \(99, 99\)"),
        (lambda m: m["input"].update(height=2**40), "input.height"),
        (lambda m: m["input"].update(std=[0]), "input.std"),
        (lambda m: m["input"].pop("fit"), "input.fit: is missing"),
        (lambda m: m["input"].update(mean=[float("nan")]), "NaN"),
        (lambda m: m["input"].update(mean=[10**400]), "input.mean must be 1 numbers"),
        (lambda m: m["classes"].pop(), "classes must be 3"),
        (lambda m: m["output"]["arrays"]["scale"].update(file="../scale.npy"), "plain name"),
        (lambda m: m["output"]["arrays"]["scale"].update(file="/etc/passwd"), "plain name"),
        (lambda m: m["output"]["arrays"]["scale"].update(file=3), "wrong type"),
        (lambda m: m["output"]["arrays"]["scale"].pop("sha256"), "sha256: is missing"),
    ],
)
def test_manifest_faults(package, change, message):
    edit(package, change)
    with pytest.raises(ModelPackageError, match=message) as caught:
        load_package(package)
    assert "manifest.json" in str(caught.value)


def test_nan_scale(package):
    rewrite(package, "output.scale.npy", npy(np.array([1, np.nan, 1], np.float32)))
    with pytest.raises(ModelPackageError, match="output.scale must be finite"):
        load_package(package)


def test_link_out_of_the_package(package, tmp_path):
    shutil.move(package / "output.scale.npy", tmp_path / "elsewhere.npy")
    os.symlink(tmp_path / "elsewhere.npy", package / "output.scale.npy")
    with pytest.raises(ModelPackageError, match="leads out of the package"):
        load_package(package)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000, b'{"format": "pynq_cnn.model"}'])
def test_no_manifest(package, data):
    (package / "manifest.json").write_bytes(data)
    with pytest.raises(ModelPackageError, match="manifest.json"):
        load_package(package)


def test_not_a_package(tmp_path):
    with pytest.raises(ModelPackageError, match="not a folder"):
        load_package(tmp_path / "missing")
    with pytest.raises(ModelPackageError, match="manifest.json cannot be read"):
        load_package(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_saving_replaces_a_package(package):
    save_package(NETWORK, package)
    assert load_package(package) == NETWORK
    assert arrays_of(package) == sorted(name for name in ARRAYS if not name.startswith("golden"))
    for file in package.iterdir():
        file.unlink()
    save_package(NETWORK, package)  # an empty folder
    assert load_package(package) == NETWORK and [path.name for path in package.parent.iterdir()] == ["model"]


def test_saving_through_a_link_replaces_what_it_points_to(package, tmp_path):
    (tmp_path / "link").symlink_to(package)
    save_package(NETWORK, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and load_package(package) == NETWORK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "model"]


def thesis(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")


def foreign_manifest(folder: Path) -> None:
    """As web applications have it."""
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "app", "icons": [{"file": "icon.npy"}]}')
    (folder / "icon.npy").write_text("icon")


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (thesis, "not a model package"),
        (foreign_manifest, "not a model package"),
        (replaced, "not a model package"),
        (lambda folder: (folder / "manifest.json").unlink(), "not a model package"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "not a model package"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 100000), "not a model package"),
        (lambda folder: (folder / "notes.txt").write_text("mine"), "holds notes.txt"),
        (lambda folder: (folder / "layer.other.weight.npy").write_text("mine"), "holds layer.other.weight.npy"),
        (lambda folder: (folder / "more").mkdir(), "holds more"),
        (
            lambda folder: (
                edit(folder, lambda m: m["metadata"].update(file="notes.txt")) or (folder / "notes.txt").touch()
            ),
            "notes.txt",
        ),
    ],
)
def test_saving_takes_nothing_else_away(package, change, message):
    change(package)
    before = contents(package.parent)
    with pytest.raises(ModelPackageError, match=message):
        save_package(NETWORK, package)
    assert contents(package.parent) == before


def test_what_came_while_it_was_written_stays(package, monkeypatch):
    from pynq_cnn.model.package import save as module

    write = module._write

    def slow(network, folder):
        write(network, folder)
        (package / "notes.txt").write_text("mine")

    monkeypatch.setattr(module, "_write", slow)
    with pytest.raises(ModelPackageError, match="holds notes.txt"):
        save_package(NETWORK, package)
    assert (package / "notes.txt").read_text() == "mine" and (package / "layer.conv.weight.npy").exists()
    assert [path.name for path in package.parent.iterdir()] == ["model"]


def test_sizes_are_those_of_all_files_that_run_the_network(package):
    sizes = stored_bytes(package)
    assert [size.name for size in sizes] == ["conv", "fc", "output"]
    assert sum(size.stored for size in sizes) == sum(
        path.stat().st_size for path in package.glob("*.npy") if not path.name.startswith("golden")
    )
    weights = [layer.weight.size + layer.outputs for layer in NETWORK.layers if hasattr(layer, "weight")]
    assert [size.dense for size in sizes] == [*(4 * count for count in weights), 0]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.one_of(networks(), binary_networks()))
def test_sizes_of_any_network_leave_no_file_out(tmp_path, network):
    save_package(network, tmp_path / "model")
    files = sum(path.stat().st_size for path in (tmp_path / "model").glob("*.npy"))
    assert sum(size.stored for size in stored_bytes(tmp_path / "model")) == files


def test_a_failed_save_leaves_the_old_package(package):
    before = load_package(package)
    network = replace(NETWORK)
    network.metadata["x"] = object()
    with pytest.raises(ModelPackageError, match="metadata.x must be a JSON value"):
        save_package(network, package)
    assert load_package(package) == before
    assert [path.name for path in package.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no more")])
def test_an_interruption_while_the_new_package_takes_its_place_leaves_the_old_one(package, monkeypatch, failing, error):
    before, rename, calls = load_package(package), Path.rename, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(ModelPackageError if isinstance(error, OSError) else KeyboardInterrupt):
        save_package(replace(NETWORK, name="other"), package)
    assert load_package(package) == before
    assert [path.name for path in package.parent.iterdir()] == ["model"]
