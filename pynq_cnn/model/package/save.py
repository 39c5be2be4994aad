"""Network -> package."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model.huffman import code_lengths, encode
from pynq_cnn.model.layers import Layer
from pynq_cnn.model.network import Network
from pynq_cnn.model.package.folder import whole_folder
from pynq_cnn.model.package.forms import FORMAT, FORMAT_VERSION, FORMS, MANIFEST
from pynq_cnn.model.shared import SharedWeight


def pack_shared(shared: SharedWeight) -> dict[str, np.ndarray | None]:
    """The arrays that a shared weight takes, by name (docs/model-package.md, "Shared weights")."""
    codes = code_lengths(np.bincount(shared.codes, minlength=len(shared.codebook)))
    gaps = code_lengths(np.bincount(shared.gaps, minlength=1))
    stream = encode([shared.gaps, shared.codes], [gaps, codes])
    return {"codebook": shared.codebook, "code_lengths": np.concatenate([codes, gaps]), "stream": stream}


def _array_of(layer: Layer, name: str) -> np.ndarray | None:
    """The array that a package calls `name`; constants lie one level deeper in the layer."""
    if name in ("multiplier", "shift"):
        return getattr(layer.requantisation, name, None)  # type: ignore[union-attr]
    if name == "threshold":
        return getattr(layer.threshold, "value", None)  # type: ignore[union-attr]
    return getattr(layer, name)


def save_package(network: Network, folder: str | os.PathLike[str]) -> None:
    """Write `network` as a model package.

    The package is written beside `folder` and moved into place whole, so a failure leaves what was there.

    Parameters
    ----------
    network : Network
        What to write.
    folder : path
        Made if missing. If it holds a model package and nothing else, that is replaced; any other folder that is not empty is left alone.

    Raises
    ------
    ModelPackageError
        If the folder holds something else, cannot be written, or metadata is not JSON.
    """
    with whole_folder(folder) as temporary:
        _write(network, temporary)


def _write(network: Network, folder: Path) -> None:
    def arrays(prefix: str, named: dict[str, np.ndarray | None]) -> dict[str, Any]:
        entries = {}
        for name, array in named.items():
            if array is None:
                continue
            file = f"{prefix}.{name}.npy"
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            (folder / file).write_bytes(buffer.getvalue())
            digest = hashlib.sha256(buffer.getvalue()).hexdigest()
            entries[name] = {"file": file, "dtype": array.dtype.name, "shape": list(array.shape), "sha256": digest}
        return entries

    layers: list[dict[str, Any]] = []
    for layer in network.layers:
        kind, form = next((kind, form) for kind, form in FORMS.items() if form.layer is type(layer))
        entry: dict[str, Any] = {"type": kind, "name": layer.name}
        for field in form.fields:
            value = getattr(layer, field)
            entry[field] = list(value) if isinstance(value, tuple) else value
        named = {name: _array_of(layer, name) for name in (*form.required, *form.optional)}
        shared = layer.shared if form.shareable else None  # type: ignore[union-attr]
        if shared is not None:
            del named["weight"]
            entry["shared"] = {"entries": len(shared.codes), "shape": list(shared.shape)}
            named.update(pack_shared(shared))
        if named:
            entry["arrays"] = arrays(f"layer.{layer.name}", named)
        layers.append(entry)
    spec = network.input
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": network.name,
        "input": {
            "height": spec.height,
            "width": spec.width,
            "channels": spec.channels,
            "color": spec.color,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "fit": spec.fit,
            "invert": spec.invert,
        },
        "layers": layers,
        "output": {
            "kind": network.output.kind,
            "arrays": arrays("output", {"scale": network.output.scale, "offset": network.output.offset}),
        },
        "classes": list(network.classes),
        "metadata": network.metadata,
    }
    if network.golden is not None:
        manifest["golden"] = {"arrays": arrays("golden", {"images": network.golden.images, "accumulators": network.golden.accumulators})}
    try:
        text = json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ModelPackageError(f"metadata of {network.name} must be JSON values: {error}") from error
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
