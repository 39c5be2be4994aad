"""The table of Deep Compression: bytes of each layer after pruning, after sharing and after Huffman coding, and what
the package takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from host_train.compression.encoding import encoded_bytes, stream_bits
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network, stored_bytes
from pynq_cnn.model.layers.weighted import ByteWeighted
from pynq_cnn.model.package.forms import MANIFEST
from pynq_cnn.model.package.save import narrow
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.table import markdown_table


@dataclass(frozen=True)
class LayerBytes:
    """One layer, or the total. Bytes include those of the biases at every step: 4 each, in the last as they are stored.

    Parts with constants and no weights, such as the output with its scale and offset, has only bytes of files.

    Parameters
    ----------
    name : str
        The layer; or `output`, `total`.
    weights, biases : int
        How many it had before compression.
    kept : int
        Weights that are not 0.
    entries : int
        Entries of the stream with `index_bits`: the kept weights, and zeros that bridge longer gaps.
    weight_bits, index_bits : float
        Of an entry in fixed widths: a code of the codebook, zero among them, and the gap before it. The width of the
        gap is the one of fewest bytes. In the total, means over `entries`.
    pruned : int
        Bytes with a float32 weight and a gap for each entry.
    shared : int
        Bytes with a code and a gap for each entry, and the int8 codebook.
    huffman_entries : int
        Entries of the stream in the package, whose gaps have a width of their own.
    huffman_weight_bits, huffman_index_bits : float
        Mean Huffman-coded bits of one of those. In the total, means over `huffman_entries`.
    huffman : int
        Bytes of codebook, code lengths and stream in the package.
    stored : int
        Bytes of the package's files of this layer: with headers and requantisation.
    """

    name: str
    weights: int = 0
    biases: int = 0
    kept: int = 0
    entries: int = 0
    weight_bits: float = 0.0
    index_bits: float = 0.0
    pruned: int = 0
    shared: int = 0
    huffman_entries: int = 0
    huffman_weight_bits: float = 0.0
    huffman_index_bits: float = 0.0
    huffman: int = 0
    stored: int = 0

    @property
    def dense(self) -> int:
        """Bytes of float32 weights and biases."""
        return 4 * (self.weights + self.biases)


def fixed_width(weight: SharedWeight) -> tuple[int, int, int]:
    """Entries, weight bits and index bits of an encoding in fixed widths, with the index bits of fewest bytes.

    Examples
    --------
    >>> import numpy as np
    >>> dense = np.zeros(40, np.int8)
    >>> dense[[3, 9, 39]] = 5, -7, 5
    >>> fixed_width(SharedWeight.of(dense, 8))  # with gaps of 4 bits, the 29 zeros would take another entry
    (3, 2, 5)
    """
    dense = weight.dense()
    weight_bits = max(1, (len(weight.codebook) - 1).bit_length())
    counts = {bits: len(SharedWeight.of(dense, bits).codes) for bits in range(8, 0, -1)}
    index_bits = min(counts, key=lambda bits: counts[bits] * (weight_bits + bits))
    return counts[index_bits], weight_bits, index_bits


def layer_bytes(layer: ByteWeighted, stored: int, size: tuple[int, int] | None = None) -> LayerBytes:
    """The row of an encoded layer; `ArgumentError` if it is not encoded.

    `stored` are the bytes of its files, `size` the weights and biases that it had before compression, where it has
    fewer now.
    """
    coded = layer.shared
    if not isinstance(coded, SharedWeight):
        raise ArgumentError(f"the weights of {layer.name} are not encoded; make the table of encode_layers(network)")
    entries, weight_bits, index_bits = fixed_width(coded)
    weights, outputs = size or (layer.weight_count, layer.outputs)
    biases, own = 4 * layer.outputs, len(coded.codes)
    return LayerBytes(
        layer.name,
        weights=weights,
        biases=outputs,
        kept=int((layer.weight != 0).sum()),
        entries=entries,
        weight_bits=weight_bits,
        index_bits=index_bits,
        pruned=-(-entries * (32 + index_bits) // 8) + biases,
        shared=-(-entries * (weight_bits + index_bits) // 8) + len(coded.codebook) + biases,
        huffman_entries=own,
        huffman_weight_bits=stream_bits(coded.codes, len(coded.codebook)) / max(own, 1),
        huffman_index_bits=stream_bits(coded.gaps, 256) / max(own, 1),
        huffman=encoded_bytes(coded) + narrow(layer.bias).nbytes,
        stored=stored,
    )


def total(rows: Sequence[LayerBytes]) -> LayerBytes:
    """The last row: sums, and means over entries."""
    sums: dict[str, Any] = {
        field: sum(getattr(row, field) for row in rows) for field in LayerBytes.__dataclass_fields__ if field != "name"
    }
    for step in ("", "huffman_"):
        entries = max(sums[f"{step}entries"], 1)
        for field in (f"{step}weight_bits", f"{step}index_bits"):
            sums[field] = sum(getattr(row, field) * getattr(row, f"{step}entries") for row in rows) / entries
    return LayerBytes("total", **sums)


def compression_table(
    network: Network, package: Path, dense: Mapping[str, tuple[int, int]] | None = None
) -> list[LayerBytes]:
    """Rows of the layers of an encoded network, as written to `package`, of its output, and of the total.

    `dense` has the weights and biases of every layer before compression; without it they are those of `network`.
    """
    *sizes, output = stored_bytes(package)
    layers = {layer.name: layer for layer in network.layers}
    rows = []
    for size in sizes:
        layer = layers[size.name]
        coded = isinstance(layer, ByteWeighted)
        before = None if dense is None else dense.get(size.name)
        rows.append(layer_bytes(layer, size.stored, before) if coded else LayerBytes(size.name, stored=size.stored))  # type: ignore[arg-type]
    rows.append(LayerBytes(output.name, stored=output.stored))
    return [*rows, total(rows)]


def folder_line(everything: LayerBytes, package: Path) -> str:
    """Size of the whole folder of a package, with `manifest.json`; `everything` is the total."""
    manifest = (package / MANIFEST).stat().st_size
    golden = sum(path.stat().st_size for path in package.glob("golden.*"))
    size = everything.stored + manifest
    return (
        f"With {manifest:,} bytes of {MANIFEST} the folder takes {size:,}: {everything.dense / size:.1f}x; "
        f"golden vectors, which only the self-test reads, take {golden:,} more."
    )


def to_json(rows: Sequence[LayerBytes]) -> list[dict[str, Any]]:
    """As values for JSON, with the ratio to dense float32 after each step; None where there are no weights."""
    return [
        {**asdict(row), "dense": row.dense}
        | {
            f"{step}_ratio": row.dense / getattr(row, step) if row.dense else None
            for step in ("pruned", "shared", "huffman", "stored")
        }
        for row in rows
    ]


_COLUMNS: tuple[tuple[str, Callable[[LayerBytes], str]], ...] = (
    ("layer", lambda row: row.name),
    ("weights", lambda row: f"{row.weights:,}"),
    ("kept", lambda row: f"{row.kept:,}"),
    ("kept %", lambda row: f"{100 * row.kept / row.weights:.3f}"),
    ("weight bits", lambda row: f"{row.weight_bits:.3g}"),
    ("index bits", lambda row: f"{row.index_bits:.3g}"),
    ("dense bytes", lambda row: f"{row.dense:,}"),
    ("pruned", lambda row: f"{row.pruned:,}"),
    ("shared", lambda row: f"{row.shared:,}"),
    ("weight bits, Huffman", lambda row: f"{row.huffman_weight_bits:.2f}"),
    ("index bits, Huffman", lambda row: f"{row.huffman_index_bits:.2f}"),
    ("Huffman", lambda row: f"{row.huffman:,}"),
    ("ratio", lambda row: f"{row.dense / row.huffman:.1f}x"),
    ("package files", lambda row: f"{row.stored:,}"),
    ("ratio of files", lambda row: f"{row.dense / row.stored:.1f}x"),
)

_OF_CONSTANTS = ("layer", "package files")


def to_markdown(rows: Sequence[LayerBytes]) -> str:
    """As a Markdown table, aligned to be read as it is."""
    lines = [[name for name, _ in _COLUMNS]]
    lines += [[write(row) if row.dense or name in _OF_CONSTANTS else "" for name, write in _COLUMNS] for row in rows]
    return markdown_table(lines)
