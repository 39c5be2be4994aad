"""Package -> Network, everything checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Set
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ModelPackageError, NetworkError
from pynq_cnn.model.description import short
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.huffman import decode
from pynq_cnn.model.layers import Layer, Requantisation, Skip, Threshold, check_name
from pynq_cnn.model.network import Golden, InputSpec, Network
from pynq_cnn.model.output import OutputSpec
from pynq_cnn.model.package.forms import (
    FORMAT_VERSION,
    FORMS,
    MANIFEST,
    MAX_ARRAY_BYTES,
    MAX_PACKAGE_BYTES,
    REQUANTISATION,
    STORED_ARRAYS,
)
from pynq_cnn.model.package.frequency import unpack
from pynq_cnn.model.package.reading import as_path, read_array, read_file, read_manifest
from pynq_cnn.model.shared import SharedWeight

ARRAY_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,250}\.npy")


class _Reader:
    """One package being read: knows the folder, and says file and field in every error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest_path = folder / MANIFEST
        self.left = MAX_PACKAGE_BYTES

    def error(self, field: str, problem: str) -> ModelPackageError:
        return ModelPackageError(f"{self.manifest_path}: {field}: {problem}")

    def spend(self, field: str, count: int) -> None:
        """Count what takes memory."""
        self.left -= count
        if self.left < 0:
            raise self.error(
                field, f"arrays, shared weights unpacked, take more than {MAX_PACKAGE_BYTES} bytes up to here"
            )

    def manifest(self) -> dict[str, Any]:
        if not os.path.isdir(self.folder):
            raise ModelPackageError(
                f"{self.folder} is not a folder; a model package is a folder with {MANIFEST} and .npy arrays"
            )
        self.root = os.path.realpath(self.folder)
        manifest = read_manifest(self.manifest_path)
        version = manifest.get("format_version")
        if isinstance(version, bool) or version != FORMAT_VERSION:
            raise self.error(
                "format_version",
                f"{short(version)} cannot be read, only {FORMAT_VERSION}; make the package anew from its run with"
                " `python -m host_train export RUN`, or install the pynq_cnn that wrote it",
            )
        return manifest

    def get(self, where: str, mapping: Any, key: str, kind: type | tuple[type, ...]) -> Any:
        field = f"{where}.{key}" if where else key
        if not isinstance(mapping, dict):
            raise self.error(where, f"must be an object, not {short(mapping)}")
        if key not in mapping:
            raise self.error(field, "is missing")
        value = mapping[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(field, f"has the wrong type: {short(value)}")
        return value

    def only(self, where: str, mapping: dict[str, Any], allowed: set[str]) -> None:
        unknown = sorted(set(mapping) - allowed)
        if unknown:
            field = unknown[0] if unknown[0].isidentifier() else short(unknown[0])
            raise self.error(
                f"{where}.{field:.80}" if where else f"{field:.80}",
                f"is unknown; known are {', '.join(sorted(allowed))}",
            )

    def array(self, where: str, entry: Any) -> np.ndarray:
        file = self.get(where, entry, "file", str)
        dtype = self.get(where, entry, "dtype", str)
        shape = self.get(where, entry, "shape", list)
        digest = self.get(where, entry, "sha256", str)
        self.only(where, entry, {"file", "dtype", "shape", "sha256"})
        if not ARRAY_FILE.fullmatch(file):
            raise self.error(f"{where}.file", f"{short(file)} must be the plain name of a .npy file in this folder")
        path = self.folder / file
        if os.path.dirname(os.path.realpath(path)) != self.root:
            raise self.error(f"{where}.file", f"{short(file)} leads out of the package")
        try:
            data = read_file(path, MAX_ARRAY_BYTES)
        except ModelPackageError as error:
            raise ModelPackageError(f"{self.manifest_path}: {where}: {error}; copy the whole package again") from error
        self.spend(where, len(data))
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelPackageError(
                f"{path} ({where}) is not what the manifest's sha256 says: altered or truncated; copy the package again"
            )
        try:
            array = read_array(data)
        except Exception as error:  # NumPy raises many kinds for bytes that are no array; all mean the same here
            raise ModelPackageError(f"{path} ({where}) is no plain .npy array: {str(error):.200}") from error
        if array.dtype.name != dtype or not array.dtype.isnative:
            raise ModelPackageError(f"{path} ({where}) holds {str(array.dtype):.80}, the manifest says {short(dtype)}")
        if list(array.shape) != shape:
            raise ModelPackageError(
                f"{path} ({where}) has the shape {list(array.shape)}, the manifest says {short(shape)}"
            )
        return array

    def arrays(self, where: str, mapping: Any, required: set[str], optional: Set[str] = frozenset()) -> dict[str, Any]:
        """The arrays of an entry by name; optional ones that are not there are None."""
        entries = self.get(where, mapping, "arrays", dict)
        self.only(f"{where}.arrays", entries, required | optional)
        named: dict[str, Any] = dict.fromkeys(optional)
        for name in sorted(required | (optional & set(entries))):
            named[name] = self.array(f"{where}.arrays.{name}", self.get(f"{where}.arrays", entries, name, dict))
        return named

    def build(self, field: str, make: Callable[[], Any]) -> Any:
        """Make a description; what it refuses is reported with this package's name."""
        try:
            return make()
        except ModelPackageError:
            raise
        except NetworkError as error:
            raise self.error(field, str(error)) from error

    def layer(self, where: str, entry: Any) -> Layer:
        kind = self.get(where, entry, "type", str)
        name = self.get(where, entry, "name", str)
        self.build(f"{where}.name", lambda: check_name(name))
        where = f"{where} ({name})"
        form = FORMS.get(kind)
        if form is None:
            raise self.error(f"{where}.type", f"{short(kind)} is unknown; known are {', '.join(FORMS)}")
        has_arrays = bool(form.required or form.optional)
        # Weights in another form than their own: "shared" or "frequency", with arrays in the place of `weight`.
        stored = next((one for one in STORED_ARRAYS if form.shareable and one in entry), None)
        known = {"type", "name", *form.fields, *form.options}
        known |= ({"arrays"} if has_arrays else set()) | ({stored} if stored else set())
        self.only(where, entry, known)
        values: dict[str, Any] = {
            field: self.get(where, entry, field, expected) for field, expected in form.fields.items()
        }
        for field, default in form.options.items():
            values[field] = self.get(where, entry, field, type(default)) if field in entry else default
        if has_arrays:
            required = set(form.required)
            if stored:
                required = required - {"weight"} | set(STORED_ARRAYS[stored])
            values.update(self.arrays(where, entry, required, set(form.optional)))
        if stored:
            read = self.shared if stored == "shared" else self.frequency
            weight = read(where, entry, *(values.pop(name) for name in STORED_ARRAYS[stored]))
            values.update(weight=weight.dense(), shared=weight)
            if values["bias"].dtype == np.int16:
                values["bias"] = values["bias"].astype(np.int32)
        if "multiplier" in values:
            values["requantisation"] = self.requantisation(where, values)
        for array, kind in (("threshold", Threshold), ("skip", Skip)):
            if values.get(array) is not None:
                values[array] = self.build(where, partial(kind, values[array]))
        return self.build(where, lambda: form.layer(name, **values))

    def requantisation(self, where: str, values: dict[str, Any]) -> Requantisation | None:
        """The constants among a layer's values, which are taken out of them."""
        multiplier, shift, *bytes_ = (values.pop(name) for name in ("multiplier", "shift", *REQUANTISATION))
        if (multiplier is None) != (shift is None):
            raise self.error(f"{where}.arrays", "multiplier and shift go together, one is missing")
        if multiplier is None:
            if any(bytes_):
                raise self.error(f"{where}.zero_point", "is of a requantisation, but there is no multiplier and shift")
            return None
        made: Requantisation = self.build(where, lambda: Requantisation(multiplier, shift, *bytes_))
        return made

    def shared(
        self, where: str, entry: dict[str, Any], codebook: np.ndarray, code_lengths: np.ndarray, stream: np.ndarray
    ) -> SharedWeight:
        """A pruned, weight-shared weight from its codebook and Huffman stream."""
        details = self.get(where, entry, "shared", dict)
        entries, shape = (
            self.get(f"{where}.shared", details, "entries", int),
            self.get(f"{where}.shared", details, "shape", list),
        )
        self.only(f"{where}.shared", details, {"entries", "shape"})
        if (
            any(a.dtype != np.uint8 or a.ndim != 1 for a in (code_lengths, stream))
            or codebook.ndim != 1
            or not len(codebook) < len(code_lengths)
        ):
            raise self.error(
                f"{where}.arrays",
                "code_lengths and stream must be uint8 vectors, and codebook a shorter vector than code_lengths",
            )

        def make() -> SharedWeight:
            gap_lengths = code_lengths[len(codebook) :]
            gaps, codes = decode(stream, [gap_lengths, code_lengths[: len(codebook)]], entries)
            return SharedWeight(codebook, gaps, codes, tuple(shape))

        weight = self.build(f"{where}.shared", make)
        self.spend(f"{where}.shared", prod(weight.shape) + 2 * entries)
        return weight

    def frequency(
        self, where: str, entry: dict[str, Any], allocation: np.ndarray, code_lengths: np.ndarray, stream: np.ndarray
    ) -> FrequencyWeight:
        """Weights as coefficients, from their allocation and their streams."""
        where = f"{where}.frequency"
        details = self.get("", entry, "frequency", dict)
        kinds = {"shape": list, "kernel": list, "step": int, "streams": list}
        fields = {name: self.get(where, details, name, kind) for name, kind in kinds.items()}
        self.only(where, details, set(kinds))
        weight = self.build(where, lambda: unpack(fields, allocation, code_lengths, stream))
        self.spend(where, 2 * prod(weight.shape))
        return weight

    def input(self, entry: dict[str, Any]) -> InputSpec:
        kinds = {
            "height": int,
            "width": int,
            "channels": int,
            "color": str,
            "mean": list,
            "std": list,
            "fit": str,
            "invert": str,
            "zero_point": list,
        }
        self.only("input", entry, set(kinds))
        values = {key: self.get("input", entry, key, kind) for key, kind in kinds.items()}
        return self.build("input", lambda: InputSpec(**values))

    def output(self, entry: dict[str, Any]) -> OutputSpec:
        self.only("output", entry, {"arrays", "kind"})
        kind = self.get("output", entry, "kind", str) if "kind" in entry else "softmax"
        scaling = self.arrays("output", entry, {"scale", "offset"})
        return self.build("output", lambda: OutputSpec(**scaling, kind=kind))

    def network(self) -> Network:
        manifest = self.manifest()
        self.only(
            "",
            manifest,
            {"format", "format_version", "name", "input", "layers", "output", "classes", "golden", "metadata"},
        )
        name = self.get("", manifest, "name", str)
        spec = self.input(self.get("", manifest, "input", dict))
        layers = tuple(
            self.layer(f"layers[{i}]", entry) for i, entry in enumerate(self.get("", manifest, "layers", list))
        )
        output = self.output(self.get("", manifest, "output", dict))
        golden = None
        if "golden" in manifest:
            vectors = self.arrays("golden", self.get("", manifest, "golden", dict), {"images", "accumulators"})
            golden = self.build("golden", lambda: Golden(**vectors))
        classes = self.get("", manifest, "classes", list)
        metadata = self.get("", manifest, "metadata", dict)
        return self.build("layers", lambda: Network(name, spec, layers, output, tuple(classes), golden, metadata))


def load_package(folder: str | os.PathLike[str]) -> Network:
    """Read and check a model package.

    Parameters
    ----------
    folder : path
        The package's folder.

    Returns
    -------
    Network
        Equal to what `save_package` was given.

    Raises
    ------
    ModelPackageError
        If anything is missing, truncated, altered, of a wrong type or shape, unknown, or does not chain; names file and
        field.
    """
    return _Reader(as_path(folder)).network()
