"""The contents of an installation, and pynq's view of it.

The package is as `setup.py` builds it, away from the checkout, without the compiled kernel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from virtual import NO_PYNQ

import pynq_cnn

pytestmark = pytest.mark.once

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


def test_it_tests_itself(python):
    """`python -m pytest --pyargs pynq_cnn`, the installation's own tests: those of the package, and every doctest."""
    outcome = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pynq_cnn", "-rs")
    assert int(re.findall(r"(\d+) passed", outcome)[-1]) > 120
    assert "failed" not in outcome
    for line in outcome.splitlines():
        assert not line.startswith("SKIPPED") or re.search("was not compiled|bitstream|pynq", line)


def test_it_tests_itself_without_pynq(site, tmp_path):
    """Where a backend is compiled too, whose library lies among the modules and is none of them."""
    copy = tmp_path / "copy"
    shutil.copytree(site, copy)
    (copy / "pynq_cnn" / "backends" / "kernel" / f"_engine{EXTENSION_SUFFIXES[0]}").touch()
    (copy / "sitecustomize.py").write_text('import sys; sys.modules["pynq"] = None', encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pynq_cnn", "-k", "examples"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run([*command, "-rs"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "pynq is not installed" in done.stdout


def test_a_fault_of_the_installation_is_found(python, site, tmp_path):
    """A network's damaged file, and a docstring that says something else, fail the package's own tests."""
    copy = tmp_path / "copy"
    shutil.copytree(site, copy)
    weights = next((copy / "pynq_cnn" / "models" / "lenet").glob("*weight.npy"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    table = copy / "pynq_cnn" / "checks.py"
    table.write_text(table.read_text(encoding="utf-8").replace("    64\n", "    65\n"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pynq_cnn"]
    done = subprocess.run(
        [*command, "-k", "whole and lenet or examples and checks"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    failed = set(re.findall(r"^FAILED .*?\[(.+?)\]", done.stdout, re.MULTILINE))
    assert failed == {"lenet", "pynq_cnn.checks"}


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
