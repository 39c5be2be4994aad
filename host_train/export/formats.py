"""The formats in which a Network can be written and read back."""

from __future__ import annotations

from pathlib import Path

from host_train.export.mat import read_mat, write_mat
from host_train.export.txt import read_txt, write_txt
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network, load_package, save_package

FORMATS = {"npy": (save_package, load_package), "mat": (write_mat, read_mat), "txt": (write_txt, read_txt)}


def write_checked(network: Network, path: Path, form: str = "npy") -> None:
    """Write `network` as one of `FORMATS`, and see that it reads back as it was; `ArgumentError` if not."""
    write, read = FORMATS[form]
    write(network, path)
    if read(path) != network:
        raise ArgumentError(f"{path} does not read back as it was written; is the disk full?")
