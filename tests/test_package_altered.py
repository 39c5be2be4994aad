"""Packages altered at random: loaded as they are, or refused, and never anything else."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from test_package import rewrite
from test_shared import shared_network

from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import load_package, save_package


def altered(rng: random.Random, value):
    """A JSON value with one of its parts replaced, removed or doubled."""
    odd = [
        None,
        True,
        -1,
        0,
        1,
        255,
        2**31,
        2**64,
        10**30,
        0.5,
        1e308,
        "",
        "a",
        "\ud800",
        "../x",
        "\0",
        "x" * 70000,
        [],
        {},
        [[]],
        [1, 2],
    ]
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key, changed = rng.choice(list(value)), dict(value)
        action = rng.randrange(6)
        if action == 0:
            del changed[key]
        elif action == 1:
            changed[rng.choice([*value, "extra"])] = rng.choice(list(value.values()))
        else:
            changed[key] = altered(rng, value[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        place, changed = rng.randrange(len(value)), list(value)
        action = rng.randrange(6)
        if action == 0:
            del changed[place]
        elif action == 1:
            changed.insert(rng.randrange(len(value) + 1), value[place])
        else:
            changed[place] = altered(rng, value[place])
        return changed
    if isinstance(value, (int, float)) and rng.random() < 0.4:
        return value + rng.choice([-1, 1])
    return rng.choice(odd)


def alter_package(rng: random.Random, folder: Path) -> None:
    """One fault: in the manifest's values, in its text, in an array's bytes, or in an array's values with the checksum
    put right.
    """
    manifest = folder / "manifest.json"
    arrays = sorted(folder.glob("*.npy"))
    kind = rng.randrange(4)
    if kind == 0:
        manifest.write_text(json.dumps(altered(rng, json.loads(manifest.read_text()))))
    elif kind == 1:
        data = bytearray(manifest.read_bytes())
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            data[place : place + rng.randrange(3)] = rng.choice(
                [b"", b"[", b"}", b'"', b"\\u", b"\xff", b"9" * 30, b"1e999", b",", b"null"]
            )
        manifest.write_bytes(bytes(data))
    else:
        file = rng.choice(arrays)
        data = bytearray(file.read_bytes())
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(data)) if kind == 2 else rng.randrange(min(128, len(data) - 1), len(data))
            data[place] = rng.choice([0, 1, 127, 128, 255, data[place] ^ 1 << rng.randrange(8), ord("9"), ord("(")])
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        rewrite(folder, file.name, bytes(data))


def check_altered(source: Path, folder: Path, seed: int) -> bool:
    """Whether a package is still loaded after a fault, and can be shown and saved; nothing but `ModelPackageError` may
    come of it.
    """
    shutil.copytree(source, folder)
    alter_package(random.Random(seed), folder)
    try:
        network = load_package(folder)
    except ModelPackageError as error:
        assert str(folder) in str(error) and len(str(error)) < 2000, error
        str(error).encode()
        return False
    assert f"{network}{network._repr_html_()}{network!r}".encode()
    save_package(network, f"{folder}-again")  # beside it, as the folder may hold arrays that the manifest names no more
    assert load_package(f"{folder}-again") == network
    return True


@pytest.mark.once
def test_packages_altered_at_random(tmp_path, package):
    shared = tmp_path / "shared"
    save_package(shared_network(), shared)
    kept = 0
    for seed in range(300):
        kept += check_altered((package, shared)[seed % 2], tmp_path / f"altered{seed}", seed)
    assert 0 < kept < 150


def test_random_bytes_as_a_manifest(package):
    rng = random.Random(0)
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"format"',
        b":",
        b",",
        b'"pynq_cnn.model"',
        b"1e9",
        b"-",
        b"null",
        b"\\",
        b'"',
        b"\xed\xa0\x80",
        b"\0",
        b" ",
    ]
    for _ in range(500):
        (package / "manifest.json").write_bytes(b"".join(rng.choice(pieces) for _ in range(rng.randrange(40))))
        with pytest.raises(ModelPackageError, match="manifest.json"):
            load_package(package)
