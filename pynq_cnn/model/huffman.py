"""Canonical Huffman codes over small alphabets, as model packages store them.

A canonical code is given by the lengths of its code words alone: words are numbered in order of length, then symbol.
[Huffman 1952, "A method for the construction of minimum-redundancy codes"; Schwartz and Kallick 1964 for the canonical
form]
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pynq_cnn.errors import NetworkError

MAX_LENGTH = 24  # bits of the longest code word
MAX_SYMBOLS = 256  # of an alphabet: codebook indices, and gaps, are bytes
TABLE_BITS = 16  # longer words, rare as they are, are searched for and not looked up
DOUBLINGS = 2  # of the steps in which a stream is walked along
# Bytes of a stream that are worked on at once: what stays in a cache is worked on faster, and a board has little
# memory.
BLOCK = 1 << 13


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
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (int(count), symbol, (symbol,)) for symbol, count in enumerate(counts) if count > 0
    ]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, order, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[list(left + right)] += 1
        heapq.heappush(heap, (a + b, order, left + right))
    if lengths.size and lengths.max() > MAX_LENGTH:
        # Only counts that grow like Fibonacci's get here. Flattening them shortens the longest words and costs next to
        # nothing.
        return code_lengths(np.where(counts > 0, counts // 2 + 1, 0))
    return lengths


def _words(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The words of a code in canonical order.

    Returns
    -------
    symbols, lengths : numpy.ndarray
        int64 [words] each.
    ends : numpy.ndarray
        int64 [words]. Of all 2^MAX_LENGTH windows of bits, word i begins those from `ends[i - 1]` up to `ends[i]`.

    Raises
    ------
    NetworkError
        If no prefix code has these lengths.
    """
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "ui" or lengths.ndim != 1 or len(lengths) > MAX_SYMBOLS:
        raise NetworkError(
            f"the lengths of a Huffman code must be a vector of at most {MAX_SYMBOLS} integers, not {lengths.dtype}"
            f" {lengths.shape}"
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= MAX_LENGTH:
        wrong = lengths.min() if lengths.min() < 0 else lengths.max()
        raise NetworkError(
            f"a Huffman code word cannot have {wrong} bits; from 1 to {MAX_LENGTH} are allowed, and 0 for no word"
        )
    symbols = np.argsort(lengths, kind="stable")
    symbols = symbols[lengths[symbols] > 0]
    sizes = lengths[symbols].astype(np.int64)
    ends = np.cumsum(1 << (MAX_LENGTH - sizes))
    if ends.size and ends[-1] > 1 << MAX_LENGTH:
        raise NetworkError(f"no prefix code has the lengths {lengths.tolist()}")
    return symbols.astype(np.int64), sizes, ends


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
    symbols, sizes, ends = _words(lengths)
    words = np.zeros(len(lengths), np.uint32)
    words[symbols] = (ends >> (MAX_LENGTH - sizes)) - 1
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
    words = [code_words(length) for length in lengths]
    blocks = [np.zeros(0, np.uint8)]
    for start in range(0, len(streams[0]), BLOCK):
        parts = [np.asarray(stream[start : start + BLOCK]) for stream in streams]
        sizes = np.stack([length[part] for part, length in zip(parts, lengths)], 1).reshape(-1).astype(np.int64)
        if sizes.min() == 0:
            raise NetworkError("a symbol has no code word; make the code from the counts of these streams")
        values = np.stack([word[part] for part, word in zip(parts, words)], 1).reshape(-1)
        ends = np.cumsum(sizes)
        bits = np.zeros(int(ends[-1]), np.uint8)
        for bit in range(int(sizes.max())):  # bit 0 is the last of its word
            has = sizes > bit
            bits[ends[has] - 1 - bit] = values[has] >> np.uint32(bit) & np.uint32(1)
        blocks.append(bits)
    return np.packbits(np.concatenate(blocks))


NO_WORD = MAX_LENGTH + 1  # as the length of what begins no word: past every other, and not 0, so that a walk goes on


@dataclass(frozen=True, eq=False)
class _Block:
    """A piece of a bit stream, to be looked into at any bit.

    Parameters
    ----------
    words : numpy.ndarray
        int64 [bytes]: the 32 bits from each byte on.
    first : numpy.ndarray
        intp [8 * bytes]: the bits from each bit on that the tables take.
    """

    words: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, data: np.ndarray, bits: int) -> _Block:
        """Of uint8 [bytes + 3], for tables of 2^`bits` entries."""
        octets = data.astype(np.int64)
        words = octets[:-3] << 24 | octets[1:-2] << 16 | octets[2:-1] << 8 | octets[3:]
        first = np.empty((len(words), 8), np.intp)
        for bit in range(8):
            np.right_shift(words, 32 - bits - bit, out=first[:, bit], casting="same_kind")
        first &= (1 << bits) - 1
        return cls(words, first.reshape(-1))

    def windows(self, at: np.ndarray) -> np.ndarray:
        """The MAX_LENGTH bits from the bits `at` on."""
        return self.words[at >> 3] >> (32 - MAX_LENGTH - (at & 7)) & ((1 << MAX_LENGTH) - 1)


@dataclass(frozen=True, eq=False)
class _Decoder:
    """A code, to be looked up by the bits that come.

    Parameters
    ----------
    ends : numpy.ndarray
        As of `_words`.
    lengths, symbols : numpy.ndarray
        uint8 [words + 1], in canonical order, and at last what stands for no word.
    length_table, symbol_table : numpy.ndarray
        uint8 [2^bits]: the same by the bits that come.
    searched : int
        Entries of the tables from here on tell nothing: words there are longer than `bits`.
    """

    ends: np.ndarray
    lengths: np.ndarray
    symbols: np.ndarray
    length_table: np.ndarray
    symbol_table: np.ndarray
    searched: int

    @classmethod
    def of(cls, lengths: np.ndarray, bits: int) -> _Decoder:
        """Of code lengths, with tables of 2^`bits` entries."""
        symbols, sizes, ends = _words(lengths)
        # Entries of the tables that a word has, 0 for one that is longer than they are wide; at last those of no word.
        spans = (1 << bits) >> np.append(sizes, NO_WORD).astype(np.intp)
        spans[-1] = (1 << bits) - spans.sum()
        searched = int((1 << bits) - spans[-1]) if sizes.max(initial=0) > bits else 1 << bits
        by_rank = np.append(sizes, NO_WORD).astype(np.uint8), np.append(symbols, 0).astype(np.uint8)
        return cls(ends, by_rank[0], by_rank[1], np.repeat(by_rank[0], spans), np.repeat(by_rank[1], spans), searched)

    def lengths_at(self, block: _Block, at: np.ndarray | None = None) -> np.ndarray:
        """Lengths of the words that begin at the bits `at`, or at every bit; `NO_WORD` where none does."""
        return self._find(self.length_table, self.lengths, block, at)

    def symbols_at(self, block: _Block, at: np.ndarray) -> np.ndarray:
        """Symbols of the words that begin at the bits `at`."""
        return self._find(self.symbol_table, self.symbols, block, at)

    def _find(self, table: np.ndarray, column: np.ndarray, block: _Block, at: np.ndarray | None) -> np.ndarray:
        first = block.first if at is None else block.first.take(at)
        found = table.take(first)
        if self.searched < len(table):
            longer = np.flatnonzero(first >= self.searched)
            where = longer if at is None else at[longer]
            found[longer] = column[np.searchsorted(self.ends, block.windows(where), "right")]
        return found


def decode(data: np.ndarray, lengths: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Undo `encode`.

    Takes memory for what it returns and for a block of the stream; a count that the stream cannot hold is refused
    before that.

    Parameters
    ----------
    data : numpy.ndarray
        uint8, the bit stream.
    lengths : sequence of numpy.ndarray
        Code lengths of each stream, at most `MAX_SYMBOLS` of at most `MAX_LENGTH` bits.
    count : int
        Symbols of each stream.

    Returns
    -------
    list of numpy.ndarray
        uint8 [count] for each stream.

    Raises
    ------
    NetworkError
        If no prefix code has these lengths, or the stream ends early, has bits that are no code word, or goes on past
        the last symbol.

    Examples
    --------
    >>> one = np.array([1, 2, 2, 0], np.uint8)
    >>> decode(np.array([0b01110000], np.uint8), [one], 3)[0].tolist()
    [0, 2, 1]
    """
    total = 8 * len(data)
    bits = min(max((int(np.max(length, initial=1)) for length in lengths), default=1), TABLE_BITS)
    decoders = [_Decoder.of(length, bits) for length in lengths]
    if not 0 <= count * len(lengths) <= total:  # a word has a bit at least
        raise NetworkError(f"the Huffman stream of {len(data)} bytes cannot hold its {count} symbols")
    out = [np.empty(count, np.uint8) for _ in lengths]
    size = min(BLOCK, len(data))
    margin = 4 + len(lengths) * NO_WORD // 8  # bytes behind a block that its last symbols reach into
    position = done = 0
    for start in range(0, len(data), BLOCK):
        piece = np.zeros(size + margin, np.uint8)
        have = data[start : start + len(piece)]
        piece[: len(have)] = have
        block = _Block.of(piece, bits)
        # For every bit at once: where would the next symbols begin, if these began here? And those after next, and so
        # on by doubling. Then they are walked along, several a step, up to the first that begin behind the block, and
        # those between are filled in.
        after = np.arange(len(block.first), dtype=np.intp)
        inside = after[: 8 * size]
        for decoder in decoders:
            inside += decoder.lengths_at(block).take(inside)
        hops = [after]
        for _ in range(DOUBLINGS):
            hops.append(hops[-1].take(hops[-1]))
        hop, starts, at = memoryview(hops.pop()), [], position - 8 * start  # type: ignore[arg-type]
        while at < 8 * size:
            starts.append(at)
            at = hop[at]
        where = np.array(starts, np.intp)
        for between in reversed(hops):
            where = np.stack([where, between.take(where)], 1).reshape(-1)
        where = where[where < 8 * size]
        if len(where) > count - done:
            where, at = where[: count - done], int(where[count - done])
        position = 8 * start + at
        for stream, decoder in zip(out, decoders):
            sizes = decoder.lengths_at(block, where)
            if sizes.max(initial=0) == NO_WORD:
                broken = 8 * start + int(where[np.argmax(sizes)])
                raise NetworkError(
                    f"the Huffman stream of {len(data)} bytes ends or breaks at bit {broken}, before its {count}"
                    " symbols"
                )
            stream[done : done + len(where)] = decoder.symbols_at(block, where)
            where += sizes
        done += len(where)
        if done == count:
            break
    if done < count or position > total:
        raise NetworkError(f"the Huffman stream of {len(data)} bytes ends before its {count} symbols")
    if total - position >= 8:
        raise NetworkError(f"the Huffman stream has {len(data)} bytes, but its {count} symbols take {position} bits")
    return out
