"""Bytes that each layer of a package takes on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pynq_cnn.model.package.forms import MANIFEST
from pynq_cnn.model.package.load import load_package
from pynq_cnn.model.package.reading import as_path, read_manifest


@dataclass(frozen=True)
class StoredBytes:
    """Bytes that one layer takes in a package, and would take as dense float32 weights and biases.

    Parameters
    ----------
    name : str
        The layer, or `output`.
    stored : int
        Bytes of its `.npy` files, their headers included.
    dense : int
        4 bytes for each weight and each bias (one per output channel) of the layer; 0 where there are only constants.
    """

    name: str
    stored: int
    dense: int


def stored_bytes(folder: str | os.PathLike[str]) -> list[StoredBytes]:
    """Sizes of a package's layers, in order, and at last of its output's scale and offset; layers without arrays are
    left out.

    Together that is what it takes to run the network. The golden vectors, which only the self-test reads, and the
    manifest are not counted.

    Parameters
    ----------
    folder : path
        The package.

    Raises
    ------
    ModelPackageError
        If the package is not whole.
    """
    network, path = load_package(folder), as_path(folder)
    manifest = read_manifest(path / MANIFEST)

    def on_disk(entry: dict[str, Any]) -> int:
        return sum((path / array["file"]).stat().st_size for array in entry["arrays"].values())

    sizes = []
    for layer, entry in zip(network.layers, manifest["layers"]):
        if not entry.get("arrays"):
            continue
        sizes.append(StoredBytes(layer.name, on_disk(entry), 4 * layer.parameter_count))
    return [*sizes, StoredBytes("output", on_disk(manifest["output"]), 0)]
