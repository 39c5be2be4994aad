"""Data sets for these tests, and a cache that is not the user's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `digits` for the tests, under any import mode

from digits import QUICK, digit_arrays, write_idx  # noqa: E402

if TYPE_CHECKING:
    import torch
    from own_training import Mine

    from host_train.compression.subject import Subject
    from host_train.data import Split
    from host_train.training.record import EpochRecord
    from host_train.training.tensors import TensorData

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
    "test_train_folder_labels.py",
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


@pytest.fixture(scope="session", autouse=True)
def pictures() -> Iterator[None]:
    """Most pictures are painted once: `every_picture` is for tests that look at them."""
    if not find_spec("matplotlib"):
        yield
        return
    from drawing import painted_once

    with painted_once():
        yield


@pytest.fixture
def every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pictures of a test are painted."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", Figure.savefig.__wrapped__)


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


@pytest.fixture(scope="session")
def data(digits: dict[str, np.ndarray]) -> tuple[TensorData, TensorData]:
    """The digits as tensors: 600 to train on, 100 held back."""
    from host_train.data import Split
    from host_train.data.divide import hold_back
    from host_train.training.tensors import TensorData

    split = Split(digits["train_images"][..., None], digits["train_labels"].astype(np.int64))
    train, validation = hold_back(split, 100, seed=1)
    return TensorData.of(train, (0.3,), (0.4,)), TensorData.of(validation, (0.3,), (0.4,))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_folder: Path) -> Path:
    """A run of lenet that was interrupted twice, in either training, and resumed; tests add to it."""
    from host_train.cli import main

    out = tmp_path_factory.mktemp("runs") / "lenet"
    arguments = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out), *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        for epochs in (2, 1):

            def interrupt(stage: str, total: int, record: EpochRecord, epochs: int = epochs) -> None:
                if record.epoch == epochs:
                    raise KeyboardInterrupt

            patch.setattr("host_train.commands.train.print_epoch", interrupt)
            assert main([*arguments, "--resume"]) == 130
    assert main([*arguments, "--resume"]) == 0
    return out


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory, digits_folder: Path) -> Path:
    """A run of an untrained lenet, as if trained for its epochs; tests only read it."""
    from host_train.runs.run import Run
    from host_train.settings import Settings
    from host_train.training.checkpoint import save_state
    from host_train.training.fit import WEIGHTS

    folder = tmp_path_factory.mktemp("untrained") / "lenet"
    run = Run.create(folder, Settings("lenet", batch=32, qat_epochs=0), digits_folder)
    save_state(folder / "float" / WEIGHTS, run.recipe.build().state_dict())
    return folder


@pytest.fixture(scope="session")
def own_data() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The digits as people have their own data: images float32 [n, 1, 28, 28] in 0..1, and labels."""
    import torch

    arrays = digit_arrays()
    return {
        part: (
            torch.from_numpy(arrays[f"{part}_images"]).float()[:, None] / 255,
            torch.from_numpy(arrays[f"{part}_labels"].astype(np.int64)),
        )
        for part in ("train", "test")
    }


@pytest.fixture(scope="session")
def own_model(own_data: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Mine:
    """A network of one's own that was trained on them."""
    import torch
    from own_training import Mine

    from host_train.training.fit import fit
    from host_train.training.loader import Loader
    from host_train.training.measure import measure
    from host_train.training.schedule import Schedule

    torch.manual_seed(0)
    model = Mine()
    fit(model, Loader(own_data["train"]), None, Schedule(3, 32, 3e-3), None, progress=False)
    assert measure(model, Loader(own_data["test"]))[1] > 0.95
    return model


@pytest.fixture
def subject(own_model: Mine, own_data: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Subject:
    """It as what is to be compressed."""
    from torch.utils.data import DataLoader, TensorDataset

    from host_train.compression.subject import own_subject

    return own_subject(
        own_model, own_data["test"], DataLoader(TensorDataset(*own_data["train"]), batch_size=32, shuffle=True)
    )


@pytest.fixture(scope="session")
def real() -> Split:
    """The 500 real digits that are shipped."""
    from host_train.data import Split

    with np.load(Path(__file__).parents[2] / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        return Split(sample["images"][..., None], sample["labels"].astype(np.int64))


@pytest.fixture(scope="session")
def real_folder(real: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They, as idx files."""
    part = {"images": real.images[..., 0], "labels": real.labels.astype(np.uint8)}
    arrays = {f"{split}_{name}": array for split in ("train", "test") for name, array in part.items()}
    return write_idx(tmp_path_factory.mktemp("real"), arrays)


@pytest.fixture(scope="session")
def short_lenet(tmp_path_factory: pytest.TempPathFactory, digits_folder: Path) -> Path:
    """A run of `lenet` of 4 epochs on the digits, in floating point; tests may add files of their own to its folder."""
    from host_train.cli import main

    out = tmp_path_factory.mktemp("runs") / "lenet"
    words = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out), "--device", "cpu", "--quiet"]
    assert main([*words, "--epochs", "4", "--batch", "32", "--qat-epochs", "0"]) == 0
    return out
