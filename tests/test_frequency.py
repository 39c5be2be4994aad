"""Weights kept in frequency: the same int8 on every machine, packages that hold them, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ModelPackageError, NetworkError
from pynq_cnn.model import Conv2d, Dense, FrequencyWeight, SharedWeight, load_package, save_package
from pynq_cnn.model.frequency import BASIS_BITS, basis, most_level
from pynq_cnn.model.package.frequency import pack, unpack
from pynq_cnn.zoo import load_model

SIZES = [(1, 1), (1, 2), (1, 3), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (8, 5), (11, 11), (32, 32)]

# What every Python, NumPy and processor must make of the same levels.
DECODED = {
    (3, 3): "99c71e5b8fb542441658bb89775b3569d12e8910c05f34656da725d32ed75642",
    (5, 5): "a0fd3dd32ff6408d8185300078f49e6a63e58ff99eea8ba94238623f6ee44e10",
    (7, 7): "5e3ce5bdff8fade369d1cc52005fc3d07a01ed1c302a60bec066808b2b59f504",
    (11, 11): "8ad6665293d9a3a6f504bc2abbbab80f1af9c6a9b0767e42f0d2a50baa424b6d",
    (1, 1): "ffb3e01b9ccb4ab86ea43b974b4aea2e22cd334fd4a0b99e860a9eb11f8531b8",
}


# And of a package: of its files but the manifest, and of the weights and answers that are decoded from them.
PACKAGED = "07d534557558459ccddf21b0cd210301e746d59e4cceaa5aadf578993612078f"
LOADED = "03c900603ec91ecc960c049f7b507e41a71db76541973831067a7fbe3618447b"


def levels_of(kernel: tuple[int, int], kernels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels and bits by arithmetic of whole numbers, which no generator of random numbers changes."""
    count = kernel[0] * kernel[1]
    bits = np.array([(0, 2, 3, 5, 8)[(c * 7 + seed) % 5] for c in range(count)], np.uint8)
    most = most_level(bits)
    mixed = (np.arange(count)[:, None] * 40503 + np.arange(kernels) * 30103 + seed * 977) % 65521
    return (mixed % (2 * most[:, None] + 1) - most[:, None]).astype(np.int8), bits


def weight_of(kernel: tuple[int, int], outputs: int = 4, channels: int = 3, seed: int = 0, step: int = 37):
    levels, bits = levels_of(kernel, outputs * channels, seed)
    return FrequencyWeight(levels, bits, step, (outputs, *kernel, channels), kernel)


@pytest.mark.parametrize("kernel", DECODED)
def test_decoded_bytes_are_the_same_everywhere(kernel):
    weights = [weight_of(kernel, seed=seed, step=step).dense() for seed, step in ((0, 37), (1, 5), (2, 400))]
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()
    assert digest == DECODED[kernel]


@pytest.mark.parametrize("size", SIZES)
def test_the_basis_is_the_ffts(size):
    """Rounded to 2^-14."""
    height, width = size
    table = basis(height, width)
    assert np.array_equal(table, np.rint(table)) and not table.flags.writeable
    planes = np.random.default_rng(0).normal(size=(5, height, width))
    coefficients = planes.reshape(5, -1) @ table.T / 2**BASIS_BITS
    fourier = np.fft.fft2(planes, norm="ortho").reshape(5, -1)
    assert np.allclose((coefficients**2).sum(1), (np.abs(fourier) ** 2).sum(1), rtol=2e-3)
    assert np.allclose(coefficients[:, 0], fourier[:, 0].real, atol=2e-2)
    assert np.allclose(coefficients @ table / 2**BASIS_BITS, planes.reshape(5, -1), atol=2e-2)


def slowly(weight: FrequencyWeight) -> np.ndarray:
    """The definition, in Python's own integers."""
    table = basis(*weight.kernel).astype(int).tolist()
    outputs, channels = weight.shape[0], int(np.prod(weight.shape[1:])) // len(table)
    flat = np.zeros((outputs, len(table), channels), np.int8)
    for o in range(outputs):
        for x in range(len(table)):
            for c in range(channels):
                column = weight.levels[:, o * channels + c].tolist()
                total = sum(level * weight.step * row[x] for level, row in zip(column, table))
                flat[o, x, c] = max(-127, min(127, (total + (1 << 17)) >> 18))
    return flat.reshape(weight.shape)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIZES[:9]), st.integers(0, 1000), st.integers(1, 65535))
def test_decoding_is_as_written(kernel, seed, step):
    weight = weight_of(kernel, seed=seed, step=step)
    assert np.array_equal(weight.dense(), slowly(weight)) and weight.dense() is weight.dense()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIZES[:9]), st.integers(0, 1000), st.integers(1, 9), st.integers(1, 5))
def test_what_is_packed_comes_back(kernel, seed, outputs, channels):
    weight = weight_of(kernel, outputs, channels, seed)
    fields, arrays = pack(weight)
    assert unpack(json.loads(json.dumps(fields)), *arrays.values()) == weight
    flat = replace(weight, shape=(outputs, weight.levels.size // outputs))
    fields, arrays = pack(flat)
    assert unpack(fields, *arrays.values()) == flat
    assert np.array_equal(flat.dense(), weight.dense().reshape(outputs, -1))


def kept_in_frequency():
    network = load_model("lenet")
    layers = []
    for layer in network.layers:
        if isinstance(layer, (Conv2d, Dense)):
            kernel = layer.kernel if isinstance(layer, Conv2d) else {392: (7, 7), 32: (1, 1)}[layer.weight.shape[1]]
            kernels = layer.weight.size // (kernel[0] * kernel[1])
            levels, bits = levels_of(kernel, kernels, 3)
            weight = FrequencyWeight(levels, bits, 9, layer.weight.shape, kernel)
            layer = replace(layer, weight=weight.dense(), shared=weight)
        layers.append(layer)
    return replace(network, layers=tuple(layers), golden=None)


def test_packages_hold_them(tmp_path):
    network = kept_in_frequency()
    save_package(network, tmp_path / "p")
    loaded = load_package(tmp_path / "p")
    assert loaded == network and all(
        isinstance(one.shared, FrequencyWeight) for one in loaded.layers if one.name[0] != "p"
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
    plain = replace(
        network, layers=tuple(replace(x, shared=None) if hasattr(x, "shared") else x for x in network.layers)
    )
    assert np.array_equal(ReferenceBackend(loaded).run(images), ReferenceBackend(plain).run(images))
    manifest = json.loads((tmp_path / "p" / "manifest.json").read_text())
    first = manifest["layers"][0]
    assert set(first["arrays"]) >= {"allocation", "code_lengths", "stream"} and "weight" not in first["arrays"]
    assert first["frequency"]["kernel"] == [3, 3] and first["frequency"]["shape"] == [4, 3, 3, 1]


def test_a_package_is_the_same_bytes_everywhere(tmp_path):
    """With the board's Python and NumPy, and with the newest: CI runs this file under both."""
    save_package(kept_in_frequency(), tmp_path / "p")
    files = sorted((tmp_path / "p").glob("*.npy"))
    arrays = b"".join(path.name.encode() + np.load(path).tobytes() for path in files)
    loaded = load_package(tmp_path / "p")
    weights = b"".join(layer.weight.tobytes() for layer in loaded.layers if isinstance(layer, (Conv2d, Dense)))
    images = (np.arange(3 * 28 * 28) * 40503 % 65521 % 256).astype(np.uint8).reshape(3, 28, 28, 1)
    answers = ReferenceBackend(loaded).run(images).tobytes()
    assert hashlib.sha256(arrays).hexdigest() == PACKAGED
    assert hashlib.sha256(weights + answers).hexdigest() == LOADED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 0}, "frequency.step"),
        ({"step": 1 << 16}, "frequency.step"),
        ({"shape": [4, 3, 3, 2]}, "."),
        ({"shape": [1 << 27, 3]}, "cannot be in a stream"),
        ({"shape": [4]}, "."),
        ({"kernel": [9, 1]}, "has kernels of"),
        ({"kernel": [3]}, "frequency.kernel"),
        ({"streams": [1]}, "frequency.streams"),
        ({"more": 1}, "is unknown"),
        ({"step": 2.5}, "wrong type"),
    ],
)
def test_damaged_fields_are_refused(change, message, tmp_path):
    save_package(kept_in_frequency(), tmp_path / "p")
    path = tmp_path / "p" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["layers"][0]["frequency"].update(change)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelPackageError, match=message):
        load_package(tmp_path / "p")


def test_wrong_weights_are_refused():
    good = weight_of((3, 3))
    for change, message in [
        ({"step": 0}, "step"),
        ({"kernel": (2, 2)}, "do not divide|has kernels"),
        ({"kernel": (40, 40)}, "more than 1024"),
        ({"shape": (4, 3, 3, 3, 1)}, "2 or 4 sides"),
        ({"shape": 3}, "2 or 4 sides"),
        ({"allocation": good.allocation + np.uint8(1)}, "from 2 to 8 bits"),
        ({"levels": good.levels[:-1]}, "shape"),
        ({"levels": good.levels.astype(np.int16)}, "int8"),
        ({"allocation": np.zeros(9, np.uint8)}, "beyond what its bits hold"),
    ]:
        with pytest.raises(NetworkError, match=message):
            replace(good, **change)
    layer = load_model("lenet").layers[0]
    with pytest.raises(NetworkError, match="does not stand for the weights"):
        replace(layer, shared=weight_of((3, 3), 4, 1))
    with pytest.raises(NetworkError, match="must be a SharedWeight, a FrequencyWeight or None"):
        replace(layer, shared="frequency")
    assert isinstance(SharedWeight.of(layer.weight, 4), SharedWeight)


def test_broken_streams_are_refused():
    fields, arrays = pack(weight_of((3, 3)))
    for bad in (
        {**arrays, "stream": arrays["stream"][:-1]},
        {**arrays, "code_lengths": arrays["code_lengths"][:-1]},
        {**arrays, "allocation": arrays["allocation"].astype(np.int16)},
        {**arrays, "allocation": np.zeros(0, np.uint8)},
        {**arrays, "allocation": np.full(9, 1, np.uint8)},
        {**arrays, "code_lengths": np.ones_like(arrays["code_lengths"])},
    ):
        with pytest.raises(NetworkError):
            unpack(fields, *bad.values())
