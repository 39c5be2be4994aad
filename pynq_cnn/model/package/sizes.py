"""What each layer of a package takes on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynq_cnn.model.layers import AvgPool2d, BinaryConv2d, MaxPool2d
from pynq_cnn.model.package.forms import MANIFEST
from pynq_cnn.model.package.load import load_package


@dataclass(frozen=True)
class StoredBytes:
    """What one layer takes in a package, and what it would take as dense float32 weights and biases.

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
    """Sizes of a package's layers, in order, and at last of its output's scale and offset; layers without arrays are left out.

    Together that is what it takes to run the network. The golden vectors, which only the self-test reads, and the manifest are not counted.

    Parameters
    ----------
    folder : path
        The package.

    Raises
    ------
    ModelPackageError
        If the package is not whole.
    """
    network, path = load_package(folder), Path(folder)
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))

    def on_disk(entry: dict[str, Any]) -> int:
        return sum((path / array["file"]).stat().st_size for array in entry["arrays"].values())

    sizes = []
    for layer, entry in zip(network.layers, manifest["layers"]):
        if not entry.get("arrays"):
            continue
        dense = 0
        if not isinstance(layer, (MaxPool2d, AvgPool2d)):
            weights = layer.signs().size if isinstance(layer, BinaryConv2d) else layer.weight.size
            dense = 4 * (weights + layer.outputs)
        sizes.append(StoredBytes(layer.name, on_disk(entry), dense))
    return [*sizes, StoredBytes("output", on_disk(manifest["output"]), 0)]
