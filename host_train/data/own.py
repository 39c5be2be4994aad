"""Pictures of one's own, wherever they are."""

from __future__ import annotations

from pathlib import Path

from host_train.data.dataset import Dataset
from host_train.data.pictures import load_folder
from host_train.data.vision import load_torchvision
from pynq_cnn.model import InputSpec

TORCHVISION = "torchvision:"  # before the name of one of its data sets


def load_pictures(where: str, spec: InputSpec, data_dir: Path | None = None, progress: bool = True) -> Dataset:
    """Pictures of one's own.

    Parameters
    ----------
    where : str
        Their folder, as of `load_folder`; or `torchvision:NAME`, as of `host_train.data.vision.load_torchvision`.
    spec : InputSpec
        The network's input.
    data_dir : pathlib.Path, optional
        The folder, where it is no longer `where`; of torchvision's data set, the folder of its files.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    DatasetError, ImageError
        As of these.
    """
    if where.startswith(TORCHVISION):
        return load_torchvision(where.removeprefix(TORCHVISION), spec, data_dir, progress)
    return load_folder(Path(where) if data_dir is None else data_dir, spec, progress)
