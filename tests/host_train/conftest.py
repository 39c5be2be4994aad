"""Data sets for these tests, and a cache that is not the user's."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `digits` for the tests, under any import mode

from digits import digit_arrays, write_idx  # noqa: E402

# All others in this folder need PyTorch.
WITHOUT_TORCH = {
    "conftest.py",
    "digits.py",
    "terminal.py",
    "bnn_pynq_folders.py",
    "test_train_bnn_pynq.py",
    "test_train_cli_without_torch.py",
    "data_files.py",
    "test_train_data_damaged.py",
    "test_train_data_formats.py",
    "test_train_data_programs.py",
    "test_train_data_sources.py",
    "test_train_folder.py",
    "test_train_memory.py",
    "test_train_progress.py",
    "test_train_sample.py",
}
collect_ignore = (
    []
    if find_spec("torch")
    else [path.name for path in Path(__file__).parent.glob("*.py") if path.name not in WITHOUT_TORCH]
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """These networks are too small for more, and other tests may run beside these."""
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_start() -> None:
    """Every test draws the same initial weights, whichever ran before it."""
    if find_spec("torch"):
        import torch

        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYNQ_CNN_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def digits() -> dict[str, np.ndarray]:
    return digit_arrays()


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory, digits: dict[str, np.ndarray]) -> Path:
    """The digits as idx files, for --data-dir."""
    return write_idx(tmp_path_factory.mktemp("digits"), digits)
