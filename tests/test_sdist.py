"""The source distribution: it holds the whole project, its licence, and tests that run from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
NOT_SHIPPED = {".gitignore"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sdist unpacks to."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "setup.py", "-q", "egg_info", f"--egg-base={folder}", "sdist", f"--dist-dir={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (found,) = (path for path in folder.glob("pynq_cnn-*") if path.is_dir())
    return found


def call(unpacked: Path, *arguments: str) -> str:
    """Output of a Python in the unpacked folder, which sees that pynq_cnn and no other."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(unpacked), *sys.path])}
    done = subprocess.run([sys.executable, *arguments], cwd=unpacked, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_it_holds_every_file_of_the_project(unpacked: Path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("only git knows which files there are")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    tracked = {name for name in listed if name and (ROOT / name).is_file()} - NOT_SHIPPED
    missing = sorted(name for name in tracked if not (unpacked / name).is_file())
    assert len(tracked) > 200 and not missing
    assert all((unpacked / name).read_bytes() == (ROOT / name).read_bytes() for name in tracked)


def test_the_licence(unpacked: Path) -> None:
    text = (unpacked / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text and len(text) > 10_000
    metadata = (unpacked / "PKG-INFO").read_text(encoding="utf-8")
    assert re.search("^License(-Expression)?: Apache-2.0$", metadata, re.MULTILINE)
    assert "\nLicense-File: LICENSE\n" in metadata


def test_tests_run_from_it(unpacked: Path) -> None:
    """Some that need helpers, docs, overlays and benchmarks pass."""
    some = ["tests/layers/test_conv2d.py", "tests/test_overlay_files.py", "tests/test_overlay_build.py"]
    assert " passed" in call(unpacked, "-m", "pytest", "-q", *some)


@pytest.mark.slow
def test_all_tests_are_found_in_it(unpacked: Path) -> None:
    """With what they import."""
    found = call(unpacked, "-m", "pytest", "-q", "--collect-only", "tests", "pynq_cnn", "--ignore=tests/host_train")
    assert int(re.findall(r"^(\d+)(?:/\d+)? tests collected", found, re.MULTILINE)[0]) > 500


@pytest.mark.slow
def test_all_tests_run_from_it(unpacked: Path) -> None:
    call(unpacked, "setup.py", "-q", "build_ext", "--inplace")
    assert " passed" in call(unpacked, "-m", "pytest", "-q")
