"""How weights in frequency are written: their allocation, a Huffman code for each number of bits, and the levels under
it (docs/contract/model-package.md, "Weights in frequency").
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.description import integers
from pynq_cnn.model.frequency import MAX_BITS, MAX_WEIGHTS, FrequencyWeight, most_level
from pynq_cnn.model.huffman import code_lengths, decode, encode

FREQUENCY_ARRAYS = ("allocation", "code_lengths", "stream")
FIELDS = ("shape", "kernel", "step", "streams")

# A package costs what is stored of it: so many weights for each byte of the stream, and only so many more.
WEIGHTS_PER_BYTE = 1024
FREE_WEIGHTS = 1 << 20


def pack(weight: FrequencyWeight) -> tuple[dict[str, Any], dict[str, np.ndarray | None]]:
    """The fields and the arrays of weights in frequency."""
    lengths, streams = [], []
    for bits, levels in _classes(weight):
        symbols = levels.reshape(-1).astype(np.int16) + int(most_level(np.array(bits)))
        lengths.append(code_lengths(np.bincount(symbols, minlength=_symbols(bits))))
        streams.append(encode([symbols.astype(np.uint8)], [lengths[-1]]))
    empty = [np.zeros(0, np.uint8)]
    fields = {
        "shape": list(weight.shape),
        "kernel": list(weight.kernel),
        "step": weight.step,
        "streams": [len(stream) for stream in streams],
    }
    arrays = {
        "allocation": weight.allocation,
        "code_lengths": np.concatenate(empty + lengths),
        "stream": np.concatenate(empty + streams),
    }
    return fields, arrays  # type: ignore[return-value]


def unpack(fields: dict[str, Any], allocation: np.ndarray, lengths: np.ndarray, stream: np.ndarray) -> FrequencyWeight:
    """The weight that `pack` was given; `NetworkError` if these do not belong together, before much memory is taken."""
    if any(array.dtype != np.uint8 or array.ndim != 1 for array in (allocation, lengths, stream)):
        raise NetworkError("allocation, code_lengths and stream must be uint8 vectors")
    sides = fields["shape"]
    shape = integers("frequency.shape", sides, len(sides), 1, MAX_WEIGHTS)
    if prod(shape) > min(MAX_WEIGHTS, FREE_WEIGHTS + WEIGHTS_PER_BYTE * len(stream)):
        raise NetworkError(f"weights of {shape} in frequency cannot be in a stream of {len(stream)} bytes")
    if not len(allocation) or prod(shape) % len(allocation):
        raise NetworkError(f"an allocation to {len(allocation)} coefficients does not divide weights of {shape}")
    kernels = prod(shape) // len(allocation)
    kinds = [int(bits) for bits in np.unique(allocation) if bits]
    if any(bits == 1 or bits > MAX_BITS for bits in kinds):
        raise NetworkError(f"a coefficient has 0 or from 2 to {MAX_BITS} bits, not {kinds}")
    sizes = integers("frequency.streams", fields["streams"], len(kinds), 0, len(stream)) if kinds else ()
    if sum(sizes) != len(stream) or sum(map(_symbols, kinds)) != len(lengths):
        raise NetworkError("stream or code_lengths are of another length than the allocation and the streams say")
    levels = np.zeros((len(allocation), kernels), np.int8)
    first = code = 0
    for bits, size in zip(kinds, sizes):
        chosen = np.flatnonzero(allocation == bits)
        own = lengths[code : code + _symbols(bits)]
        (symbols,) = decode(stream[first : first + size], [own], len(chosen) * kernels)
        values = symbols.astype(np.int16) - int(most_level(np.array(bits)))
        levels[chosen] = values.astype(np.int8).reshape(len(chosen), kernels)
        first, code = first + size, code + _symbols(bits)
    kernel: Sequence[int] = fields["kernel"]
    return FrequencyWeight(levels, allocation, fields["step"], shape, tuple(kernel))  # type: ignore[arg-type]


def _classes(weight: FrequencyWeight) -> list[tuple[int, np.ndarray]]:
    """The levels of all coefficients of each number of bits."""
    return [(int(b), weight.levels[weight.allocation == b]) for b in np.unique(weight.allocation) if b]


def _symbols(bits: int) -> int:
    """How many levels so many bits hold."""
    return 2 * int(most_level(np.array(bits))) + 1
