"""A Network in a folder of text files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from host_train.export.container import pack, unpack
from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import Network
from pynq_cnn.model.package.folder import whole_folder
from pynq_cnn.model.package.forms import MANIFEST

TEXT = ".txt"


def write_txt(network: Network, folder: str | os.PathLike[str]) -> None:
    """Write `network` as text files.

    Parameters
    ----------
    network : Network
        The network to write.
    folder : path
        Made if missing; an earlier such export, with nothing else in the folder, is replaced. It gets `manifest.json`
        as in the model package, and for each array a file such as `layer.conv1.weight.txt`: a line `# int8 4 3 3 1`
        with type and shape, then the numbers, the last dimension along a line, as `numpy.savetxt` writes them. Every
        number is one that float64 holds exactly, which is what `numpy.loadtxt`, MATLAB and most other readers make of
        it: words of 64 bits are their eight octets, the lowest first, so that channel c is the bit c % 8 of octet c //
        8; and float32 has as many digits as its float64.

    Raises
    ------
    ModelPackageError
        If the folder holds something else.
    """
    manifest, arrays = unpack(network)
    with whole_folder(folder, TEXT) as temporary:
        (temporary / MANIFEST).write_text(manifest, encoding="utf-8")
        for name, array in arrays.items():
            array = _octets(array)
            kind = "%.17g" if array.dtype == np.float32 else "%d"
            lines = array.reshape(-1, array.shape[-1]) if array.size else array.reshape(0, 1)
            header = " ".join([array.dtype.name, *map(str, array.shape)])
            np.savetxt(temporary / f"{name}{TEXT}", lines, fmt=kind, header=header)


def _octets(array: np.ndarray) -> np.ndarray:
    """Words of 64 bits as uint8 [..., 8 * words], which is what readers that compute in float64 can hold; other arrays
    as they are.
    """
    return np.ascontiguousarray(array, "<u8").view(np.uint8) if array.dtype == np.uint64 else array


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """One array of `write_txt`, with the type and shape of its first line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("# int8 2 1 2\\n1 2\\n3 -4\\n")
    ...     read_array(Path(folder, "a.txt")).tolist()
    [[[1, 2]], [[3, -4]]]
    """
    try:
        with open(path, encoding="utf-8") as file:
            dtype, *shape = file.readline().removeprefix("#").split()
            values = [np.array(line.split(), dtype) for line in file]
        sides = [int(side) for side in shape]
        return np.concatenate([*values, np.zeros(0, dtype)]).reshape(sides)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise ModelPackageError(f"{path} cannot be read: {error}; export it again") from error


def read_txt(folder: str | os.PathLike[str]) -> Network:
    """The network that `write_txt` wrote; `ModelPackageError` if the folder is not such."""
    source = Path(folder)
    try:
        manifest = (source / MANIFEST).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelPackageError(f"{source / MANIFEST} cannot be read: {error}") from error
    return pack(manifest, {file.stem: read_array(file) for file in sorted(source.glob(f"*{TEXT}"))}, str(source))
