"""Layers as frozen descriptions with their integer arrays, checked when they are made.

Shapes are of one image, height x width x channel (HWC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, INT32, MULTIPLIER, SHIFT, UINT8, DataType

Shape = tuple[int, int, int]

MAX_DIMENSION = 65535  # sizes are 16-bit fields in the instruction set


def same(a: Any, b: Any) -> bool:
    """Equality of two descriptions of one type, arrays compared by dtype, shape and value."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


class Description:
    """Base of the frozen dataclasses that hold arrays: compares them by value, freezes them."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]

    def _freeze(self, field: str, datatype: DataType | None, shape: tuple[int | None, ...]) -> np.ndarray:
        """Check one array field and replace it by a read-only copy, so that a description cannot change after its checks."""
        array = getattr(self, field)
        where = f"{getattr(self, 'name', type(self).__name__)}.{field}"
        if not isinstance(array, np.ndarray):
            raise NetworkError(f"{where} must be a NumPy array, not {type(array).__name__}")
        if array.ndim != len(shape) or any(want is not None and have != want for have, want in zip(array.shape, shape)):
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise NetworkError(f"{where} must have the shape {wanted}, not {array.shape}")
        if 0 in array.shape:
            raise NetworkError(f"{where} is empty: {array.shape}")
        if datatype is not None and not datatype.allowed(array):
            span = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iufb" else ""
            raise NetworkError(f"{where} must be {datatype.name}, not {array.dtype}{span}; quantise it again with host_train")
        frozen = np.ascontiguousarray(array).copy()
        frozen.flags.writeable = False
        object.__setattr__(self, field, frozen)
        return frozen


def _integers(where: str, values: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) or not low <= v <= high for v in values):
        raise NetworkError(f"{where} must be {count} integer(s) from {low} to {high}, not {values!r}")
    return tuple(int(v) for v in values)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or name.startswith("."):
        raise NetworkError(f"the layer name {name!r} must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'")


@dataclass(frozen=True, eq=False)
class Requantisation(Description):
    """Per output channel: accumulator to byte, `clamp((acc * m + (1 << (s-1))) >> s, 0, 255)` (docs/numerics.md, section 3).

    Parameters
    ----------
    multiplier : numpy.ndarray
        uint16 [out], m.
    shift : numpy.ndarray
        uint8 [out], s, 1 to 47.

    Raises
    ------
    NetworkError
        For a wrong dtype, range or length.
    """

    multiplier: np.ndarray
    shift: np.ndarray

    def __post_init__(self) -> None:
        multiplier = self._freeze("multiplier", MULTIPLIER, (None,))
        self._freeze("shift", SHIFT, (len(multiplier),))


def check_accumulator(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
    """Refuse a layer of which some partial sum could leave int32 for some uint8 input (docs/numerics.md, section 2)."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    wide = bias.astype(np.int64)
    high = np.maximum(wide, 0) + 255 * np.maximum(rows, 0).sum(1)
    low = np.minimum(wide, 0) + 255 * np.minimum(rows, 0).sum(1)
    bad = np.flatnonzero((high > INT32.max) | (low < INT32.min))
    if bad.size:
        o = int(bad[0])
        raise NetworkError(
            f"{name}: the accumulator of output channel {o} could reach [{low[o]}, {high[o]}] and leave int32; "
            "use smaller weights or bias, or split the layer"
        )


def _check_requantisation(name: str, requantisation: Any, outputs: int) -> None:
    if requantisation is None:
        return
    if not isinstance(requantisation, Requantisation):
        raise NetworkError(f"{name}.requantisation must be a Requantisation or None, not {requantisation!r}")
    if len(requantisation.multiplier) != outputs:
        raise NetworkError(f"{name}.multiplier must have {outputs} values, one per output channel, not {len(requantisation.multiplier)}")


@dataclass(frozen=True, eq=False)
class Conv2d(Description):
    """Integer convolution, then ReLU and requantisation unless it is the last layer (docs/numerics.md, sections 2 and 3).

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in] in [-127, 127].
    bias : numpy.ndarray
        int32 [out], in units of the accumulator.
    stride, padding : tuple of int
        (vertical, horizontal). Padding is smaller than the kernel.
    requantisation : Requantisation, optional
        None only in the last layer, whose result is the int32 accumulator.
    pad_value : numpy.ndarray, optional
        uint8 [in], the byte per channel that padded pixels have; only in the first layer. None means 0.

    Raises
    ------
    NetworkError
        If anything breaks the arithmetic contract.

    Examples
    --------
    >>> layer = Conv2d("c", np.ones((4, 3, 3, 1), np.int8), np.zeros(4, np.int32), padding=(1, 1))
    >>> layer.output_shape((28, 28, 1))
    (28, 28, 4)
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    requantisation: Requantisation | None = None
    pad_value: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        weight = self._freeze("weight", INT8, (None, None, None, None))
        self._freeze("bias", INT32, (len(weight),))
        object.__setattr__(self, "stride", _integers(f"{self.name}.stride", self.stride, 2, 1, 255))
        object.__setattr__(self, "padding", _integers(f"{self.name}.padding", self.padding, 2, 0, 254))
        if any(pad >= kernel for pad, kernel in zip(self.padding, weight.shape[1:3])):
            raise NetworkError(f"{self.name}.padding {self.padding} must be smaller than the kernel {weight.shape[1:3]}")
        _check_requantisation(self.name, self.requantisation, len(weight))
        if self.pad_value is not None:
            self._freeze("pad_value", UINT8, (weight.shape[3],))
        check_accumulator(self.name, weight, self.bias)

    @property
    def kernel(self) -> tuple[int, int]:
        """(kernel_h, kernel_w)."""
        return int(self.weight.shape[1]), int(self.weight.shape[2])

    @property
    def output_type(self) -> DataType:
        """uint8, or int32 without requantisation."""
        return INT32 if self.requantisation is None else UINT8

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels) for an input of `shape`.

        Raises
        ------
        NetworkError
            If the input does not fit this layer.
        """
        if shape[2] != self.weight.shape[3]:
            raise NetworkError(f"{self.name} takes {self.weight.shape[3]} channels, but its input {shape} has {shape[2]}")
        out = [
            (size + 2 * pad - kernel) // stride + 1 for size, pad, kernel, stride in zip(shape[:2], self.padding, self.kernel, self.stride)
        ]
        if min(out) < 1:
            raise NetworkError(f"{self.name}: the kernel {self.kernel} is larger than its padded input {shape}")
        return out[0], out[1], len(self.weight)

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image of `shape`."""
        height, width, channels = self.output_shape(shape)
        return height * width * channels * int(np.prod(self.weight.shape[1:]))


@dataclass(frozen=True, eq=False)
class Dense(Description):
    """Fully connected layer over its flattened (HWC order) input.

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        int8 [out, in] in [-127, 127].
    bias : numpy.ndarray
        int32 [out].
    requantisation : Requantisation, optional
        None only in the last layer.

    Raises
    ------
    NetworkError
        If anything breaks the arithmetic contract.

    Examples
    --------
    >>> Dense("fc", np.ones((10, 392), np.int8), np.zeros(10, np.int32)).output_shape((7, 7, 8))
    (1, 1, 10)
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    requantisation: Requantisation | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        weight = self._freeze("weight", INT8, (None, None))
        self._freeze("bias", INT32, (len(weight),))
        _check_requantisation(self.name, self.requantisation, len(weight))
        check_accumulator(self.name, weight, self.bias)

    @property
    def output_type(self) -> DataType:
        """uint8, or int32 without requantisation."""
        return INT32 if self.requantisation is None else UINT8

    def output_shape(self, shape: Shape) -> Shape:
        """(1, 1, out); `NetworkError` if the flattened input does not have `in` values."""
        if shape[0] * shape[1] * shape[2] != self.weight.shape[1]:
            raise NetworkError(
                f"{self.name} takes {self.weight.shape[1]} inputs, but its input {shape} has {shape[0] * shape[1] * shape[2]}"
            )
        return 1, 1, len(self.weight)

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image."""
        return int(self.weight.size)


@dataclass(frozen=True, eq=False)
class MaxPool2d(Description):
    """Max pooling without padding on uint8 (docs/numerics.md, section 4).

    Parameters
    ----------
    name : str
        Unique in its network.
    size, stride : int
        Side and step of the square window.

    Examples
    --------
    >>> MaxPool2d("p", size=2, stride=2).output_shape((7, 7, 8))
    (3, 3, 8)
    """

    name: str
    size: int
    stride: int

    def __post_init__(self) -> None:
        _check_name(self.name)
        for field in ("size", "stride"):
            object.__setattr__(self, field, _integers(f"{self.name}.{field}", getattr(self, field), 1, 1, 255)[0])

    output_type = UINT8

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels); `NetworkError` if the window is larger than the input."""
        if self.size > min(shape[:2]):
            raise NetworkError(f"{self.name}: the window {self.size} x {self.size} is larger than its input {shape}")
        return (shape[0] - self.size) // self.stride + 1, (shape[1] - self.size) // self.stride + 1, shape[2]

    def macs(self, shape: Shape) -> int:
        """0: pooling multiplies nothing."""
        return 0


Layer = Conv2d | Dense | MaxPool2d
