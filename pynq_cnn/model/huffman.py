"""Canonical Huffman codes over small alphabets, as model packages store them.

A canonical code is given by the lengths of its code words alone: words are numbered in order of length, then symbol.
[Huffman 1952, "A method for the construction of minimum-redundancy codes"; Schwartz and Kallick 1964 for the canonical form]
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from pynq_cnn.errors import NetworkError

MAX_LENGTH = 24  # longest code word; a decoder's table has 2^longest entries


def code_lengths(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Lengths of an optimal code for symbols that occur `counts` times.

    Parameters
    ----------
    counts : array of int
        [symbols]. A symbol that never occurs gets no code word.

    Returns
    -------
    numpy.ndarray
        uint8 [symbols], bits of each code word, 0 for none. A single symbol gets one bit.

    Examples
    --------
    >>> code_lengths([5, 1, 1, 0]).tolist()
    [1, 2, 2, 0]
    """
    counts = np.asarray(counts, np.int64)
    lengths = np.zeros(len(counts), np.uint8)
    heap: list[tuple[int, int, tuple[int, ...]]] = [(int(count), symbol, (symbol,)) for symbol, count in enumerate(counts) if count > 0]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, order, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[list(left + right)] += 1
        heapq.heappush(heap, (a + b, order, left + right))
    if lengths.size and lengths.max() > MAX_LENGTH:
        # Only counts that grow like Fibonacci's get here. Flattening them shortens the longest words and costs next to nothing.
        return code_lengths(np.where(counts > 0, counts // 2 + 1, 0))
    return lengths


def code_words(lengths: np.ndarray) -> np.ndarray:
    """The canonical code words, uint32 [symbols], right-aligned.

    Raises
    ------
    NetworkError
        If no prefix code has these lengths.

    Examples
    --------
    >>> code_words(np.array([1, 2, 2, 0], np.uint8)).tolist()  # 0, 10, 11
    [0, 2, 3, 0]
    """
    lengths = np.asarray(lengths)
    used = lengths[lengths > 0].astype(np.int64)
    if used.size and used.max() > MAX_LENGTH:
        raise NetworkError(f"a Huffman code word of {used.max()} bits is too long; at most {MAX_LENGTH} are allowed")
    if (2.0 ** -used.astype(float)).sum() > 1:
        raise NetworkError(f"no prefix code has the lengths {lengths.tolist()}")
    words = np.zeros(len(lengths), np.uint32)
    word = previous = 0
    for symbol in sorted(np.flatnonzero(lengths), key=lambda s: (lengths[s], s)):
        word <<= int(lengths[symbol]) - previous
        words[symbol], previous = word, int(lengths[symbol])
        word += 1
    return words


def encode(streams: Sequence[np.ndarray], lengths: Sequence[np.ndarray]) -> np.ndarray:
    """Interleave streams symbol by symbol into one bit stream, each under its own code.

    Parameters
    ----------
    streams : sequence of numpy.ndarray
        Integer symbols [n] each, all of one length.
    lengths : sequence of numpy.ndarray
        Code lengths, uint8 [symbols], one for each stream.

    Returns
    -------
    numpy.ndarray
        uint8, the bits from the most significant of the first byte on, filled up with zeros.

    Examples
    --------
    >>> one = np.array([1, 2, 2, 0], np.uint8)
    >>> [f"{byte:08b}" for byte in encode([np.array([0, 2, 1])], [one])]  # 0, 11, 10
    ['01110000']
    """
    symbols = np.stack([np.asarray(stream) for stream in streams], 1)
    sizes = np.stack([length[stream] for stream, length in zip(streams, lengths)], 1).reshape(-1).astype(np.int64)
    if symbols.size and sizes.min() == 0:
        raise NetworkError("a symbol has no code word; make the code from the counts of these streams")
    words = np.stack([code_words(length)[stream] for stream, length in zip(streams, lengths)], 1).reshape(-1)
    ends = np.cumsum(sizes)
    bits = np.zeros(int(ends[-1]) if ends.size else 0, np.uint8)
    for bit in range(int(sizes.max()) if sizes.size else 0):  # bit 0 is the last of its word
        has = sizes > bit
        bits[ends[has] - 1 - bit] = words[has] >> np.uint32(bit) & np.uint32(1)
    return np.packbits(bits)


def decode(data: np.ndarray, lengths: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Undo `encode`.

    Parameters
    ----------
    data : numpy.ndarray
        uint8, the bit stream.
    lengths : sequence of numpy.ndarray
        Code lengths of each stream.
    count : int
        Symbols of each stream.

    Returns
    -------
    list of numpy.ndarray
        uint8 [count] for each stream.

    Raises
    ------
    NetworkError
        If the stream ends early, has bits that are no code word, or goes on past the last symbol.

    Examples
    --------
    >>> one = np.array([1, 2, 2, 0], np.uint8)
    >>> decode(np.array([0b01110000], np.uint8), [one], 3)[0].tolist()
    [0, 2, 1]
    """
    # At every bit position, the next `window` bits look up symbol and length of the word that would start there; then the words are
    # walked along, one table look-up each.
    total = len(data) * 8
    bits = np.concatenate([np.unpackbits(data), np.zeros(MAX_LENGTH, np.uint8)])
    tables = []
    for length in lengths:
        window = max(int(length.max()) if length.size else 0, 1)
        table_symbol, table_length = np.zeros(1 << window, np.uint8), np.zeros(1 << window, np.uint8)
        for symbol, word in enumerate(code_words(length)):
            if length[symbol]:
                start = int(word) << (window - int(length[symbol]))
                table_symbol[start : start + (1 << (window - int(length[symbol])))] = symbol
                table_length[start : start + (1 << (window - int(length[symbol])))] = length[symbol]
        ahead = np.zeros(total + 1, np.uint32)
        for bit in range(window):
            ahead = ahead << np.uint32(1) | bits[bit : bit + total + 1]
        tables.append((table_symbol[ahead].tolist(), table_length[ahead].tolist()))
    out: list[list[int]] = [[] for _ in lengths]
    position = 0
    for _ in range(count):
        for stream, (symbols, steps) in zip(out, tables):
            if position >= total or not steps[position]:
                raise NetworkError(f"the Huffman stream of {len(data)} bytes ends or breaks at bit {position}, before its {count} symbols")
            stream.append(symbols[position])
            position += steps[position]
    if position > total or total - position >= 8:
        raise NetworkError(f"the Huffman stream has {len(data)} bytes, but its {count} symbols take {position} bits")
    return [np.array(stream, np.uint8) for stream in out]
