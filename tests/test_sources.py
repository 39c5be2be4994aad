"""Python started in the source folder imports the sources: where they lack what an installation has, errors say so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
LEFT_OUT = shutil.ignore_patterns("*.so", "models", "samples", "__pycache__")
# Only the folder that it is started in and those of PYTHONPATH may have a pynq_cnn, whatever else is installed here.
START = """
import os, sys
own = [os.getcwd(), *os.environ["PYTHONPATH"].split(os.pathsep)]
others = [path for path in sys.path if path not in ("", *own)]
sys.path = own + [path for path in others if not os.path.exists(os.path.join(path, "pynq_cnn"))]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
from pynq_cnn.errors import BackendError
try:
    {}
except BackendError as error:
    print(error)
"""
KERNEL = "from pynq_cnn.backends.kernel.native import load_engine; load_engine()"
BITSTREAM = "from pynq_cnn.backends.overlay.bitstream import find_bitfile; find_bitfile()"


def error(start: Path, installed: Path, statement: str) -> str:
    """Error of `statement` in a Python started in `start`, where `installed` is in `sys.path` too."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", START.format(statement)], cwd=start, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout, done.stderr
    return done.stdout


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A source folder in which nothing was built."""
    shutil.copytree(ROOT / "pynq_cnn", tmp_path / "sources" / "pynq_cnn", ignore=LEFT_OUT)
    shutil.copytree(ROOT / "hls_src", tmp_path / "sources" / "hls_src")
    return tmp_path / "sources"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with an installed package: it has a kernel and a bitstream."""
    package = tmp_path / "site" / "pynq_cnn"
    shutil.copytree(ROOT / "pynq_cnn", package, ignore=LEFT_OUT)
    (package / "backends" / "kernel" / f"_engine{EXTENSION_SUFFIXES[0]}").touch()
    (package / "overlays").mkdir()
    (package / "overlays" / "pynq_cnn.bit").touch()
    return package.parent


@pytest.mark.parametrize("statement", [KERNEL, BITSTREAM])
def test_the_source_folder_hides_the_installation(sources: Path, installed: Path, statement: str) -> None:
    message = error(sources, installed, statement)
    assert (
        f"installed pynq_cnn in {installed}" in message
        and "start Python in another folder" in message
        and str(sources) in message
    )
    assert "when pynq_cnn was installed" not in message and "build it" not in message


def test_sources_alone_say_how_to_compile(sources: Path, tmp_path: Path) -> None:
    message = error(sources, tmp_path, KERNEL)
    assert f"its source folder {sources}" in message and "pip install -e ." in message
    assert "was installed" not in message and "hides" not in message
    assert "build it" in error(sources, tmp_path, BITSTREAM)


def test_an_installation_without_the_kernel_says_so(installed: Path, tmp_path: Path) -> None:
    for path in (installed / "pynq_cnn" / "backends" / "kernel").glob("_engine*"):
        path.unlink()
    assert "the kernel was not compiled when pynq_cnn was installed" in error(tmp_path, installed, KERNEL)
