"""The table of a compression, and the bytes in it."""

from __future__ import annotations

import numpy as np

from host_train.compression.encoding import encode_layers, smallest
from host_train.compression.table import (
    LayerBytes,
    compression_table,
    folder_line,
    layer_bytes,
    to_json,
    to_markdown,
    total,
)
from pynq_cnn.model import (
    AvgPool2d,
    Dense,
    InputSpec,
    Network,
    OutputSpec,
    Requantisation,
    save_package,
)
from pynq_cnn.model.shared import SharedWeight


def test_a_row_counted_by_hand():
    """Forty weights, three kept, at 3, 9 and 39; the last two outputs have one bias each."""
    weight = np.zeros((2, 20), np.int8)
    weight.reshape(-1)[[3, 9, 39]] = 5, -7, 5
    layer = Dense("fc", weight, np.zeros(2, np.int32), shared=SharedWeight.of(weight, 5))
    row = layer_bytes(layer, stored=500)
    assert (row.weights, row.biases, row.kept, row.dense) == (40, 2, 3, 168)
    assert (row.entries, row.weight_bits, row.index_bits) == (3, 2, 5)  # gaps 3, 5, 29; codes of -7, 0, 5
    assert row.pruned == 14 + 8  # 3 * 37 bits are 13.9 bytes; two biases
    assert row.shared == 3 + 3 + 8  # 3 * 7 bits; the codebook; two biases
    # Codes 2, 1, 2: one bit each. Gaps 3, 5, 29: 1, 2 and 2 bits. Eight bits; 3 values, 3 + 30 code lengths; biases.
    assert row.huffman == 1 + 3 + 33 + 4
    assert (row.huffman_entries, row.huffman_weight_bits, row.huffman_index_bits) == (3, 1, 5 / 3)
    output = LayerBytes("output", stored=60)
    everything = total([row, row, output])
    assert (everything.weights, everything.pruned, everything.stored, everything.dense) == (80, 44, 1060, 336)
    assert (everything.weight_bits, everything.index_bits) == (2, 5)
    line, constants = to_json([row, output])
    assert line["dense"] == 168 and line["stored_ratio"] == 168 / 500 and line["pruned_ratio"] == 168 / 22
    assert constants["stored"] == 60 and constants["stored_ratio"] is constants["huffman_ratio"] is None
    text = to_markdown([row, output, total([row, output])]).splitlines()
    assert (
        len(text) == 5 and len({len(one) for one in text}) == 1 and "7.500" in text[2] and text[4].startswith("| total")
    )
    assert text[3].replace("|", " ").split() == ["output", "60"]


def test_bits_of_the_total_are_those_of_its_own_entries():
    """One layer has twice as many entries in the package as in fixed widths."""
    one = LayerBytes(
        "a", entries=10, weight_bits=4, index_bits=8, huffman_entries=20, huffman_weight_bits=1.5, huffman_index_bits=3
    )
    two = LayerBytes(
        "b", entries=10, weight_bits=2, index_bits=4, huffman_entries=10, huffman_weight_bits=3, huffman_index_bits=6
    )
    both = total([one, two])
    assert (both.weight_bits, both.index_bits) == (3, 6)
    assert (both.huffman_weight_bits, both.huffman_index_bits) == ((20 * 1.5 + 10 * 3) / 30, (20 * 3 + 10 * 6) / 30)


def test_constants_of_layers_without_weights_are_in_the_table(tmp_path):
    one = Requantisation(np.array([40000], np.uint16), np.array([17], np.uint8))
    weight = np.array([[0, 3, 0], [5, 0, 3]], np.int8)
    network = Network(
        "n",
        InputSpec(4, 4, 3, "RGB", (0.5,) * 3, (0.5,) * 3),
        (AvgPool2d("mean", (4, 4), (4, 4), one), Dense("fc", weight, np.zeros(2, np.int32))),
        OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32)),
        ("a", "b"),
    )
    network = encode_layers(network)
    save_package(network, tmp_path / "p")
    rows = compression_table(network, tmp_path / "p")
    assert [row.name for row in rows] == ["mean", "fc", "output", "total"]
    assert rows[-1].stored == sum(path.stat().st_size for path in (tmp_path / "p").glob("*.npy"))
    whole = sum(path.stat().st_size for path in (tmp_path / "p").iterdir())
    assert f"the folder takes {whole:,}: {rows[-1].dense / whole:.1f}x; golden" in folder_line(rows[-1], tmp_path / "p")


def test_gaps_too_long_for_their_width_are_bridged_in_the_count():
    weight = np.zeros((1, 4096), np.int8)
    weight[0, [0, 4095]] = 9, 9
    row = layer_bytes(Dense("fc", weight, np.zeros(1, np.int32), shared=smallest(weight)), 0)
    # 4,094 zeros between: with 8 bits 15 bridges of 256 and one gap of 254; 17 entries of 9 bits are fewer than 33 of
    # 8, and so on.
    assert (row.entries, row.index_bits) == (17, 8) and row.pruned == 85 + 4 and row.shared == 20 + 2 + 4
