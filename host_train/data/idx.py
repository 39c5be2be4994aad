"""The idx files of MNIST and Fashion-MNIST, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from host_train.data.dataset import Arrays
from pynq_cnn.errors import DatasetError

# The names that MNIST and Fashion-MNIST have always had, and the number of dimensions in each.
FILES = {
    "train_images": ("train-images-idx3-ubyte", 3),
    "train_labels": ("train-labels-idx1-ubyte", 1),
    "test_images": ("t10k-images-idx3-ubyte", 3),
    "test_labels": ("t10k-labels-idx1-ubyte", 1),
}
MAX_BYTES = 1 << 30  # no file of these data sets comes near; a gzip bomb does
PIECE = 1 << 20


def parse_idx(data: bytes, dimensions: int, where: str) -> np.ndarray:
    """Decode one idx file of unsigned bytes.

    Parameters
    ----------
    data : bytes
        The file, gunzipped.
    dimensions : int
        How many it must have: 3 for images, 1 for labels.
    where : str
        Its name, for messages.

    Returns
    -------
    numpy.ndarray
        uint8 of the shape in its header.

    Raises
    ------
    DatasetError
        For a wrong magic number, or a size that the header does not say.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]), 1, "labels").tolist()
    [7, 2, 1]
    """
    header = 4 + 4 * dimensions
    wanted = bytes([0, 0, 8, dimensions])
    if not data.startswith(wanted[: len(data)]):
        raise DatasetError(
            f"{where} begins with {data[:4].hex()}, not {wanted.hex()}: no idx file of bytes in {dimensions}"
            " dimension(s)"
        )
    if len(data) < header:
        raise DatasetError(
            f"{where} has {len(data)} bytes, less than the {header} of an idx header: truncated; get it again"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if math.prod(shape) != len(data) - header:
        said = " x ".join(map(str, shape))
        raise DatasetError(
            f"{where} says {said} bytes but holds {len(data) - header}: truncated or altered; get it again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """uint8 array of the idx file `path`, gunzipped if it is gzipped, whatever its name; `DatasetError` names
    the file.
    """
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        pieces, size = [], 0
        with gzip.open(path) if gzipped else path.open("rb") as file:
            # In pieces: asked for all at once, the file object asks for memory for all that could come.
            while size <= MAX_BYTES and (piece := file.read(PIECE)):
                pieces.append(piece)
                size += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}; get it again") from error
    if size > MAX_BYTES:
        raise DatasetError(f"{path} holds more than {MAX_BYTES} bytes")
    return parse_idx(b"".join(pieces), dimensions, str(path))


def read_idx_folder(folder: Path) -> Arrays | None:
    """The four arrays of an idx data set, or None where `folder` has none of its files.

    Raises
    ------
    DatasetError
        If some of the four are missing, or any cannot be read.
    """
    paths: dict[str, Path] = {}
    for name, (file, _) in FILES.items():
        # Some sites serve them as train-images.idx3-ubyte.
        candidates = [folder / (stem + end) for end in ("", ".gz") for stem in (file, file.replace("-idx", ".idx"))]
        found = next((path for path in candidates if path.is_file()), None)
        if found is not None:
            paths[name] = found
    if not paths:
        return None
    missing = [file for name, (file, _) in FILES.items() if name not in paths]
    if missing:
        raise DatasetError(
            f"{folder} has {', '.join(p.name for p in paths.values())} but not {', '.join(missing)} (with or without"
            " .gz)"
        )
    return {name: read_idx(path, FILES[name][1]) for name, path in paths.items()}
