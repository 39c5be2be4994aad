"""Model packages on disk: `manifest.json` and `.npy` arrays (docs/model-package.md)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ModelPackageError, NetworkError
from pynq_cnn.model.huffman import code_lengths, decode, encode
from pynq_cnn.model.layers import AvgPool2d, BinaryConv2d, Conv2d, Dense, Layer, MaxPool2d, Requantisation, Threshold
from pynq_cnn.model.network import Golden, InputSpec, Network, OutputSpec
from pynq_cnn.model.shared import SharedWeight

FORMAT = "pynq_cnn.model"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

# What a package may hold at most; larger numbers in a manifest are a fault, not a reason to run out of memory.
MAX_MANIFEST_BYTES = 4 << 20
MAX_ARRAY_BYTES = 256 << 20


@dataclass(frozen=True)
class _Form:
    """How a kind of layer is written: its class, its JSON fields with their types, its arrays, whether its weight may be a shared one."""

    layer: Callable[..., Any]
    fields: dict[str, type]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    shareable: bool = False


FORMS = {
    "conv2d": _Form(Conv2d, {"stride": list, "padding": list}, ("weight", "bias"), ("multiplier", "shift", "threshold", "pad_value"), True),
    "dense": _Form(Dense, {}, ("weight", "bias"), ("multiplier", "shift", "threshold"), True),
    "binary_conv2d": _Form(BinaryConv2d, {"channels": int, "stride": list, "padding": list}, ("weight",), ("threshold",)),
    "maxpool2d": _Form(MaxPool2d, {"size": int, "stride": int}),
    "avgpool2d": _Form(AvgPool2d, {"size": list, "stride": list}, (), ("multiplier", "shift")),
}


# A shared weight takes three arrays in the place of `weight`: the codebook, the lengths of the canonical Huffman code words of the codebook
# indices and then of the gaps, and the stream: for each entry the word of its gap, then that of its code.
SHARED_ARRAYS = ("codebook", "code_lengths", "stream")


def _pack_shared(shared: SharedWeight) -> dict[str, np.ndarray | None]:
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


# ---------------------------------------------------------------------------------------------------- saving


def array_entries(manifest: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of all arrays of a manifest: every object that names a file, but for those in the metadata, which is free."""
    if isinstance(manifest, dict):
        if "file" in manifest:
            yield manifest
        for key, value in manifest.items():
            if key != "metadata":
                yield from array_entries(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from array_entries(value)


def check_replaceable(folder: str | os.PathLike[str], suffix: str = ".npy") -> None:
    """See that writing a package to `folder` would take nothing away but an earlier one.

    Parameters
    ----------
    folder : path
        Not there, empty, or a package: a manifest of this format, and no file but those that it names.
    suffix : str
        Of the files of arrays; a package of another kind is not an earlier one.

    Raises
    ------
    ModelPackageError
        If the folder holds anything else; names it.
    """
    target = Path(folder)
    if not target.exists():
        return
    try:
        found = sorted(path.name for path in target.iterdir())
        own = {MANIFEST} | _array_files(target / MANIFEST, suffix) if found else set()
    except (OSError, ValueError, RecursionError) as error:
        raise ModelPackageError(f"{target} exists and is not a model package; choose another folder") from error
    foreign = [name for name in found if name not in own or not (target / name).is_file()]
    if foreign:
        raise ModelPackageError(
            f"{target} exists and is not a model package of {suffix} files alone: it holds {foreign[0]}; choose another folder"
        )


def _array_files(manifest_path: Path, suffix: str) -> set[str]:
    """Names of the files of a manifest's arrays; `ValueError` if it is no manifest of this format."""
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    return {str(entry["file"]).removesuffix(".npy") + suffix for entry in array_entries(manifest)}


@contextmanager
def whole_folder(folder: str | os.PathLike[str], suffix: str = ".npy") -> Iterator[Path]:
    """A new folder to write a package into; it takes the place of `folder` when all is written, and a failure leaves what was there.

    Parameters
    ----------
    folder, suffix
        As of `check_replaceable`, whose error is raised before and after anything is written.

    Raises
    ------
    ModelPackageError
        If the folder holds something else, or cannot be written.
    """
    check_replaceable(folder, suffix)
    target = Path(folder).resolve()  # of a link, what it points to
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            check_replaceable(target, suffix)
            if target.exists():
                earlier = target.rename(temporary.with_name(f"{temporary.name}-earlier"))
                temporary.rename(target)
                for file in earlier.iterdir():
                    file.unlink()
                earlier.rmdir()
            else:
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ModelPackageError(f"{folder} cannot be written: {error}") from error


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
            named.update(_pack_shared(shared))
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
        "output": {"arrays": arrays("output", {"scale": network.output.scale, "offset": network.output.offset})},
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


# --------------------------------------------------------------------------------------------------- loading


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


class _Reader:
    """One package being read: knows the folder, and says file and field in every error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest_path = folder / MANIFEST

    def error(self, field: str, problem: str) -> ModelPackageError:
        return ModelPackageError(f"{self.manifest_path}: {field}: {problem}")

    def manifest(self) -> dict[str, Any]:
        if not self.folder.is_dir():
            raise ModelPackageError(f"{self.folder} is not a folder; a model package is a folder with {MANIFEST} and .npy arrays")
        try:
            with open(self.manifest_path, "rb") as file:
                data = file.read(MAX_MANIFEST_BYTES + 1)
        except OSError as error:
            raise ModelPackageError(f"{self.manifest_path} cannot be read: {error.strerror}; is this a model package?") from error
        if len(data) > MAX_MANIFEST_BYTES:
            raise ModelPackageError(f"{self.manifest_path} is larger than {MAX_MANIFEST_BYTES} bytes")
        try:
            manifest = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ModelPackageError(f"{self.manifest_path} is not JSON: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise self.error("format", f"must be {FORMAT!r}; this is no model package")
        version = manifest.get("format_version")
        if isinstance(version, bool) or version != FORMAT_VERSION:
            raise self.error("format_version", f"{version!r} cannot be read, only {FORMAT_VERSION}; use the pynq_cnn that wrote it")
        return manifest

    def get(self, where: str, mapping: Any, key: str, kind: type | tuple[type, ...]) -> Any:
        field = f"{where}.{key}" if where else key
        if not isinstance(mapping, dict):
            raise self.error(where, f"must be an object, not {mapping!r:.80}")
        if key not in mapping:
            raise self.error(field, "is missing")
        value = mapping[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(field, f"has the wrong type: {value!r:.80}")
        return value

    def only(self, where: str, mapping: dict[str, Any], allowed: set[str]) -> None:
        unknown = sorted(set(mapping) - allowed)
        if unknown:
            raise self.error(f"{where}.{unknown[0]}" if where else unknown[0], f"is unknown; known are {', '.join(sorted(allowed))}")

    def array(self, where: str, entry: Any) -> np.ndarray:
        file = self.get(where, entry, "file", str)
        dtype = self.get(where, entry, "dtype", str)
        shape = self.get(where, entry, "shape", list)
        digest = self.get(where, entry, "sha256", str)
        self.only(where, entry, {"file", "dtype", "shape", "sha256"})
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.npy", file):
            raise self.error(f"{where}.file", f"{file!r} must be the plain name of a .npy file in this folder")
        path = self.folder / file
        if path.resolve().parent != self.folder.resolve():
            raise self.error(f"{where}.file", f"{file!r} leads out of the package")
        try:
            if path.stat().st_size > MAX_ARRAY_BYTES:
                raise ModelPackageError(f"{path} ({where}) is larger than {MAX_ARRAY_BYTES} bytes")
            data = path.read_bytes()
        except OSError as error:
            raise ModelPackageError(f"{path} ({where}) cannot be read: {error.strerror}; copy the whole package again") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelPackageError(
                f"{path} ({where}) is not what the manifest's sha256 says: altered or truncated; copy the package again"
            )
        try:
            array = np.load(io.BytesIO(data), allow_pickle=False)
        except Exception as error:  # np.load raises many kinds for bytes that are no array; all mean the same here
            raise ModelPackageError(f"{path} ({where}) is no plain .npy array: {error}") from error
        if not isinstance(array, np.ndarray) or array.dtype.name != dtype or not array.dtype.isnative:
            raise ModelPackageError(f"{path} ({where}) holds {getattr(array, 'dtype', type(array).__name__)}, the manifest says {dtype}")
        if list(array.shape) != shape:
            raise ModelPackageError(f"{path} ({where}) has the shape {list(array.shape)}, the manifest says {shape}")
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
        where = f"{where} ({name})"
        form = FORMS.get(kind)
        if form is None:
            raise self.error(f"{where}.type", f"{kind!r} is unknown; known are {', '.join(FORMS)}")
        has_arrays = bool(form.required or form.optional)
        is_shared = form.shareable and "shared" in entry
        known = {"type", "name", *form.fields} | ({"arrays"} if has_arrays else set()) | ({"shared"} if is_shared else set())
        self.only(where, entry, known)
        values: dict[str, Any] = {field: self.get(where, entry, field, expected) for field, expected in form.fields.items()}
        if has_arrays:
            required = set(form.required) - {"weight"} | set(SHARED_ARRAYS) if is_shared else set(form.required)
            values.update(self.arrays(where, entry, required, set(form.optional)))
        if is_shared:
            shared = self.shared(where, entry, *(values.pop(name) for name in SHARED_ARRAYS))
            values.update(weight=shared.dense(), shared=shared)
        if "multiplier" in values:
            multiplier, shift = values.pop("multiplier"), values.pop("shift")
            if (multiplier is None) != (shift is None):
                raise self.error(f"{where}.arrays", "multiplier and shift go together, one is missing")
            values["requantisation"] = None if multiplier is None else self.build(where, lambda: Requantisation(multiplier, shift))
        if values.get("threshold") is not None:
            values["threshold"] = self.build(where, lambda: Threshold(values["threshold"]))
        return self.build(where, lambda: form.layer(name, **values))

    def shared(self, where: str, entry: dict[str, Any], codebook: np.ndarray, code_lengths: np.ndarray, stream: np.ndarray) -> SharedWeight:
        """A pruned, weight-shared weight from its codebook and Huffman stream."""
        details = self.get(where, entry, "shared", dict)
        entries, shape = self.get(f"{where}.shared", details, "entries", int), self.get(f"{where}.shared", details, "shape", list)
        self.only(f"{where}.shared", details, {"entries", "shape"})
        if (
            not all(isinstance(side, int) and side >= 1 for side in shape)
            or not 0 <= entries <= np.prod(shape, dtype=float) <= MAX_ARRAY_BYTES
        ):
            raise self.error(f"{where}.shared", f"{entries} entries of shape {shape!r} are out of range")
        if (
            any(a.dtype != np.uint8 or a.ndim != 1 for a in (code_lengths, stream))
            or codebook.ndim != 1
            or len(code_lengths) <= len(codebook)
        ):
            raise self.error(f"{where}.arrays", "code_lengths and stream must be uint8 vectors, code_lengths longer than the codebook")

        def make() -> SharedWeight:
            gap_lengths = code_lengths[len(codebook) :]
            gaps, codes = decode(stream, [gap_lengths, code_lengths[: len(codebook)]], entries)
            return SharedWeight(codebook, gaps, codes, tuple(shape))

        return self.build(where, make)

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
        }
        self.only("input", entry, set(kinds))
        values = {key: self.get("input", entry, key, kind) for key, kind in kinds.items()}
        return self.build("input", lambda: InputSpec(**values))

    def network(self) -> Network:
        manifest = self.manifest()
        self.only("", manifest, {"format", "format_version", "name", "input", "layers", "output", "classes", "golden", "metadata"})
        name = self.get("", manifest, "name", str)
        spec = self.input(self.get("", manifest, "input", dict))
        layers = tuple(self.layer(f"layers[{i}]", entry) for i, entry in enumerate(self.get("", manifest, "layers", list)))
        scaling = self.arrays("output", self.get("", manifest, "output", dict), {"scale", "offset"})
        output = self.build("output", lambda: OutputSpec(**scaling))
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
        If anything is missing, truncated, altered, of a wrong type or shape, unknown, or does not chain; names file and field.
    """
    return _Reader(Path(folder)).network()


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
