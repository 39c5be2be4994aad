"""Shared fixtures."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from pynq_cnn.model import Network
from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.virtual_board.embedded import EmbeddedBoard
from pynq_cnn.zoo import load_model, load_sample

sys.path.insert(0, str(Path(__file__).parent))  # `strategies` for the tests, under any import mode

from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED  # noqa: E402

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@contextmanager
def benchmark(name: str) -> Iterator[ModuleType]:
    """A module of benchmarks/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
        yield importlib.import_module(name)
    del sys.modules[name]


@pytest.fixture(scope="session")
def cycles() -> Iterator[ModuleType]:
    """benchmarks/cycles.py: the networks that the project measures itself by, with their budgets."""
    with benchmark("cycles") as module:
        yield module


@pytest.fixture(scope="session")
def photos() -> Iterator[ModuleType]:
    """benchmarks/photos.py: digits as a camera sees them."""
    with benchmark("photos") as module:
        yield module


def pytest_collection_finish() -> None:
    """Modules that are imported by now stay, PyTorch's and all: the collections of garbage that many tests end with
    look at what came after alone.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    """A virtual board, on which nothing may be left when a test is over."""
    pytest.importorskip("pynq", reason=NO_PYNQ)
    with VirtualBoard() as board:
        yield board
        assert board.memory.used == 0, "contiguous memory leaks"


@pytest.fixture
def embedded_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBoard]:
    """A board beneath pynq's own device; nothing may be left on it, and nothing destroyed, when a test is over."""
    pytest.importorskip("pynq", reason=NO_PYNQ)
    if not ALIGNED:
        pytest.skip(NOT_ALIGNED)
    monkeypatch.chdir(tmp_path)  # in which pynq 3.1 leaves a file
    with EmbeddedBoard() as board:
        yield board
        gc.collect()
        assert board.memory.used == 0, "contiguous memory leaks"
        assert board.complaints == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of a small network with golden vectors, in a folder of its own."""
    from test_network import NETWORK
    from test_package import with_golden

    from pynq_cnn.model import save_package

    save_package(with_golden(NETWORK), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="session")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """The 500 real digits that are shipped, uint8 [500, 28, 28], and their labels."""
    return load_sample()


@pytest.fixture(scope="session")
def lenet() -> Network:
    return load_model("lenet")
