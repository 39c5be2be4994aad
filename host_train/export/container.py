"""A Network as the model package's manifest and arrays, for other containers of the same.

Arrays that are read back are checked as a package is (docs/contract/model-package.md): shape, type and SHA-256.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import Network, load_package, save_package
from pynq_cnn.model.package.folder import array_entries
from pynq_cnn.model.package.forms import MANIFEST


def unpack(network: Network) -> tuple[str, dict[str, np.ndarray]]:
    """The manifest of the network's package, and its arrays by the name of their file without `.npy`."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "package"
        save_package(network, package)
        files = sorted(package.glob("*.npy"))
        return (package / MANIFEST).read_text(encoding="utf-8"), {
            file.stem: np.load(file, allow_pickle=False) for file in files
        }


def entries_of(manifest: str, where: str) -> list[dict[str, Any]]:
    """The descriptions of a manifest's arrays."""
    try:
        return list(array_entries(json.loads(manifest)))
    except (ValueError, RecursionError) as error:
        raise ModelPackageError(f"{where} has a damaged manifest: {error}; export it again") from error


def pack(manifest: str, arrays: dict[str, np.ndarray], where: str) -> Network:
    """The network of a manifest and its arrays, in any shape; `ModelPackageError` if they do not belong together."""
    entries = entries_of(manifest, where)
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
