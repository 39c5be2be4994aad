"""A Network in one `.mat` file or in a folder of text files: the model package's manifest and arrays, in another
container.

What is read back is checked as a package is (docs/contract/model-package.md): shapes, types and SHA-256 of every array.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from host_train.training.checkpoint import replace_file
from pynq_cnn.errors import ArgumentError, ModelPackageError
from pynq_cnn.model import Network, load_package, save_package
from pynq_cnn.model.package.folder import array_entries, whole_folder
from pynq_cnn.model.package.forms import MANIFEST

TEXT = ".txt"
LONGEST_NAME = 63  # of a MATLAB variable


def unpack(network: Network) -> tuple[str, dict[str, np.ndarray]]:
    """The manifest of the network's package, and its arrays by the name of their file without `.npy`."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "package"
        save_package(network, package)
        files = sorted(package.glob("*.npy"))
        return (package / MANIFEST).read_text(encoding="utf-8"), {
            file.stem: np.load(file, allow_pickle=False) for file in files
        }


def _entries(manifest: str, where: str) -> list[dict[str, Any]]:
    """The descriptions of a manifest's arrays."""
    try:
        return list(array_entries(json.loads(manifest)))
    except (ValueError, RecursionError) as error:
        raise ModelPackageError(f"{where} has a damaged manifest: {error}; export it again") from error


def pack(manifest: str, arrays: dict[str, np.ndarray], where: str) -> Network:
    """The network of a manifest and its arrays, in any shape; `ModelPackageError` if they do not belong together."""
    entries = _entries(manifest, where)
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / MANIFEST).write_text(manifest, encoding="utf-8")
            for entry in entries:
                name = str(entry["file"]).removesuffix(".npy")
                if name not in arrays:
                    raise ModelPackageError(f"{where} has no array {name}; export it again")
                array = _of_type(arrays[name], entry["dtype"]).reshape(entry["shape"])
                np.save(Path(folder) / Path(entry["file"]).name, array, allow_pickle=False)
            try:
                return load_package(folder)
            except ModelPackageError as error:
                raise ModelPackageError(str(error).replace(folder, where)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelPackageError(f"{where} is damaged: {error}; export it again") from error


def _of_type(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array as the package has it: words of bits from their octets too."""
    array = np.ascontiguousarray(array)
    return array.view("<u8") if dtype == "uint64" and array.dtype == np.uint8 else array.astype(dtype, copy=False)


def write_checked(network: Network, path: Path, form: str = "npy") -> None:
    """Write `network` as one of `FORMATS`, and see that it reads back as it was; `ArgumentError` if not."""
    write, read = FORMATS[form]
    write(network, path)
    if read(path) != network:
        raise ArgumentError(f"{path} does not read back as it was written; is the disk full?")


# --------------------------------------------------------------------------------------------------------- .mat


def _variable(name: str) -> str:
    """A MATLAB variable's name."""
    return re.sub(r"\W", "_", name)


def write_mat(network: Network, path: str | os.PathLike[str]) -> None:
    """Write `network` as a MATLAB file (version 5).

    Parameters
    ----------
    network : Network
        The network to write.
    path : path
        Of the file, replaced if it is there. It has one variable for each array of the model package,
        `layer_conv1_weight` for `layer.conv1.weight`, in the package's types (words of bits as uint64) and shapes, but
        that MATLAB knows no arrays of one dimension: they are rows, 1 x n, a single number too. And `manifest`, a text.

    Raises
    ------
    ModelPackageError
        If a name is too long for MATLAB, which knows 63 letters, or two differ in nothing that it tells apart. No name
        is cut.
    ArgumentError
        If a folder is there.
    """
    from scipy.io import savemat

    manifest, arrays = unpack(network)
    variables: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        variable = _variable(name)
        if variable in variables or len(variable) > LONGEST_NAME:
            fault = (
                f"is longer than the {LONGEST_NAME} letters of MATLAB"
                if variable not in variables
                else "would be there twice"
            )
            raise ModelPackageError(
                f"{name} makes the MATLAB variable {variable}, which {fault}; give the layer another name, or write"
                " text"
            )
        variables[variable] = array
    named = {"manifest": manifest, **variables}
    replace_file(Path(path), lambda temporary: savemat(temporary, named, oned_as="row", appendmat=False))


def read_mat(path: str | os.PathLike[str]) -> Network:
    """The network that `write_mat` wrote; `ModelPackageError` if the file is not such."""
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise ModelPackageError(f"{path} is not there; write it with host_train export --format mat")
    try:
        variables = loadmat(path, appendmat=False)
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise ModelPackageError(f"{path} is no MATLAB file that can be read: {error}") from error
    texts = np.ravel(variables.get("manifest", [])).tolist()
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ModelPackageError(f"{path} has no text 'manifest'; write it with host_train export --format mat")
    manifest = "".join(texts)
    names = [str(entry["file"]).removesuffix(".npy") for entry in _entries(manifest, str(path))]
    return pack(
        manifest, {name: variables[_variable(name)] for name in names if _variable(name) in variables}, str(path)
    )


# --------------------------------------------------------------------------------------------------------- text


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


FORMATS = {"npy": (save_package, load_package), "mat": (write_mat, read_mat), "txt": (write_txt, read_txt)}
