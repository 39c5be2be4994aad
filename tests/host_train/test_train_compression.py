"""Deep Compression: masks, shared values, the table, and the pipeline from a run to its package."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train.cli import main, make_parser
from host_train.commands.compression import command_line
from host_train.compression.encoding import encode_layers, encoded_bytes, quantised_forms, smallest, snap
from host_train.compression.pipeline import dense_model, layer_sizes
from host_train.compression.prune import kept, masked, plain, prune_to, round_keep, threshold_keep, weighted_layers
from host_train.compression.recipe import COMPRESSIONS, CompressionRecipe, find_compression
from host_train.compression.share import FINE, cluster, codebook, share, unshared
from host_train.compression.sweep import sweep
from host_train.compression.table import (
    LayerBytes,
    compression_table,
    folder_line,
    layer_bytes,
    to_json,
    to_markdown,
    total,
)
from host_train.compression.target import expected_bytes, for_target, package_bytes
from host_train.data import Split
from host_train.networks import RECIPES
from host_train.networks.lenet import build_lenet
from host_train.quantisation.fold import fold
from host_train.quantisation.to_network import to_network
from host_train.runs.run import Run
from host_train.training.curves import plot_history
from host_train.training.fit import fit
from host_train.training.schedule import Schedule
from host_train.training.tensors import TensorData
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, BackendError, NetworkError
from pynq_cnn.model import (
    AvgPool2d,
    Conv2d,
    Dense,
    InputSpec,
    Network,
    OutputSpec,
    Requantisation,
    load_package,
    save_package,
    stored_bytes,
)
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.zoo import load_model

COLOUR = InputSpec(9, 8, 3, "RGB", (0.5, 0.45, 0.4), (0.25, 0.2, 0.5))


def net(spec: InputSpec = COLOUR, seed: int = 0) -> nn.Sequential:
    """Two convolutions, pooling, two fully connected layers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return fold(
            nn.Sequential(
                nn.Conv2d(spec.channels, 6, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(6, 8, (2, 3), stride=(1, 2), padding=(0, 1)),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(8 * (spec.height // 2 - 1) * ((spec.width // 2 - 1) // 2 + 1), 20),
                nn.ReLU(),
                nn.Linear(20, 10),
            )
        )


KEEP = {"0": 0.7, "3": 0.4, "6": 0.1, "8": 0.5}
BITS = {"0": 4, "3": 3, "6": 2, "8": 3}


def sparse(spec: InputSpec = COLOUR, seed: int = 0) -> nn.Sequential:
    model = net(spec, seed)
    prune_to(model, KEEP)
    return plain(model)


def digits_data(digits: dict[str, np.ndarray], count: int = 300) -> TensorData:
    split = Split(digits["train_images"][:count, ..., None], digits["train_labels"][:count].astype(np.int64))
    return TensorData.of(split, (0.3,), (0.4,))


# ------------------------------------------------------------------------------------------------- pruning


@settings(max_examples=20)
@given(st.floats(0.001, 1), st.integers(0, 5))
def test_the_largest_weights_are_kept(part, seed):
    model = net(seed=seed)
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    prune_to(model, dict.fromkeys(before, part))
    for name, layer in weighted_layers(model).items():
        mask = layer.weight_mask.bool()
        assert mask.sum() == max(1, round(part * mask.numel())) == kept(model)[name][0]
        assert torch.equal(layer.weight.detach(), before[name] * mask)
        if not mask.all():
            assert before[name][mask].abs().min() >= before[name][~mask].abs().max()


def test_pruning_goes_on_from_what_is_left_and_never_back():
    model = net()
    prune_to(model, dict.fromkeys(KEEP, 0.5))
    first = {name: layer.weight_mask.clone() for name, layer in weighted_layers(model).items()}
    with torch.no_grad():
        for layer in weighted_layers(model).values():
            layer.weight_orig += (1 - layer.weight_mask) * 100  # what is masked may not return, however large
    prune_to(model, KEEP)
    for name, layer in weighted_layers(model).items():
        assert (layer.weight_mask <= first[name]).all()
        assert layer.weight_mask.sum() == min(first[name].sum(), max(1, round(KEEP[name] * first[name].numel())))
        assert layer.weight.abs().max() < 100


def test_pruning_and_counting_see_what_was_loaded():
    model, other = masked(net()), masked(net(seed=1))
    prune_to(other, KEEP)
    model.load_state_dict(other.state_dict())  # with no forward pass since
    assert kept(model) == kept(other) != kept(masked(net()))
    less = {name: part / 2 for name, part in KEEP.items()}
    prune_to(model, less)
    prune_to(other, less)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))


def test_masked_weights_stay_zero_through_fine_tuning(tmp_path, digits):
    model = masked(fold(build_lenet()))
    keep = {"conv1": 0.5, "conv2": 0.3, "fc1": 0.02, "fc2": 0.2}
    prune_to(model, keep)
    masks = {name: layer.weight_mask.clone() for name, layer in weighted_layers(model).items()}
    start = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    data = digits_data(digits)
    fit(model, data, data, Schedule(epochs=2, batch=32, weight_decay=0.1), tmp_path)
    counts = kept(model)
    for name, layer in weighted_layers(plain(model)).items():
        assert not layer.weight[masks[name] == 0].any() and not torch.equal(layer.weight, start[name])
        assert counts[name][0] <= masks[name].sum() == max(1, round(keep[name] * layer.weight.numel()))


def test_threshold_counts_standard_deviations():
    model = nn.Sequential(nn.Linear(4, 1))
    model[0].weight.data = torch.tensor([[1.0, -1.0, 3.0, -3.0]])  # of standard deviation sqrt(5)
    assert threshold_keep(model, 1.3) == {"0": 0.5}  # 2.9
    assert threshold_keep(model, 1.4) == {"0": 0.25}  # 3.1: nothing reaches it, and one weight is always kept
    assert threshold_keep(model, 0) == {"0": 1.0}
    for bad in (-0.1, float("nan")):
        with pytest.raises(ArgumentError, match="threshold"):
            threshold_keep(model, bad)


def test_thresholds_may_be_of_the_weights_themselves():
    model = masked(net())
    for layer in weighted_layers(model).values():
        layer.weight_orig.data *= 3  # in standard deviations nothing would change
    parts = threshold_keep(model, 0.1, absolute=True)
    for name, layer in weighted_layers(model).items():
        assert parts[name] == float((layer.weight_orig.abs() >= 0.1).sum()) / layer.weight_orig.numel()
    assert parts != threshold_keep(model, 0.1)
    prune_to(model, parts)
    assert all(layer.weight[layer.weight != 0].abs().min() >= 0.1 for layer in weighted_layers(plain(model)).values())


def test_rounds_end_at_what_is_to_be_kept():
    steps = [round_keep({"a": 0.01, "b": 1.0}, number, 8) for number in range(9)]
    assert steps[-1] == {"a": 0.01, "b": 1.0} and all(step["b"] == 1 for step in steps)
    drops = -np.diff([step["a"] for step in steps])
    assert (np.diff(drops) < 0).all() and (drops > 0).all()


# ------------------------------------------------------------------------------------------------- sharing


@settings(max_examples=30)
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=200), st.integers(1, 15))
def test_clusters_are_few_and_nearest(values, count):
    values = np.array(values)
    centres, codes = cluster(values, count)
    assert 1 <= len(centres) <= count and (np.diff(centres) > 0).all()
    assert set(codes) == set(range(len(centres)))
    distance = np.abs(values[:, None] - centres)
    assert np.allclose(distance[np.arange(len(values)), codes], distance.min(1))


def test_clusters_of_many_values_cost_bins_and_are_as_good():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(centre, 0.01, 20000) for centre in (-2, -0.5, 1, 3)])
    centres, codes = cluster(values, 4)
    assert np.allclose(centres, [-2, -0.5, 1, 3], atol=1e-3)
    assert np.array_equal(codes, np.repeat(np.arange(4), 20000))


def test_clusters_where_one_value_is_far_out():
    """Most bins are empty then: fewer are left than clusters are asked for."""
    values = np.append(np.linspace(-1, 1, FINE + 1), 1e4)
    centres, codes = cluster(values, 255)
    assert 2 <= len(centres) <= 255 and codes[-1] == len(centres) - 1 and centres[-1] == 1e4


def test_clusters_start_from_an_even_spread():
    """By Lloyd's iterations written out, from that start."""
    values = np.random.default_rng(1).laplace(size=500)
    centres, _ = cluster(values, 5)
    mine = np.linspace(values.min(), values.max(), 5)
    for _ in range(300):
        nearest = np.abs(values[:, None] - mine).argmin(1)
        mine = np.array([values[nearest == i].mean() for i in range(5)])
    assert np.allclose(centres, mine, atol=0.02)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan]])
def test_nothing_to_cluster_is_refused(bad):
    with pytest.raises(ArgumentError, match="cannot be clustered"):
        cluster(np.array(bad), 3)


def test_a_layer_has_at_most_its_values_and_its_zeros_stay():
    model = sparse()
    zeros = {name: layer.weight == 0 for name, layer in weighted_layers(model).items()}
    gain = 1 / torch.tensor(COLOUR.std).reshape(1, 3, 1, 1)
    share(model, BITS, COLOUR.std)
    for name, layer in weighted_layers(model).items():
        assert len(codebook(layer)) == 2 ** BITS[name] - 1
        assert torch.equal(layer.weight == 0, zeros[name])
        values = layer.weight * gain if name == "0" else layer.weight
        assert set(values[~zeros[name]].round(decimals=4).tolist()) == set(
            codebook(layer).detach().round(decimals=4).tolist()
        )
    dense = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    for name, layer in weighted_layers(unshared(model)).items():
        assert layer is not model[int(name)]
        assert type(layer) in (nn.Conv2d, nn.Linear) and torch.equal(layer.weight, dense[name])


def test_the_gradient_of_a_value_is_the_sum_over_its_members():
    x, labels = torch.randn(16, 3, 9, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10
    model = share(sparse(), BITS, COLOUR.std)
    free = unshared(model)
    for one in (model, free):
        F.cross_entropy(one(x), labels).backward()
    for name, layer in weighted_layers(model).items():
        values = layer.parametrizations.weight[0]
        own = weighted_layers(free)[name].weight.grad.flatten()[values.places] / values.gain
        for code in range(len(codebook(layer))):
            assert torch.isclose(codebook(layer).grad[code], own[values.codes == code].sum(), rtol=1e-4, atol=1e-6)


def test_fine_tuning_moves_values_and_keeps_them_shared(tmp_path, digits):
    model = fold(build_lenet())
    prune_to(model, {"conv1": 0.9, "conv2": 0.5, "fc1": 0.1, "fc2": 0.5})
    share(plain(model), dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 3), (0.4,))
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    data = digits_data(digits)
    history = fit(model, data, data, Schedule(epochs=3, batch=32, learning_rate=3e-3, weight_decay=0.1), tmp_path)
    assert history[-1].train_loss < history[0].train_loss
    for name, layer in weighted_layers(model).items():
        assert torch.equal(layer.weight == 0, before[name] == 0) and not torch.equal(layer.weight, before[name])
        assert len(layer.weight.unique()) <= 8


def test_a_layer_without_weights_is_refused():
    model = net()
    model[3].weight.data.zero_()
    with pytest.raises(ArgumentError, match="3 has no weights left"):
        share(model, BITS, COLOUR.std)


# ------------------------------------------------------------------------------------------------ integers


def forms(spec: InputSpec = COLOUR, seed: int = 0) -> tuple[nn.Sequential, dict[str, nn.Sequential], np.ndarray]:
    images = np.random.default_rng(seed).integers(0, 256, (64, *spec.shape), np.uint8)
    x = torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()
    shared = share(sparse(spec, seed), BITS, spec.std)
    return shared, quantised_forms(shared, [x], spec.std), images


def simulate(network, images: np.ndarray) -> np.ndarray:
    """docs/contract/numerics.md in torch's int64."""
    values = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.int64))
    for layer in network.layers:
        if isinstance(layer, Conv2d):
            weight = torch.from_numpy(layer.weight.transpose(0, 3, 1, 2).astype(np.int64))
            pad = torch.tensor(network.input.zero_points if layer is network.layers[0] else (0,) * weight.shape[1])
            (down, right), height, width = layer.padding[:2], *values.shape[2:]
            padded = pad.long().reshape(1, -1, 1, 1).repeat(len(values), 1, height + 2 * down, width + 2 * right)
            padded[:, :, down : down + height, right : right + width] = values
            acc = F.conv2d(padded, weight, torch.from_numpy(layer.bias.astype(np.int64)), layer.stride)
        elif isinstance(layer, Dense):
            flat = values.permute(0, 2, 3, 1).reshape(len(values), -1) if values.ndim == 4 else values
            acc = flat @ torch.from_numpy(layer.weight.astype(np.int64)).T + torch.from_numpy(
                layer.bias.astype(np.int64)
            )
        else:
            values = F.max_pool2d(values.float(), layer.size, layer.stride).long()
            continue
        values = acc
        if layer.requantisation is not None:
            assert len(layer.requantisation.multiplier) == 1
            m, s = int(layer.requantisation.multiplier[0]), int(layer.requantisation.shift[0])
            values = ((acc * m + (1 << (s - 1))) >> s).clamp(0, 255)
    return values.numpy().astype(np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_integers_are_the_shared_values_on_one_grid(seed, tmp_path):
    shared, quantised, images = forms(seed=seed)
    for form in quantised.values():
        network = encode_layers(to_network(form, "test", COLOUR, [str(i) for i in range(10)]))
        save_package(network, tmp_path / "p")
        assert load_package(tmp_path / "p") == network
        layers = {layer.name: layer for layer in network.layers if isinstance(layer, (Conv2d, Dense))}
        for name, layer in layers.items():
            values = snap(codebook(shared[int(name)]).detach()).double()
            whole = set((values / values.abs().max() * 127).round().int().tolist())
            assert set(layer.shared.codebook.tolist()) == whole | {0}
            assert len(layer.shared.codebook) <= 2 ** BITS[name] and np.array_equal(layer.shared.dense(), layer.weight)
        assert np.array_equal(ReferenceBackend(network).run(images), simulate(network, images))


@pytest.mark.parametrize("spec", [COLOUR, replace(COLOUR, channels=1, color="L", mean=(0.13,), std=(0.31,))])
def test_integers_answer_as_the_shared_network_does(spec):
    shared, quantised, images = forms(spec)
    network = to_network(quantised["max"], "test", spec, [str(i) for i in range(10)])
    logits = network.logits(ReferenceBackend(network).run(images))
    x = torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        real, fake = shared(x).numpy(), quantised["max"](x).numpy()
    assert np.abs(logits - fake).mean() < 0.02 * real.std()
    assert np.abs(logits - real).mean() < 0.05 * real.std()


def test_the_accelerators_kernel_gives_the_same():
    _, quantised, images = forms()
    network = encode_layers(to_network(quantised["max"], "test", COLOUR, [str(i) for i in range(10)]))
    try:
        backend = KernelBackend(network)
    except BackendError as error:
        pytest.skip(str(error))
    with backend:
        assert np.array_equal(backend.run(images), ReferenceBackend(network).run(images))


def test_a_large_bias_coarsens_the_grid_of_the_whole_layer():
    _, quantised, _ = forms()
    with torch.no_grad():
        quantised["max"][8].bias[3] = 1e9
    network = to_network(quantised["max"], "test", COLOUR, [str(i) for i in range(10)])
    last = network.layers[-1]
    assert last.bias[3] == 2**30 and len(np.unique(network.output.scale)) == 1


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 2000))
def test_encoded_bytes_are_those_of_the_package(seed, part, size):
    from pynq_cnn.model.package.save import pack_shared

    generator = np.random.default_rng(seed)
    dense = (generator.integers(-3, 4, size) * 11 * (generator.random(size) < part)).astype(np.int8).reshape(1, -1)
    best = smallest(dense)
    sizes = []
    for bits in range(1, 9):
        arrays = pack_shared(SharedWeight.of(dense, bits))
        assert encoded_bytes(SharedWeight.of(dense, bits)) == sum(array.nbytes for array in arrays.values())
        sizes.append(sum(array.nbytes for array in arrays.values()))
    assert np.array_equal(best.dense(), dense) and encoded_bytes(best) == min(sizes)


# --------------------------------------------------------------------------------------------------- table


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
    # Codes 2, 1, 2: one bit each. Gaps 3, 5, 29: 1, 2 and 2 bits. Eight bits; 3 values, 3 + 30 code lengths.
    assert row.huffman == 1 + 3 + 33 + 8
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


# -------------------------------------------------------------------------------------------------- recipes


def test_recipes_name_the_layers_of_their_networks():
    for name, recipe in COMPRESSIONS.items():
        assert name in RECIPES
        sizes = layer_sizes(fold(RECIPES[name].build()))
        resolved = recipe.layers(sizes)
        assert set(resolved.keep) == set(resolved.bits) == set(sizes)


@pytest.mark.parametrize(("name", "ratio"), [("lenet5", 100), ("deepnet", 1000)])
def test_recipes_keep_little_enough_for_their_aim(name, ratio):
    sizes = layer_sizes(fold(RECIPES[name].build()))
    recipe = COMPRESSIONS[name].layers(sizes)
    assert 4 * sum(sum(one) for one in sizes.values()) / package_bytes(recipe, sizes) > ratio


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"keep": {"a": 0}}, "part of a to keep"),
        ({"keep": {"a": 1.5}}, "part of a to keep"),
        ({"bits": {"a": 1}}, "bits of a must be an integer from 2 to 8"),
        ({"bits": {"a": 9}}, "bits of a must be an integer from 2 to 8"),
        ({"rounds": 0}, "rounds must be"),
        ({"tune_epochs": 1.5}, "tune_epochs must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
    ],
)
def test_bad_recipes_are_refused(bad, message):
    with pytest.raises(ArgumentError, match=message):
        CompressionRecipe(**bad)


def test_layers_must_be_named_rightly():
    with pytest.raises(ArgumentError, match="'fc9'; the layers with weights are conv1, fc1"):
        CompressionRecipe(keep={"fc9": 0.1, "*": 0.5}).layers(["conv1", "fc1"])
    with pytest.raises(ArgumentError, match="bits says nothing of the layer 'fc1'"):
        CompressionRecipe(bits={"conv1": 3}).layers(["conv1", "fc1"])


@pytest.mark.parametrize("part", [0.002, 0.02, 0.3])
def test_expected_bytes_are_those_of_weights_kept_at_random(part, tmp_path):
    generator = np.random.default_rng(0)
    weight = np.where(
        generator.random((100, 2000)) < part, generator.choice([-120, -80, -40, 40, 80, 120, 127], (100, 2000)), 0
    )
    weight = weight.astype(np.int8)
    measured = encoded_bytes(smallest(weight)) + 4 * 100
    assert abs(expected_bytes(weight.size, 100, part, 3) - 6 * 128 - 3 - measured) < 20 + 0.03 * measured


def test_expected_bytes_of_a_package_are_those_of_its_files(tmp_path):
    """Of weights kept at random, every value as frequent as every other."""
    generator = np.random.default_rng(0)
    shapes, keep, bits = {"a": (60, 500), "b": (10, 60)}, {"a": 0.05, "b": 0.5}, {"a": 3, "b": 3}
    layers = []
    for name, shape in shapes.items():
        weight = np.where(
            generator.random(shape) < keep[name], generator.choice([-120, -80, -40, 40, 80, 120, 127], shape), 0
        )
        constants = Requantisation(np.array([40000], np.uint16), np.array([24], np.uint8)) if name == "a" else None
        layers.append(Dense(name, weight.astype(np.int8), np.zeros(shape[0], np.int32), constants))
    ends = (InputSpec(20, 25, 1, "L", (0.5,), (0.5,)), OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32)))
    network = encode_layers(Network("n", ends[0], tuple(layers), ends[1], tuple("0123456789")))
    save_package(network, tmp_path / "p")
    expected = package_bytes(CompressionRecipe(keep, bits), {name: (a * b, a) for name, (a, b) in shapes.items()})
    assert sum(size.stored for size in stored_bytes(tmp_path / "p")) == pytest.approx(expected, abs=60)


def test_a_target_scales_what_is_kept():
    sizes = {"a": (10000, 10), "b": (200000, 20)}
    recipe = CompressionRecipe(keep={"a": 0.5, "b": 0.05}, bits={"a": 4, "b": 3})
    for ratio in (20, 60, 110):
        scaled = for_target(recipe, sizes, ratio)
        assert np.isclose(4 * 210030 / package_bytes(scaled, sizes), ratio, rtol=1e-3) and scaled.bits == recipe.bits
    assert for_target(recipe, sizes, 60).keep["a"] / for_target(recipe, sizes, 60).keep["b"] == pytest.approx(10)
    with pytest.raises(ArgumentError, match="at most .* can be asked for"):
        for_target(recipe, sizes, 1000)
    with pytest.raises(ArgumentError, match="ratio above 1"):
        for_target(recipe, sizes, 1)


# ------------------------------------------------------------------------------------------------- pipeline

QUICK = [
    "--keep",
    "conv1=0.9",
    "conv2=0.6",
    "fc1=0.05",
    "fc2=0.5",
    "--bits",
    "fc1=3",
    "--rounds",
    "2",
    "--round-epochs",
    "1",
]
QUICK += ["--tune-epochs", "2", "--share-epochs", "2", "--learning-rate", "0.003", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits_folder) -> Path:
    out = tmp_path_factory.mktemp("runs") / "lenet"
    arguments = ["--epochs", "4", "--batch", "32", "--qat-epochs", "0", "--quiet"]
    assert main(["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out), *arguments]) == 0
    return out


def of(command: str, words: list[str] = QUICK) -> list[str]:
    """The options of `compress` that another command has."""
    parser = make_parser()._subparsers._group_actions[0].choices[command]  # type: ignore[union-attr, index]
    taken, keep = [], False
    for word in words:
        keep = word in parser._option_string_actions if word.startswith("--") else keep
        taken += [word] * keep
    return taken


@pytest.fixture(scope="module")
def compressed(trained, digits_folder) -> Path:
    """Interrupted after every epoch of every stage, and resumed; pruning ended by `prune`."""
    arguments = [str(trained), "--data-dir", str(digits_folder), "--resume"]
    stops = [("prune 1/2", 1), ("prune 2/2", 1), ("tune", 1), ("share", 1)]
    with pytest.MonkeyPatch.context() as patch:
        for stage, epoch in stops:

            def interrupt(name, epochs, record, stage=stage, epoch=epoch):
                if (name, record.epoch) == (stage, epoch):
                    raise KeyboardInterrupt

            patch.setattr("host_train.commands.compression.print_epoch", interrupt)
            assert main(["compress", *arguments, *QUICK]) == 130
            if stage == "tune":
                patch.setattr("host_train.commands.compression.print_epoch", lambda *_: None)
                assert main(["prune", *arguments, *of("prune")]) == 0
    assert main(["compress", *arguments, *QUICK]) == 0
    return trained / "compressed"


@pytest.fixture(scope="module")
def step_by_step(trained, digits_folder, tmp_path_factory) -> Path:
    """By `prune`, `share` (interrupted and resumed) and `huffman`."""
    out = tmp_path_factory.mktemp("steps") / "c"
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(out)]
    assert main(["prune", *arguments, *of("prune")]) == 0
    with pytest.MonkeyPatch.context() as patch:

        def interrupt(name, epochs, record):
            raise KeyboardInterrupt

        patch.setattr("host_train.commands.compression.print_epoch", interrupt)
        assert main(["share", *arguments, *of("share")]) == 130
    assert main(["share", *arguments, *of("share"), "--resume"]) == 0
    assert main(["huffman", *arguments]) == 0
    return out


def test_three_commands_do_what_one_does(step_by_step, compressed, capsys):
    steps, whole = (load_package(folder / "package") for folder in (step_by_step, compressed))
    train, *commands = steps.metadata["recipe"].split(" && ")
    assert train == whole.metadata["recipe"].split(" && ")[0] and [command.split()[3] for command in commands] == [
        "prune",
        "share",
        "huffman",
    ]
    assert "--keep conv1=0.9" in commands[0] and "--bits fc1=3 --share-epochs 2" in commands[1]
    assert replace(steps, metadata={**steps.metadata, "recipe": whole.metadata["recipe"]}) == whole
    for name in ("prune/stage.json", "share/stage.json"):
        assert (step_by_step / name).read_text() == (compressed / name).read_text()
    tables = [(folder / "table.md").read_text().splitlines() for folder in (step_by_step, compressed)]
    assert tables[0][:-1] != tables[1][:-1] and tables[0][1:-1] == tables[1][1:-1]  # but for the commands


def test_compress_goes_on_from_each_of_them(step_by_step, compressed, trained, digits_folder, tmp_path):
    shutil.copytree(step_by_step, tmp_path / "c")
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume", *QUICK]
    assert main(["compress", *arguments]) == 0
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")


def test_stages_without_a_noted_command_are_told_by_what_was_asked_for(step_by_step, trained, digits_folder, tmp_path):
    shutil.copytree(step_by_step, tmp_path / "c")
    (tmp_path / "c" / "prune" / "command.txt").unlink()
    assert main(["huffman", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c")]) == 0
    commands = load_package(tmp_path / "c" / "package").metadata["recipe"].split(" && ")[1:]
    assert (
        commands[0] == "prune as prune/stage.json says"
        and "host_train share" in commands[1]
        and "host_train huffman" in commands[2]
    )


def test_stages_that_are_not_there_are_named(step_by_step, trained, digits_folder, tmp_path, capsys):
    def refused(command: str, message: str) -> None:
        assert main([command, str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c")]) == 1
        assert message in capsys.readouterr().err

    refused("share", "prune/stage.json is not there; first: python -m host_train prune RUN")
    refused("huffman", "prune/stage.json is not there; first: python -m host_train prune RUN")
    shutil.copytree(step_by_step, tmp_path / "c")
    refused("share", "share is of an earlier compression; go on with it (--resume)")
    (tmp_path / "c" / "share" / "tune" / "weights.pt").unlink()
    refused(
        "huffman",
        "share/tune/weights.pt is not there, that stage has not ended; go on with it: python -m host_train share RUN"
        " --resume",
    )
    shutil.rmtree(tmp_path / "c" / "share")
    refused("huffman", "share/stage.json is not there; first: python -m host_train share RUN")
    (tmp_path / "c" / "prune" / "tune" / "weights.pt").unlink()
    refused("share", "prune/tune/weights.pt is not there, that stage has not ended")
    stage = json.loads((tmp_path / "c" / "prune" / "stage.json").read_text())
    for changes, message in [
        ({"of": "train another"}, "is of another run, 'train another'"),
        ({"keep": 1}, "cannot be read"),
        ({"rounds": None}, "rounds"),
    ]:
        (tmp_path / "c" / "prune" / "stage.json").write_text(json.dumps({**stage, **changes}))
        refused("share", message)


def test_what_is_in_the_packages_place_is_told_before_training(trained, digits_folder, tmp_path, capsys):
    (tmp_path / "c" / "package").mkdir(parents=True)
    (tmp_path / "c" / "package" / "notes.txt").write_text("mine")
    assert main(["compress", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]) == 1
    assert "not a model package" in capsys.readouterr().err and not (tmp_path / "c" / "prune").exists()


def test_compression_leaves_everything_in_its_folder(compressed):
    files = {path.relative_to(compressed).as_posix() for path in compressed.rglob("*") if path.is_file()}
    tuned = {
        f"{stage}/tune/{name}" for stage in ("prune", "share") for name in ("weights.pt", "history.json", "curves.png")
    }
    rounds = {f"prune/round-0{number}/history.json" for number in (1, 2)}
    assert (
        files
        >= {
            "prune/stage.json",
            "share/stage.json",
            "table.json",
            "table.md",
            "package/manifest.json",
        }
        | tuned
        | rounds
    )
    assert not any(name.endswith("checkpoint.pt") or name.split("/")[-1].startswith(".") for name in files)
    assert not any(name.startswith("prune/round") and name.endswith("weights.pt") for name in files)


def test_an_interrupted_compression_gives_what_an_uninterrupted_one_does(
    compressed, trained, digits_folder, tmp_path, capsys
):
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]
    assert main(["compress", *arguments]) == 0
    text = capsys.readouterr().out
    assert "prune 1/2" in text and "| total" in text and "in integers" in text and "fc1" in text
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")
    assert (tmp_path / "c" / "table.md").read_text() == (compressed / "table.md").read_text()
    assert main(["compress", *arguments]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--tune-epochs", "3"]) == 1
    assert "has another schedule" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--rounds", "3", "--round-epochs", "2"]) == 1
    assert "has another rounds and round_epochs" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--bits", "5"]) == 1
    assert "share has another bits" in capsys.readouterr().err


def test_the_package_is_pruned_shared_and_as_good_as_it_says(compressed, digits_folder, capsys):
    network = load_package(compressed / "package")
    layers = {layer.name: layer for layer in network.layers if isinstance(layer, (Conv2d, Dense))}
    for name, part in {"conv1": 0.9, "conv2": 0.6, "fc1": 0.05, "fc2": 0.5}.items():
        layer = layers[name]
        assert 0 < (layer.weight != 0).sum() <= round(part * layer_sizes(build_lenet())[name][0])
        assert len(layer.shared.codebook) <= (8 if name == "fc1" else 16)
    stated = network.metadata["accuracy"]
    assert stated["integer_top1"] > 0.5 and abs(stated["integer_top1"] - stated["shared_top1"]) < 0.05
    assert 0.9 < stated["agreement"] <= 1.0
    assert (
        len(network.golden.images) == 32
        and "&& python -m host_train compress runs/lenet --keep conv1=0.9" in network.metadata["recipe"]
    )
    assert main(["evaluate", str(compressed / "package"), "--data-dir", str(digits_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["integer_top1"]


def test_what_compression_costs_is_looked_at(trained, digits_folder, tmp_path, capsys):
    few = [
        "--keep",
        "0.01",
        "--bits",
        "2",
        "--rounds",
        "1",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "1",
        "--share-epochs",
        "1",
    ]
    where = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--device", "cpu"]
    assert main(["compress", *where, *few]) == 0
    accuracy = load_package(tmp_path / "c" / "package").metadata["accuracy"]
    lost = 100 * (accuracy["float32_top1"] - accuracy["integer_top1"])
    assert lost > 20
    assert (
        f"host_train: {lost:.2f} points of accuracy are lost to compression; keep more (--keep)"
        in capsys.readouterr().err
    )
    assert main(["huffman", *where[:-2], "--min-agreement", "0"]) == 0
    assert "lost to compression" not in capsys.readouterr().err


def test_what_is_not_encoded_has_no_table(tmp_path):
    network = load_model("lenet")
    save_package(network, tmp_path / "p")
    with pytest.raises(ArgumentError, match="weights of conv1 are not encoded"):
        compression_table(network, tmp_path / "p")


def test_sizes_count_the_biases_that_are_there():
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, bias=False)), nn.ConvTranspose2d(4, 3, 2), nn.Flatten(), nn.Linear(5, 2)
    )
    assert layer_sizes(model) == {"0.0": (36, 0), "1": (48, 3), "3": (10, 2)}


def test_the_table_is_that_of_the_package(compressed):
    stored = json.loads((compressed / "table.json").read_text())
    network = load_package(compressed / "package")
    rows = compression_table(network, compressed / "package", layer_sizes(build_lenet()))
    assert stored["layers"] == to_json(rows) and stored["accuracy"] == network.metadata["accuracy"]
    last = rows[-1]
    assert last.name == "total" and last.weights + last.biases == 13242 and last.dense == 4 * 13242
    arrays = [path for path in (compressed / "package").glob("*.npy") if not path.name.startswith("golden")]
    files = sum(path.stat().st_size for path in arrays)
    assert last.stored == files == sum(size.stored for size in stored_bytes(compressed / "package"))
    assert last.shared < last.pruned < last.dense and rows[-2].name == "output" and rows[-2].stored > 2 * 128
    constants = ("multiplier", "shift", "scale", "offset")
    assert last.stored - last.huffman == sum(
        path.stat().st_size - (0 if path.stem.split(".")[-1] in constants else np.load(path).nbytes) for path in arrays
    )
    folder = files + (compressed / "package" / "manifest.json").stat().st_size
    assert f"the folder takes {folder:,}: {last.dense / folder:.1f}x" in (compressed / "table.md").read_text()


def test_an_interruption_behind_the_last_epoch_is_made_good(compressed, trained, digits_folder, tmp_path, monkeypatch):
    """While the curves are drawn: the picture comes, and what is of use only to a resumption goes."""
    arguments = [
        "compress",
        str(trained),
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "c"),
        "--resume",
        *QUICK,
    ]
    for name in ("prune 2/2", "tune", "share"):
        with monkeypatch.context() as patch:

            def interrupted(history, path, title, name=name):
                if title.endswith(f": {name}"):
                    raise KeyboardInterrupt
                plot_history(history, path, title)

            patch.setattr("host_train.compression.pipeline.plot_history", interrupted)
            assert main(arguments) == 130
    assert main(arguments) == 0
    files, whole = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "c", compressed)
    )
    assert files == whole
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")


def test_shared_weights_of_a_pruning_that_is_gone_are_refused(compressed, trained, digits_folder, tmp_path, capsys):
    shutil.copytree(compressed, tmp_path / "c")
    shutil.rmtree(tmp_path / "c" / "prune")
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume", *QUICK]
    assert main(["compress", *arguments]) == 1
    assert f"{tmp_path / 'c' / 'share'} is of an earlier pruning; put it aside (--force)" in capsys.readouterr().err


def test_a_sweep_interrupted_in_its_first_point_is_of_its_run(trained, digits_folder, tmp_path):
    run = Run.open(trained, digits_folder)
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(model, train, validation, schedule, folder, **options):
            if schedule.epochs == 1:
                folder.mkdir()
                (folder / "checkpoint.pt").write_bytes(b"")
            raise KeyboardInterrupt

        patch.setattr("host_train.compression.sweep.fit", interrupted)
        for epochs in (2, 1):  # that of two has not come as far as a checkpoint, and blocks nothing
            with pytest.raises(KeyboardInterrupt):
                sweep(run, tmp_path, [1.0], epochs=epochs)
    with pytest.raises(ArgumentError, match="of another sweep"):
        sweep(replace(run, settings=replace(run.settings, seed=9)), tmp_path, [1.0], epochs=1)


def test_absolute_thresholds_by_the_command_line(trained, digits_folder, tmp_path, capsys):
    where = [str(trained), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    assert main(["sweep", *where, "--out", str(tmp_path / "s"), "--absolute", "--thresholds", "0.01", "0.1"]) == 0
    points = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    dense = dense_model(Run.open(trained, digits_folder))
    for point in points:
        left = sum(int((layer.weight.abs() >= point["threshold"]).sum()) for layer in weighted_layers(dense).values())
        assert point["sparsity"] == pytest.approx(1 - left / 13188)
    assert main(["sweep", *where, "--out", str(tmp_path / "s"), "--thresholds", "0.01"]) == 1
    assert "of another sweep" in capsys.readouterr().err
    quick = ["--rounds", "1", "--round-epochs", "1", "--tune-epochs", "1"]
    assert main(["prune", *where, "--out", str(tmp_path / "p"), "--absolute", "--threshold", "0.1", *quick]) == 0
    stage = json.loads((tmp_path / "p" / "prune" / "stage.json").read_text())
    assert stage["keep"] == threshold_keep(dense, 0.1, absolute=True)
    assert "--threshold 0.1 --absolute" in (tmp_path / "p" / "prune" / "command.txt").read_text()


def test_the_experiment_step_by_step(trained, digits_folder, tmp_path, capsys, monkeypatch):
    words = ["experiment", str(trained), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    words += ["--out", str(tmp_path / "e"), "--epochs", "1", "--thresholds", "0.02", "0.1"]
    with monkeypatch.context() as patch:
        patch.setattr("host_train.compression.experiment.plain", lambda model: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(words)
        begun = (tmp_path / "e" / "threshold-0.1" / "weights.pt").stat().st_mtime_ns
    assert main(words) == 0  # goes on behind the second threshold
    assert (tmp_path / "e" / "threshold-0.1" / "weights.pt").stat().st_mtime_ns == begun
    steps = json.loads((tmp_path / "e" / "experiment.json").read_text())["steps"]
    assert [step["name"] for step in steps] == ["trained", "threshold 0.02", "threshold 0.1", "2 bits"]
    assert steps[0]["kept"] == 1 > steps[1]["kept"] > steps[2]["kept"] >= steps[3]["kept"]
    assert steps[2]["before"] <= steps[1]["after"] and min(step["after"] for step in steps) > 0.3
    text = capsys.readouterr().out
    assert "| 2 bits" in text and "93.85 %" in text and "of the weights kept" in text
    assert main([*words[:-2], "0.02"]) == 1
    assert "of another experiment" in capsys.readouterr().err
    assert main([*words[:-2], "0.2", "0.1"]) == 1
    assert "thresholds must ascend" in capsys.readouterr().err


def test_commands_say_numbers_as_they_were_given():
    args = make_parser().parse_args(["compress", "r", "--target", "100", "--learning-rate", "0.00123456789"])
    assert (
        command_line(args, "lenet5")
        == "python -m host_train compress runs/lenet5 --target 100 --learning-rate 0.00123456789"
    )


def test_a_sweep_is_measured_resumed_and_plotted(trained, digits_folder, tmp_path, capsys):
    arguments = ["sweep", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "s"), "--epochs", "1"]
    assert main([*arguments, "--thresholds", "0", "1.5"]) == 0
    before = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    assert main([*arguments, "--thresholds", "0", "1", "1.5"]) == 0
    assert capsys.readouterr().out.count("threshold  1.500") == 1
    points = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    assert [points[0], points[2]] == before and [point["threshold"] for point in points] == [0, 1, 1.5]
    assert points[0]["sparsity"] == 0 and points[0]["sparsity"] < points[1]["sparsity"] < points[2]["sparsity"]
    run = Run.open(trained, digits_folder)
    model = dense_model(run)
    prune_to(model, threshold_keep(model, 1.0))
    left = sum(count for count, _ in kept(model).values())
    assert points[1]["sparsity"] == 1 - left / sum(size for _, size in kept(model).values())
    data = run.tensors(run.validation)
    with torch.no_grad():
        right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in data.batches())
    assert points[1]["accuracy"] == right / len(data)
    names = ("threshold-accuracy", "threshold-sparsity", "sparsity-accuracy")
    assert all((tmp_path / "s" / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert main([*arguments[:-1], "2", "--thresholds", "0"]) == 1
    assert "of another sweep" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="no thresholds"):
        sweep(run, tmp_path, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compress", "RUN", "--keep", "fc1=x"], "--keep fc1=x: 'x' is not a number"),
        (
            ["compress", "RUN", "--keep", "fc9=0.1"],
            "keep names the layer 'fc9'; the layers with weights are conv1, conv2, fc1, fc2",
        ),
        (["compress", "RUN", "--bits", "2.5"], "--bits 2.5: '2.5' is not a number"),
        (["compress", "RUN", "--bits", "fc1=12"], "from 2 to 8, not 12"),
        (["compress", "RUN", "--target", "1000"], "can be asked for"),
        (["prune", "RUN", "--keep", "0.1", "--threshold", "1"], "give one of them"),
        (["prune", "RUN", "--threshold", "-1"], "must not be negative"),
        (["prune", "RUN", "--rounds", "0"], "rounds must be"),
        (["prune", "RUN", "--device", "abacus"], "--device abacus cannot be used"),
        (["prune", "OTHER"], "is no run"),
        (["sweep", "RUN", "--thresholds", "-1"], "must not be negative"),
        (["sweep", "RUN", "--absolute"], "give them by --thresholds"),
        (["prune", "RUN", "--absolute"], "--absolute says how --threshold is meant"),
        (["experiment", "RUN", "--bits", "1"], "from 2 to 8, not 1"),
        (["sweep", "RUN", "--epochs", "-1"], "epochs must be"),
        (["sweep", "RUN", "--device", "meta"], "--device meta cannot be used"),
        (["share", "OTHER"], "is no run"),
        (["huffman", "OTHER"], "is no run"),
    ],
)
def test_mistakes_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, message):
    places = {"RUN": str(trained), "OTHER": str(tmp_path / "OTHER")}
    words = [places.get(word, word) for word in arguments]
    assert main([*words, "--data-dir", str(digits_folder), "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err


def test_a_plain_part_is_for_the_layers_not_named(trained, digits_folder, tmp_path, capsys):
    """Over the recipe, which names them all."""
    words = [
        "--keep",
        "fc1=0.1",
        "--threads",
        "1",
        "--rounds",
        "1",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "1",
        "--quiet",
    ]
    assert main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *words]) == 0
    keep = json.loads((tmp_path / "c" / "prune" / "stage.json").read_text())["keep"]
    assert keep == {**find_compression("lenet").keep, "fc1": 0.1}
    words[:2] = ["--keep", "fc1=0.1", "0.7"]
    assert main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "d"), *words]) == 0
    keep = json.loads((tmp_path / "d" / "prune" / "stage.json").read_text())["keep"]
    assert keep == {"conv1": 0.7, "conv2": 0.7, "fc1": 0.1, "fc2": 0.7}


def test_a_damaged_stage_is_named(trained, digits_folder, tmp_path, capsys):
    (tmp_path / "c" / "prune" / "tune").mkdir(parents=True)
    (tmp_path / "c" / "prune" / "tune" / "checkpoint.pt").write_bytes(b"")
    (tmp_path / "c" / "prune" / "stage.json").write_text("{")
    assert (
        main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume"]) == 1
    )
    assert "stage.json cannot be read" in capsys.readouterr().err


def test_binary_networks_are_refused(trained, digits_folder):
    from host_train.networks.vgg_bnn import VGG_BNN_HALF

    run = Run.open(trained, digits_folder)

    class Binary(Run):
        def float_model(self):
            return VGG_BNN_HALF.build()

    with pytest.raises(ArgumentError, match="has binary weights"):
        dense_model(Binary(run.folder, run.settings, run.recipe, run.dataset, run.train, run.validation))


def test_networks_that_cannot_be_folded_are_refused():
    with pytest.raises(NetworkError, match="Sigmoid"):
        fold(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()))


@pytest.mark.slow
def test_a_short_compression_on_real_digits(tmp_path, monkeypatch):
    """Ten epochs in all: a fifth of the weights in 4 bits costs less than two points."""
    monkeypatch.delenv("PYNQ_CNN_DATA")
    assert main(["train", "lenet", "--out", str(tmp_path), "--epochs", "4", "--qat-epochs", "0", "--quiet"]) == 0
    words = [
        "--keep",
        "fc1=0.2",
        "--rounds",
        "3",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "2",
        "--share-epochs",
        "1",
        "--quiet",
    ]
    assert main(["compress", str(tmp_path), *words]) == 0
    accuracy = load_package(tmp_path / "compressed" / "package").metadata["accuracy"]
    assert accuracy["integer_top1"] > accuracy["float32_top1"] - 0.02 and accuracy["images"] == 10000
    assert abs(accuracy["integer_top1"] - accuracy["shared_top1"]) < 0.003
