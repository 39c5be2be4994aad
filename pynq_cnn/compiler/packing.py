"""Layout of constants in memory (docs/contract/instruction-set.md, sections 4 to 6)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.buffers import ceil_div

PARAMETERS = np.dtype(
    {
        "names": ["bias", "multiplier", "shift", "skip"],
        "formats": ["<i4", "<u2", "u1", "<u2"],
        "offsets": [0, 4, 6, 8],
        "itemsize": 16,
    }
)
FIRST, LAST = 1 << 8, 1 << 9  # of an output channel's entries
ROW_SHIFT, ROW_BITS = 10, 4
BYTE_SHIFT, BYTE_BITS = 14, 18


def as_words(octets: np.ndarray) -> np.ndarray:
    """Bytes as uint64, filled up with 0.

    Examples
    --------
    >>> as_words(np.array([1, 0, 0, 0, 0, 0, 0, 0, 2], np.uint8)).tolist()
    [1, 2]
    """
    flat = np.ascontiguousarray(octets).reshape(-1).view(np.uint8)
    filled = np.zeros(ceil_div(flat.size, 8) * 8, np.uint8)
    filled[: flat.size] = flat
    return filled.view("<u8")


def pack_tiles(lanes: np.ndarray, rows: int, simd: int, halves: int = 1) -> np.ndarray:
    """Weight tiles, uint8 [groups, taps * halves, rows * simd], of what every lane has.

    Parameters
    ----------
    lanes : numpy.ndarray
        [out, kernel_rows, kernel_cols, bytes], of int8 weights or bytes of bits.
    rows, simd : int
        Output channels and lanes of a tile.
    halves : int
        Tiles of a tap: 2 where a group is 2 * `rows` channels.

    Examples
    --------
    >>> int(pack_tiles(np.full((1, 1, 1, 1), -1, np.int8), 16, 16).sum())
    255
    """
    out, kernel_rows, kernel_cols, count = lanes.shape
    groups, chunks = ceil_div(out, rows * halves), ceil_div(count, simd)
    padded = np.zeros((groups * halves * rows, kernel_rows, kernel_cols, chunks * simd), np.uint8)
    padded[:out, ..., :count] = lanes.view(np.uint8)
    tiles = padded.reshape(groups, halves, rows, kernel_rows, kernel_cols, chunks, simd)
    return tiles.transpose(0, 3, 4, 5, 1, 2, 6).reshape(groups, -1, rows * simd)


def pack_parameters(parameters: np.ndarray, width: int, pe: int) -> np.ndarray:
    """Parameters of each channel, uint64 [groups of PE, 2 * pe].

    Parameters
    ----------
    parameters : numpy.ndarray
        Of `PARAMETERS`, one for each output channel.
    width : int
        Channels of a group: a multiple of `pe`, or fewer, which then leave the rest of it unused.
    pe : int
        Channels of a group of parameters.
    """
    used = min(width, pe)
    groups = ceil_div(ceil_div(len(parameters), width) * width, used)
    padded = np.zeros((groups, pe), PARAMETERS)
    padded["bias"], padded["shift"] = -1, 1
    whole = len(parameters) // used
    padded[:whole, :used] = parameters[: whole * used].reshape(whole, used)
    padded[whole : whole + 1, : len(parameters) - whole * used] = parameters[whole * used :]
    return padded.view("<u8").reshape(groups, 2 * pe)


def pack_pads(pattern: np.ndarray, taps: int, simd: int) -> np.ndarray:
    """Pad vectors, uint8 [taps * chunks, simd], of `pattern`, the bytes of one tap.

    Examples
    --------
    >>> pack_pads(np.array([1, 2, 3], np.uint8), 2, 16)[:, :4].tolist()
    [[1, 2, 3, 0], [1, 2, 3, 0]]
    """
    chunks = ceil_div(len(pattern), simd)
    vectors = np.zeros(chunks * simd, np.uint8)
    vectors[: len(pattern)] = pattern
    return np.tile(vectors, taps).reshape(taps * chunks, simd)
