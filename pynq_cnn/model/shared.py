"""Pruned, weight-shared weights: a codebook, and a stream of relative indices and codebook indices.

[Han, Mao and Dally 2016, "Deep Compression", arXiv 1510.00149, sections 2 and 3; Han et al. 2016, "EIE", arXiv
1602.01528, section III]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, UINT8
from pynq_cnn.model.description import Description, integers, short

# A network costs what is stored of it: an entry stands for 256 weights at most, and only so many more need none.
MAX_TAIL = 1 << 20
MAX_WEIGHTS = 1 << 28
MAX_SIDES = 4
BLOCK = 1 << 16  # entries that are worked on at once


@dataclass(frozen=True, eq=False, repr=False)
class SharedWeight(Description):
    """Weights as a stream of entries: entry `i` skips `gaps[i]` zeros and then puts `codebook[codes[i]]`.

    A run of zeros longer than the largest gap is bridged by entries of code 0, the zero of the codebook. Zeros after
    the last entry, of which there may be `MAX_TAIL`, are not stored. The order is that of the dense array, the last
    dimension fastest.

    Parameters
    ----------
    codebook : numpy.ndarray
        int8 [k], k from 1 to 256; codebook[0] is 0.
    gaps, codes : numpy.ndarray
        uint8 [entries].
    shape : tuple of int
        Of the dense weights.

    Raises
    ------
    NetworkError
        If a code is not in the codebook, or the entries reach past the end of the dense weights, or end too far before
        it.

    Examples
    --------
    >>> dense = np.array([[0, 0, 5, 0], [0, 0, -7, 5]], np.int8)
    >>> shared = SharedWeight.of(dense, index_bits=2)
    >>> shared.gaps.tolist(), shared.codes.tolist(), shared.codebook.tolist()
    ([2, 3, 0], [2, 1, 2], [0, -7, 5])
    >>> bool((shared.dense() == dense).all())
    True
    """

    codebook: np.ndarray
    gaps: np.ndarray
    codes: np.ndarray
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        codebook = self._freeze("codebook", INT8, (None,))
        gaps = self._freeze("gaps", UINT8, (None,), empty=True)
        codes = self._freeze("codes", UINT8, (len(gaps),), empty=True)
        if len(codebook) > 256 or codebook[0] != 0:
            raise NetworkError(
                f"a codebook has at most 256 weights and starts with 0, not {len(codebook)} from {codebook[0]}"
            )
        if len(codes) and codes.max() >= len(codebook):
            raise NetworkError(f"code {codes.max()} is not in the codebook of {len(codebook)}")
        sides = self.shape if isinstance(self.shape, (tuple, list)) else (self.shape,)
        if not 1 <= len(sides) <= MAX_SIDES:
            raise NetworkError(f"the shape of shared weights must have 1 to {MAX_SIDES} sides, not {len(sides)}")
        object.__setattr__(self, "shape", integers("the shape of shared weights", sides, len(sides), 1, MAX_WEIGHTS))
        reach, size = int(gaps.sum(dtype=np.int64)) + len(gaps), prod(self.shape)
        if not reach <= size <= min(reach + MAX_TAIL, MAX_WEIGHTS):
            raise NetworkError(
                f"the entries reach to weight {reach} of {self.shape}, which has {size}; at most {MAX_TAIL} zeros may"
                f" follow the last entry, and {MAX_WEIGHTS} weights are the most"
            )

    @classmethod
    def of(cls, weight: np.ndarray, index_bits: int) -> SharedWeight:
        """Encode int8 weights of at most 255 different values besides 0, with gaps of `index_bits` (1 to 8) bits."""
        (index_bits,) = integers("index_bits", index_bits, 1, 1, 8)
        if not isinstance(weight, np.ndarray) or weight.dtype != np.int8:
            raise NetworkError(f"weights to be encoded must be an int8 array, not {short(weight)}; quantise them first")
        flat = np.ascontiguousarray(weight).reshape(-1)
        values = np.unique(flat)
        codebook = np.concatenate([[0], values[values != 0]]).astype(np.int8)
        if len(codebook) > 256:
            raise NetworkError(
                f"weights of {len(codebook) - 1} different values do not fit a codebook of 256; share them first"
            )
        lookup = np.zeros(256, np.uint8)
        lookup[codebook.view(np.uint8)] = np.arange(len(codebook))
        places = np.flatnonzero(flat)
        span = 1 << index_bits  # what one bridging entry gets over: the largest gap and its own zero
        runs = np.diff(places, prepend=-1) - 1
        bridges = runs // span
        entries = bridges + 1
        gaps = np.full(int(entries.sum()), span - 1, np.uint8)
        codes = np.zeros(len(gaps), np.uint8)
        last = np.cumsum(entries) - 1
        gaps[last] = runs % span
        codes[last] = lookup[flat[places].view(np.uint8)]
        tail = flat.size - 1 - int(places[-1]) if places.size else flat.size
        bridged = max(0, -(-(tail - MAX_TAIL) // span))
        gaps = np.concatenate([gaps, np.full(bridged, span - 1, np.uint8)])
        codes = np.concatenate([codes, np.zeros(bridged, np.uint8)])
        return cls(codebook, gaps, codes, weight.shape)

    def dense(self) -> np.ndarray:
        """The weights, int8 of `shape`: one read-only array, however often it is asked for."""
        return self._dense

    @cached_property
    def _dense(self) -> np.ndarray:
        flat = np.zeros(prod(self.shape), np.int8)
        end = 0
        for start in range(0, len(self.codes), BLOCK):
            places = end + np.cumsum(self.gaps[start : start + BLOCK].astype(np.intp) + 1)
            flat[places - 1] = self.codebook[self.codes[start : start + BLOCK]]
            end = int(places[-1])
        flat.flags.writeable = False
        return flat.reshape(self.shape)
