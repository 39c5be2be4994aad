"""The contents of an installation, and pynq's view of it.

The package is as `setup.py` builds it, away from the checkout, without the compiled kernel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from virtual import NO_PYNQ

import pynq_cnn

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder for `sys.path` with the package and its metadata."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "build_py",
        f"--build-lib={folder}",
        "egg_info",
        f"--egg-base={folder}",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYNQ_CNN_NO_KERNEL": "1"})
    return folder


@pytest.fixture
def python(site, tmp_path):
    """Run a fresh interpreter that sees the installation and not the checkout."""

    def call(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def metadata(site) -> Distribution:
    (found,) = distributions(path=[str(site)])
    return found


def test_metadata(metadata):
    assert re.sub("[-_.]+", "-", metadata.metadata["Name"]).lower() == "pynq-cnn"
    assert metadata.version == pynq_cnn.__version__
    assert {(e.group, e.name, e.value) for e in metadata.entry_points} == {
        ("console_scripts", "pynq-cnn", "pynq_cnn.cli:main"),
        ("pynq.notebooks", "pynq_cnn", "pynq_cnn.notebooks"),
    }


def test_extras(metadata):
    """Extras ask for pynq, and for the NumPy that it wants, only where pynq can be had and is not the image's own."""
    asked = [requirement.replace('"', "'") for requirement in metadata.requires]
    for extra in ("board", "test-light", "test"):
        names = {"numpy": "<2", "pycparser": "<3", "pynq": ">=3.1.2"}
        for name, bound in names.items():
            (found,) = [text for text in asked if re.match(rf"{name}\W", text) and f"extra == '{extra}'" in text]
            assert bound in found and "python_version < '3.13'" in found and "platform_machine != 'armv7l'" in found
    assert any(text.startswith("tornado>=6.1") and "extra == 'web'" in text for text in asked)
    assert any(text.startswith("opencv-python") and "extra == 'vision'" in text for text in asked)
    assert not [text for text in asked if text.startswith("torch") and "extra == 'test-light'" in text]


def test_data_files_are_there(site):
    """Whatever is in the checkout's data folders is in the installation."""
    for source in ("pynq_cnn/models", "pynq_cnn/samples", "pynq_cnn/web/page", "overlays", "notebooks"):
        target = source.removeprefix("pynq_cnn/")
        for path in (ROOT / source).rglob("*"):
            if path.is_file() and path.suffix in (
                ".npy",
                ".npz",
                ".json",
                ".hwh",
                ".bit",
                ".ipynb",
                ".html",
                ".css",
                ".js",
                ".svg",
            ):
                copy = site / "pynq_cnn" / target / path.relative_to(ROOT / source)
                assert copy.read_bytes() == path.read_bytes()
    assert (site / "pynq_cnn" / "py.typed").exists()


def test_it_runs(python, site):
    """Without a compiler the reference passes and the rest says why it does not run."""
    report = json.loads(python("-m", "pynq_cnn", "selftest", "--json"))
    results = {row["backend"]: row["result"] for row in report["backends"]}
    assert results == {
        "reference": "passed",
        "cpu": "skipped",
        "kernel": "skipped",
        "overlay": "skipped",
        "overlay (virtual board)": "skipped",
    }
    assert python("-c", "import pynq_cnn; print(pynq_cnn.__file__)").startswith(str(site))


def test_pynq_delivers_the_notebooks(python, tmp_path):
    """The board's own command, `pynq get-notebooks pynq_cnn`, but for the search for a device, which only a
    board has.
    """
    pytest.importorskip("pynq", reason=NO_PYNQ)
    main = "from pynq._cli.get_notebooks import main; main()"
    assert python("-c", main, "--list").splitlines()[-1] == "- pynq_cnn (source: pynq_cnn)"
    python("-c", main, "--ignore-overlays", "--path", "delivered", "pynq_cnn")
    delivered = {path.name: path.read_bytes() for path in (tmp_path / "delivered" / "pynq_cnn").iterdir()}
    assert delivered == {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")}
