"""Shared fixtures."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.virtual_board.embedded import EmbeddedBoard

sys.path.insert(0, str(Path(__file__).parent))  # `strategies` for the tests, under any import mode

from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED  # noqa: E402

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def cycles() -> Iterator[ModuleType]:
    """benchmarks/cycles.py: the networks that the project measures itself by, with their budgets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
        yield importlib.import_module("cycles")
    del sys.modules["cycles"]


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
