"""Network -> package."""

from __future__ import annotations

import hashlib
import io
import json
import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ArgumentError, ModelPackageError, NetworkError
from pynq_cnn.model.description import short
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.huffman import code_lengths, encode
from pynq_cnn.model.layers import Layer
from pynq_cnn.model.network import Network
from pynq_cnn.model.package.folder import whole_folder
from pynq_cnn.model.package.forms import (
    FORMAT,
    FORMAT_VERSION,
    FORMS,
    MANIFEST,
    MAX_ARRAY_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PACKAGE_BYTES,
    REQUANTISATION,
)
from pynq_cnn.model.package.frequency import pack
from pynq_cnn.model.package.reading import as_path
from pynq_cnn.model.plain import plain_json
from pynq_cnn.model.shared import SharedWeight

ALL_ARRAYS = "all arrays, shared weights unpacked,"


def pack_shared(shared: SharedWeight) -> dict[str, np.ndarray | None]:
    """The arrays that a shared weight takes, by name (docs/contract/model-package.md, "Shared weights")."""
    codes = code_lengths(np.bincount(shared.codes, minlength=len(shared.codebook)))
    gaps = code_lengths(np.bincount(shared.gaps, minlength=1))
    stream = encode([shared.gaps, shared.codes], [gaps, codes])
    return {"codebook": shared.codebook, "code_lengths": np.concatenate([codes, gaps]), "stream": stream}


def narrow(bias: np.ndarray) -> np.ndarray:
    """int32 as int16 where all fit: of few weights, biases are a good part of what is stored.

    Examples
    --------
    >>> narrow(np.array([1, -32768], np.int32)).dtype.name, narrow(np.array([32768], np.int32)).dtype.name
    ('int16', 'int32')
    """
    short_ones = bias.astype(np.int16)
    return short_ones if np.array_equal(short_ones, bias) else bias


def _array_of(layer: Layer, name: str) -> np.ndarray | None:
    """The array that a package calls `name`; constants lie one level deeper in the layer."""
    if name in ("multiplier", "shift"):
        return getattr(layer.requantisation, name, None)  # type: ignore[union-attr]
    if name == "threshold":
        return getattr(layer.threshold, "value", None)  # type: ignore[union-attr]
    if name == "skip":
        return getattr(layer.skip, "multiplier", None)  # type: ignore[union-attr]
    return getattr(layer, name)


def _field_of(layer: Layer, field: str) -> Any:
    """The field that a package calls so; those of a requantisation lie one level deeper in the layer."""
    if field in REQUANTISATION:
        return getattr(layer.requantisation, field, REQUANTISATION[field])  # type: ignore[union-attr]
    return getattr(layer, field)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False).encode("utf-8")


def save_package(network: Network, folder: str | os.PathLike[str]) -> None:
    """Write `network` as a model package.

    The package is written beside `folder` and moved into place whole, so a failure leaves what was there.

    Parameters
    ----------
    network : Network
        The network to write.
    folder : path
        Made if missing. If it holds a model package and nothing else, that is replaced; any other folder that is not
        empty is left alone.

    Raises
    ------
    ModelPackageError
        If the folder holds something else or cannot be written, or the package would be one that cannot be loaded:
        metadata was made something else than JSON values, names of layers differ in case alone where files' do not, or
        it is too large.
    """
    if not isinstance(network, Network):
        raise ArgumentError(f"network must be a Network, not {short(network)}")
    with whole_folder(as_path(folder)) as temporary:
        _write(network, temporary)


def _write(network: Network, folder: Path) -> None:
    total = described = 0

    def check_size(what: str, size: int, most: int) -> None:
        # While it is written: what is too large is not found out when the disk is full of it.
        if size > most:
            raise ModelPackageError(
                f"{what} of {network.name} would take {size} bytes or more; at most {most} can be loaded again"
            )

    def arrays(prefix: str, named: dict[str, np.ndarray | None]) -> dict[str, Any]:
        nonlocal total
        entries = {}
        for name, array in named.items():
            if array is None:
                continue
            file = f"{prefix}.{name}.npy"
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            check_size(file, buffer.tell(), MAX_ARRAY_BYTES)
            total += buffer.tell()
            check_size(ALL_ARRAYS, total, MAX_PACKAGE_BYTES)
            # Another layer's file, where names that differ in case alone are one, is not written over.
            with open(folder / file, "xb") as stream:
                stream.write(buffer.getbuffer())
            digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
            entries[name] = {"file": file, "dtype": array.dtype.name, "shape": list(array.shape), "sha256": digest}
        return entries

    layers: list[dict[str, Any]] = []
    for layer in network.layers:
        kind, form = next((kind, form) for kind, form in FORMS.items() if form.layer is type(layer))
        entry: dict[str, Any] = {"type": kind, "name": layer.name}
        for field in (*form.fields, *form.options):
            value = _field_of(layer, field)
            value = list(value) if isinstance(value, tuple) else value
            if field in form.fields or value != form.options[field]:
                entry[field] = value
        named = {name: _array_of(layer, name) for name in (*form.required, *form.optional)}
        shared = layer.shared if form.shareable else None  # type: ignore[union-attr]
        if shared is not None:
            assert named["bias"] is not None
            named["bias"] = narrow(named["bias"])
        if isinstance(shared, FrequencyWeight):
            del named["weight"]
            entry["frequency"], coefficients = pack(shared)
            named.update(coefficients)
            total += 2 * prod(shared.shape)
        elif shared is not None:
            del named["weight"]
            entry["shared"] = {"entries": len(shared.codes), "shape": list(shared.shape)}
            named.update(pack_shared(shared))
            total += prod(shared.shape) + 2 * len(shared.codes)
            check_size(ALL_ARRAYS, total, MAX_PACKAGE_BYTES)
        if named:
            entry["arrays"] = arrays(f"layer.{layer.name}", named)
        layers.append(entry)
        described += len(_json(entry))
        check_size(MANIFEST, described, MAX_MANIFEST_BYTES)
    try:
        metadata = plain_json("metadata", network.metadata)  # a dict, which may have been changed since
    except NetworkError as error:
        raise ModelPackageError(f"{network.name} cannot be saved: {error}") from error
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
            "zero_point": list(spec.zero_points),
        },
        "layers": layers,
        "output": {
            "kind": network.output.kind,
            "arrays": arrays("output", {"scale": network.output.scale, "offset": network.output.offset}),
        },
        "classes": list(network.classes),
        "metadata": metadata,
    }
    if network.golden is not None:
        manifest["golden"] = {
            "arrays": arrays("golden", {"images": network.golden.images, "accumulators": network.golden.accumulators})
        }
    text = _json(manifest) + b"\n"
    check_size(MANIFEST, len(text), MAX_MANIFEST_BYTES)
    (folder / MANIFEST).write_bytes(text)
