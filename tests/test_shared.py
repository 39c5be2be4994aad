"""Shared weights and their Huffman code: what is encoded is decoded, and everything else is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import random_images
from test_network import NETWORK
from test_package import edit, npy, rewrite

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ModelPackageError, NetworkError
from pynq_cnn.model import SharedWeight, load_package, save_package, stored_bytes
from pynq_cnn.model.huffman import code_lengths, code_words, decode, encode
from pynq_cnn.zoo import load_model

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=40)


@given(COUNTS)
def test_code_is_a_prefix_code_and_complete(counts):
    lengths = code_lengths(counts)
    assert [length > 0 for length in lengths] == [count > 0 for count in counts]
    words = [f"{word:0{length}b}" for word, length in zip(code_words(lengths).tolist(), lengths.tolist()) if length]
    assert not any(a != b and b.startswith(a) for a in words for b in words) and len(set(words)) == len(words)
    if len(words) > 1:
        assert sum(2.0 ** -len(word) for word in words) == 1


@given(COUNTS.filter(lambda counts: sum(c > 0 for c in counts) > 1))
def test_code_is_within_a_bit_of_the_entropy(counts):
    """Huffman's bound: H <= mean length < H + 1. [Cover and Thomas, Elements of Information Theory, section 5.8]"""
    p = np.array(counts) / sum(counts)
    mean = float(p @ code_lengths(counts))
    entropy = float(-(p[p > 0] * np.log2(p[p > 0])).sum())
    assert entropy - 1e-9 <= mean < entropy + 1


def test_very_skewed_counts_keep_words_short():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = code_lengths(fibonacci)
    assert lengths.max() <= 24 and sum(2.0 ** -lengths.astype(float)) <= 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200)), max_size=60))
def test_streams_round_trip(pairs):
    streams = [np.array([pair[i] for pair in pairs], np.uint8) for i in (0, 1)]
    lengths = [code_lengths(np.bincount(stream, minlength=1)) for stream in streams]
    data = encode(streams, lengths)
    assert all(np.array_equal(a, b) for a, b in zip(decode(data, lengths, len(pairs)), streams))
    if len(data):
        with pytest.raises(NetworkError, match="Huffman stream"):
            decode(data[:-1], lengths, len(pairs))
    with pytest.raises(NetworkError, match="Huffman stream"):
        decode(np.append(data, np.uint8(0)), lengths, len(pairs))


def test_lengths_that_are_no_code():
    for lengths in ([1, 1, 1], [30]):
        with pytest.raises(NetworkError):
            decode(np.zeros(1, np.uint8), [np.array(lengths, np.uint8)], 1)
    with pytest.raises(NetworkError, match="breaks at bit 0"):
        decode(np.array([0b11000000], np.uint8), [np.array([1, 2, 0], np.uint8)], 1)


@settings(max_examples=150)
@given(
    arrays(
        np.int8,
        st.tuples(st.integers(1, 6), st.integers(1, 300)),
        elements=st.sampled_from([0, 0, 0, 0, 0, -127, 5, 127]),
    ),
    st.integers(1, 8),
)
def test_weights_round_trip(weight, index_bits):
    shared = SharedWeight.of(weight, index_bits)
    assert np.array_equal(shared.dense(), weight)
    assert len(shared.gaps) == 0 or shared.gaps.max() < 1 << index_bits


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SharedWeight(np.array([1], np.int8), np.zeros(0, np.uint8), np.zeros(0, np.uint8), (2,)),
            "starts with 0",
        ),
        (lambda: SharedWeight(np.array([0], np.int8), np.zeros(1, np.uint8), np.ones(1, np.uint8), (2,)), "code 1"),
        (
            lambda: SharedWeight(np.array([0, 3], np.int8), np.array([2], np.uint8), np.ones(1, np.uint8), (2,)),
            "reach to weight 3",
        ),
        (lambda: SharedWeight(np.array([0, 3], np.int8), np.zeros(2, np.uint8), np.ones(1, np.uint8), (9,)), "codes"),
        (
            lambda: SharedWeight(np.array([0, -128], np.int8), np.zeros(1, np.uint8), np.ones(1, np.uint8), (9,)),
            "codebook",
        ),
        (lambda: SharedWeight.of(np.zeros((2, 2), np.int8), 9), "index_bits"),
        (lambda: SharedWeight.of(np.zeros((2, 2), np.int8), "4"), "index_bits"),
        (lambda: SharedWeight.of(np.full((2, 2), 0.5), 4), r"must be an int8 array, not float64\[2, 2\]"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def shared_network():
    """The little network with its dense layer pruned and shared."""
    weight = np.zeros((3, 36), np.int8)
    weight[0, 7], weight[2, 1], weight[2, 35] = 9, -4, 9
    fc = replace(NETWORK.layers[2], weight=weight, shared=SharedWeight.of(weight, 3))
    return replace(NETWORK, layers=(*NETWORK.layers[:2], fc))


def test_a_layer_must_be_what_its_stream_says():
    fc = shared_network().layers[2]
    with pytest.raises(NetworkError, match="fc.shared does not stand for"):
        replace(fc, weight=fc.weight + np.int8(1))


def test_package_round_trip_and_sizes(tmp_path):
    network = shared_network()
    save_package(network, tmp_path / "model")
    loaded = load_package(tmp_path / "model")
    assert loaded == network and loaded.layers[2].shared == network.layers[2].shared
    images = random_images(network, 4, 0)
    dense = replace(network, layers=(*network.layers[:2], replace(network.layers[2], shared=None)))
    assert np.array_equal(ReferenceBackend(loaded).run(images), ReferenceBackend(dense).run(images))
    sizes = {size.name: size for size in stored_bytes(tmp_path / "model")}
    assert sizes["fc"].dense == 4 * (36 * 3 + 3)
    assert sizes["fc"].stored == sum(path.stat().st_size for path in (tmp_path / "model").glob("layer.fc.*.npy"))


def test_damaged_streams_are_refused(tmp_path):
    folder = tmp_path / "model"
    save_package(shared_network(), folder)
    stream = np.load(folder / "layer.fc.stream.npy")
    rewrite(folder, "layer.fc.stream.npy", npy(stream[:0]), shape=[0])
    with pytest.raises(ModelPackageError, match=r"fc.*Huffman stream"):
        load_package(folder)
    rewrite(folder, "layer.fc.stream.npy", npy(stream), shape=list(stream.shape))
    for change, message in [
        (lambda m: m["layers"][2]["shared"].update(entries=10**12), "cannot hold its 1000000000000 symbols"),
        (lambda m: m["layers"][2]["shared"].update(entries=-1), "cannot hold its -1 symbols"),
        (lambda m: m["layers"][2]["shared"].update(shape=[2**40, 2**40]), "shape of shared weights"),
        (lambda m: m["layers"][2]["shared"].update(shape=[1] * 71), "1 to 4 sides"),
        (lambda m: m["layers"][2]["shared"].update(shape=[]), "1 to 4 sides"),
        (lambda m: m["layers"][2]["shared"].update(shape=[10**400]), "shape of shared weights"),
        (lambda m: m["layers"][2]["shared"].update(shape=[1, 20]), "reach to weight"),
        (lambda m: m["layers"][2]["arrays"].pop("stream"), "stream: is missing"),
        (lambda m: m["layers"][2].pop("shared"), "is unknown; known are bias"),
    ]:
        whole = (folder / "manifest.json").read_text()
        edit(folder, change)
        with pytest.raises(ModelPackageError, match=message):
            load_package(folder)
        (folder / "manifest.json").write_text(whole)


def test_alphabets_larger_than_a_byte_are_refused(tmp_path):
    folder = tmp_path / "model"
    save_package(shared_network(), folder)
    lengths = np.full(300 + len(np.load(folder / "layer.fc.codebook.npy")), 9, np.uint8)
    rewrite(folder, "layer.fc.code_lengths.npy", npy(lengths), shape=[len(lengths)])
    with pytest.raises(ModelPackageError, match="at most 256 integers, not uint8 .300"):
        load_package(folder)


def naive_decode(data: np.ndarray, lengths: list[np.ndarray], count: int) -> tuple[list[list[int]], int] | None:
    """Bit by bit, out of a dictionary of words; symbols and the bits they take, or None if there is no such stream."""
    books = [
        {f"{word:0{n}b}": s for s, (word, n) in enumerate(zip(code_words(part).tolist(), part.tolist())) if n}
        for part in lengths
    ]
    text, out, position = "".join(f"{byte:08b}" for byte in data), [[] for _ in lengths], 0
    for _ in range(count):
        for stream, book in zip(out, books):
            end = next(
                (end for end in range(position + 1, min(position + 24, len(text)) + 1) if text[position:end] in book),
                None,
            )
            if end is None:
                return None
            stream.append(book[text[position:end]])
            position = end
    return out, position


@settings(max_examples=150)
@given(st.lists(st.integers(1, 24), min_size=1, max_size=30), st.integers(1, 3), st.binary(max_size=120), st.data())
def test_any_bytes_are_read_as_one_bit_after_the_other_would_be(sizes, streams, data, draw):
    """Codes with and without unused words, of words longer than the decoder's table too, and streams that fit or do
    not.
    """
    kept, room = [], 1.0
    for size in sizes:
        if 2.0**-size <= room:
            room -= 2.0**-size
            kept.append(size)
    lengths = [np.array(draw.draw(st.permutations(kept)) or [1], np.uint8) for _ in range(streams)]
    count = draw.draw(st.integers(0, 8 * len(data) // streams))
    stream, expected = np.frombuffer(data, np.uint8), naive_decode(np.frombuffer(data, np.uint8), lengths, count)
    if expected is not None and 0 <= 8 * len(data) - expected[1] < 8:
        assert [part.tolist() for part in decode(stream, lengths, count)] == expected[0]
    else:
        with pytest.raises(NetworkError, match="Huffman stream"):
            decode(stream, lengths, count)


@pytest.mark.parametrize("extra", [0, 1, 77])
def test_streams_of_many_blocks(extra):
    """Words of 1 to 24 bits, so that ends of blocks fall anywhere in them."""
    rng = np.random.default_rng(extra)
    lengths = [np.array([1, 2, 3, *range(4, 24), 24, 24], np.uint8), np.full(256, 8, np.uint8)]
    streams = [
        np.minimum(rng.geometric(0.3, 60_000 + extra) - 1, 24).astype(np.uint8),
        rng.integers(0, 256, 60_000 + extra, np.uint8),
    ]
    streams[0][rng.integers(0, 60_000, 3000)] = rng.integers(15, 25, 3000)
    data = encode(streams, lengths)
    assert len(data) > 8 * 8192
    assert all(np.array_equal(a, b) for a, b in zip(decode(data, lengths, 60_000 + extra), streams))


@pytest.mark.parametrize(
    "lengths",
    [
        np.full(257, 9, np.uint8),
        np.array([255], np.uint8),
        np.array([-1], np.int8),
        np.array([1.0]),
        np.ones((2, 2), np.uint8),
    ],
)
def test_lengths_are_checked_by_the_decoder_itself(lengths):
    with pytest.raises(NetworkError, match="Huffman code"):
        decode(np.zeros(1000, np.uint8), [lengths], 1)


@pytest.mark.parametrize("index_bits", [1, 4, 8])
def test_long_tails_of_zeros_are_bridged(index_bits):
    """At most 2^20 zeros may follow the last entry: what a weight takes follows from what is stored of it."""
    weight = np.zeros((3, 1 << 20), np.int8)
    for places in ([], [5], [5, 3 << 19]):
        weight.reshape(-1)[places] = 7
        shared = SharedWeight.of(weight, index_bits)
        assert np.array_equal(shared.dense(), weight)
        span = 1 << index_bits
        assert len(shared.codes) <= len(places) + 2 + (max(places, default=0) + (2 << 20)) // span
    with pytest.raises(
        NetworkError, match="reach to weight 1 of .3, 1048576., which has 3145728; at most 1048576 zeros may follow"
    ):
        SharedWeight(np.array([0, 7], np.int8), np.zeros(1, np.uint8), np.ones(1, np.uint8), weight.shape)


@pytest.mark.parametrize("shape", [(), (1, 1, 1, 1, 2), (0,), (-2, -1), (2.0,), ("2",), 2**40, None])
def test_shapes_that_are_none(shape):
    with pytest.raises(NetworkError, match="shape of shared weights"):
        SharedWeight(np.array([0], np.int8), np.zeros(0, np.uint8), np.zeros(0, np.uint8), shape)


def test_a_layer_and_its_stream_have_one_array():
    fc = shared_network().layers[2]
    assert fc.weight is fc.shared.dense() is replace(fc, name="again").weight


@pytest.mark.parametrize(("largest", "dtype"), [(32767, "int16"), (32768, "int32")])
def test_biases_beside_shared_weights_are_as_narrow_as_they_fit(largest, dtype, tmp_path):
    network = load_model("lenet5")
    last = network.layers[-1]
    bias = np.array([largest, -32768, *range(8)], np.int32)
    network = replace(network, layers=(*network.layers[:-1], replace(last, bias=bias)), golden=None)
    save_package(network, tmp_path / "p")
    loaded = load_package(tmp_path / "p")
    assert loaded == network and loaded.layers[-1].bias.dtype == np.int32
    assert np.load(tmp_path / "p" / f"layer.{last.name}.bias.npy").dtype.name == dtype
    plain = replace(network, layers=(*network.layers[:-1], replace(last, shared=None)))
    save_package(plain, tmp_path / "q")  # beside plain weights they stay as they are
    assert np.load(tmp_path / "q" / f"layer.{last.name}.bias.npy").dtype == np.int32
