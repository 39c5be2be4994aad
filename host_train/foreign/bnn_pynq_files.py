"""The files of a BNN-PYNQ parameter folder, as arrays.

A layer of R rows (output channels) and C columns (what a row is multiplied with) is spread over P processing elements,
each of which takes S columns at once. Element p has two files, of 64-bit little-endian numbers:

* `L-p-weights.bin`: for each of its R / P rows in turn, each of the C / S pieces of a row in turn, a word, whose bit s,
  from the lowest, is the weight of column S * piece + s: 1 for +1, 0 for -1
* `L-p-thres.bin`: for each of its R / P rows in turn, a signed threshold

The element's rows are p, P + p, 2 P + p and so on. Columns go by kernel row, kernel column, channel. [Umuroglu et al.
2017, "FINN", arXiv 1612.07119]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pynq_cnn.errors import ArgumentError, ModelPackageError
from pynq_cnn.model.package.reading import read_file

CLASSES = "classes.txt"
MAX_CLASSES_BYTES = 1 << 16
WORD = np.dtype("<u8")
THRESHOLD = np.dtype("<i8")
LAST_ROWS = 64  # a last layer is filled up with rows that say nothing, to this many at most
OTHER_BITS = ("W1A2", "W2A2", "W2A1")
ONLY = "only networks with one bit for weights and activations (cnvW1A1, lfcW1A1) can be converted"


@dataclass(frozen=True)
class Spread:
    """A layer, and how its weights are spread over files.

    Parameters
    ----------
    rows : int
        Output channels.
    kernel, channels : int
        A row has `kernel * kernel * channels` columns.
    at_once : int
        Columns of a word.
    elements : int
        Processing elements, each with files of its own.
    pooled : bool
        Whether 2 x 2 max pooling follows.
    """

    rows: int
    kernel: int
    channels: int
    at_once: int
    elements: int
    pooled: bool = False

    @property
    def columns(self) -> int:
        """Weights of a row."""
        return self.kernel * self.kernel * self.channels

    @property
    def words(self) -> int:
        """Words of a row."""
        return self.columns // self.at_once


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of a layer.

    Parameters
    ----------
    signs : numpy.ndarray
        int8 [rows, kernel, kernel, channels], +1 and -1.
    thresholds : numpy.ndarray
        int64 [rows]; empty where there are none.
    """

    signs: np.ndarray
    thresholds: np.ndarray


class ParameterFolder:
    """A folder of parameters.

    Parameters
    ----------
    folder : path
        Such as `bnn/params/cifar10/cnvW1A1`.

    Raises
    ------
    ArgumentError
        If there is no such folder.
    ModelPackageError
        If it is not one of BNN-PYNQ's, or of a network with more bits.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, (str, os.PathLike)) or not Path(folder).is_dir():
            raise ArgumentError(
                f"{str(folder):.200} is no folder; give one with {CLASSES} in it, as bnn/params/cifar10/cnvW1A1"
            )
        self.path = Path(folder)
        more_bits = next((bits for bits in OTHER_BITS if bits in self.path.resolve().name), None)
        if more_bits is not None:
            raise ModelPackageError(f"{self.path} is of a {more_bits} network; {ONLY}")
        self.layers = (
            max((int(path.name.split("-")[0]) for path in self.path.glob("[0-9]-*-weights.bin")), default=-1) + 1
        )
        if not self.layers:
            raise ModelPackageError(
                f"{self.path} has no parameters of BNN-PYNQ, files such as 0-0-weights.bin; give a folder such as"
                " bnn/params/cifar10/cnvW1A1"
            )

    def classes(self) -> tuple[str, ...]:
        """The names in `classes.txt`, one a line."""
        path = self.path / CLASSES
        data = read_file(path, MAX_CLASSES_BYTES)
        try:
            names = tuple(line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip())
        except UnicodeDecodeError as error:
            raise ModelPackageError(
                f"{path} is no text in UTF-8: byte {error.start} is {data[error.start]:#04x}; save it as UTF-8"
            ) from error
        if not 2 <= len(names) <= LAST_ROWS:
            raise ModelPackageError(f"{path} has {len(names)} names; there must be 2 to {LAST_ROWS}, one a line")
        return names

    def read(self, layer: int, spread: Spread, threshold_bits: int = 16) -> Parameters:
        """A hidden layer, with thresholds of so many bits."""
        self._check_elements(layer, spread)
        signs = self._rows(layer, spread, spread.rows)
        parts = [self._thresholds(path, spread.rows // spread.elements) for path in self._paths(layer, spread, "thres")]
        return Parameters(signs, self._checked(np.stack(parts, 1).ravel(), layer, threshold_bits))

    def read_last(self, layer: int, spread: Spread, classes: int, thresholds: bool) -> Parameters:
        """The last layer, of as many rows as there are classes; rows behind these, which say nothing, are left out."""
        self._check_elements(layer, spread)
        first = next(self._paths(layer, spread, "weights"))
        row_bytes = spread.words * WORD.itemsize
        most = LAST_ROWS // spread.elements
        each = len(read_file(first, 4 * most * row_bytes)) // row_bytes
        rows = each * spread.elements
        if rows < classes:
            raise ModelPackageError(
                f"{first} has {each} rows, so that there are {rows} in all, fewer than the {classes} names of"
                f" {self.path / CLASSES}; one of them is damaged, or of another network"
            )
        signs = self._rows(layer, spread, rows)
        used = (signs != signs[:, :1, :1, :1]).any((1, 2, 3))  # others are filled up with +1
        trained = int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
        if trained != classes:
            raise ModelPackageError(
                f"{self.path / CLASSES} has {classes} names, but the last layer has weights for {trained} classes; name"
                " each of them on a line"
            )
        if not thresholds:
            return Parameters(signs[:classes], np.zeros(0, np.int64))
        parts = [self._thresholds(path, each) for path in self._paths(layer, spread, "thres")]
        return Parameters(signs[:classes], self._checked(np.stack(parts, 1).ravel()[:classes], layer, 16))

    def _paths(self, layer: int, spread: Spread, what: str) -> Iterator[Path]:
        return (self.path / f"{layer}-{element}-{what}.bin" for element in range(spread.elements))

    def _check_elements(self, layer: int, spread: Spread) -> None:
        """See that a layer is spread as BNN-PYNQ's own bitstreams have it, and not over more elements."""
        more = self.path / f"{layer}-{spread.elements}-weights.bin"
        if more.exists():
            raise ModelPackageError(
                f"{more} is one too many: layer {layer} is spread over {spread.elements} files; {ONLY}, in the files of"
                " BNN-PYNQ's own bitstreams"
            )

    def _rows(self, layer: int, spread: Spread, rows: int) -> np.ndarray:
        """Signs int8 [rows, kernel, kernel, channels]."""
        shape = rows // spread.elements, spread.words
        parts = []
        for path in self._paths(layer, spread, "weights"):
            words = _numbers(path, WORD, shape[0] * shape[1]).reshape(shape)
            octets = np.ascontiguousarray(words).view(np.uint8).reshape(*shape, WORD.itemsize)
            bits = np.unpackbits(octets, axis=-1, bitorder="little")
            if bits[..., spread.at_once :].any():
                raise ModelPackageError(
                    f"{path} has bits past the {spread.at_once} weights of a word; it is damaged, or of another"
                    f" network: {ONLY}"
                )
            parts.append(bits[..., : spread.at_once].reshape(shape[0], spread.columns))
        signs = (np.stack(parts, 1).reshape(rows, -1).astype(np.int8) << 1) - 1
        return signs.reshape(rows, spread.kernel, spread.kernel, spread.channels)

    def _thresholds(self, path: Path, rows: int) -> np.ndarray:
        size = rows * THRESHOLD.itemsize
        if len(read_file(path, 4 * size)) == 3 * size:
            raise ModelPackageError(f"{path} has three thresholds a row, as activations of two bits have (A2); {ONLY}")
        return _numbers(path, THRESHOLD, rows)

    def _checked(self, thresholds: np.ndarray, layer: int, bits: int) -> np.ndarray:
        """Thresholds, if the engine of BNN-PYNQ has bits for them."""
        most = 1 << (bits - 1)
        beyond = np.flatnonzero((thresholds < -most) | (thresholds >= most))
        if len(beyond):
            raise ModelPackageError(
                f"{self.path}: a threshold of layer {layer} is {thresholds[beyond[0]]}, beyond {bits} bits; the file"
                " is damaged"
            )
        return thresholds


def _numbers(path: Path, dtype: np.dtype, count: int) -> np.ndarray:
    """The numbers of a file, if there are so many."""
    size = count * dtype.itemsize
    data = read_file(path, 4 * size)  # more only to say how many there are
    if len(data) != size:
        raise ModelPackageError(
            f"{path} has {len(data)} bytes, not {size}; it is damaged, or of another network: {ONLY}"
        )
    return np.frombuffer(data, dtype)
