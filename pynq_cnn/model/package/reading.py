"""Reading files that anybody may have written: only plain files, no more than is expected, and JSON without traps."""

from __future__ import annotations

import io
import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pynq_cnn.errors import ArgumentError, ModelPackageError
from pynq_cnn.model.package.forms import FORMAT, MAX_MANIFEST_BYTES

MAX_DEPTH = 64  # of lists and objects in each other
MAX_DIGITS = 1000  # of an integer: the time to read one grows with their square

MAX_HEADER_BYTES = 1 << 14  # of an `.npy` file; NumPy's own are of 128
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def as_path(folder: Any) -> Path:
    """The folder of a package as a path; `ArgumentError` for what is none."""
    try:
        return Path(folder)
    except TypeError:
        raise ArgumentError(f"the folder of a model package must be a path, not {folder!r:.80}") from None


def read_file(path: Path, limit: int) -> bytes:
    """All bytes of a file.

    Parameters
    ----------
    path : pathlib.Path
        What may be anything: a pipe or a device is not even opened, as that may wait for ever.
    limit : int
        Most bytes.

    Raises
    ------
    ModelPackageError
        If it cannot be read, is no file, is larger, or changes meanwhile.
    """

    def fail(problem: str) -> NoReturn:
        raise ModelPackageError(f"{path} {problem}")

    try:
        _check_plain(os.stat(path), fail)
        # Should a pipe have taken its place since, this does not wait either.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            _check_plain(about, fail)
            if about.st_size > limit:
                fail(f"has {about.st_size} bytes; at most {limit} are read")
            data = file.read(about.st_size + 1)
    except OSError as error:
        fail(f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a NUL in the path
        fail(f"cannot be read: {error}")
    if len(data) != about.st_size:
        fail("changes while it is read; try again when it is written")
    return data


def _check_plain(about: os.stat_result, fail: Any) -> None:
    if not stat.S_ISREG(about.st_mode):
        fail(f"is {next((kind for is_one, kind in KINDS if is_one(about.st_mode)), 'something else')}, not a file")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits is too long")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.40} is beyond all floating-point numbers")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {repeated!r:.80} is there twice in one object")
    return mapping


def parse_json(data: bytes) -> Any:
    """JSON of UTF-8 bytes; `ValueError` for what is none, and for what readers understand differently or not at all.

    Those are keys that repeat, numbers beyond floating point or of thousands of digits, NaN, and lists nested deeper
    than `MAX_DEPTH`.

    Examples
    --------
    >>> parse_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the key 'a' is there twice in one object
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_constant,
            object_pairs_hook=_different,
        )
    except RecursionError:
        raise ValueError(f"lists or objects are nested deeper than {MAX_DEPTH} levels") from None
    level, depth = [value], 0
    while level := [child for node in level for child in _children(node)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"lists or objects are nested deeper than {MAX_DEPTH} levels")
    return value


def _children(node: Any) -> Any:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest in the file `path`, of any version; `ModelPackageError` naming the file for anything else."""
    try:
        manifest = parse_json(read_file(path, MAX_MANIFEST_BYTES))
    except ModelPackageError as error:
        raise ModelPackageError(f"{error}; is this a model package?") from error
    except ValueError as error:
        raise ModelPackageError(f"{path} is not JSON that can be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelPackageError(f"{path}: format: must be {FORMAT!r}; this is no model package")
    return manifest


def read_array(data: bytes) -> np.ndarray:
    """The array in the bytes of an `.npy` file, in their memory.

    `ValueError` for bytes that are none, or more or fewer than it takes.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([[1, 2]], np.int8))
    >>> read_array(file.getvalue())
    array([[1, 2]], dtype=int8)
    """
    file = io.BytesIO(data[:MAX_HEADER_BYTES])
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format is not for plain arrays")
    shape, by_columns, dtype = HEADERS[version](file)
    start, size = file.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject or len(data) - start != size:
        raise ValueError(f"{len(data) - start} bytes are not {shape} of {dtype}")
    array = np.frombuffer(data, dtype, offset=start) if size else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if by_columns else "C")
