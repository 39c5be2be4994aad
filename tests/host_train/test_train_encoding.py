"""Shared values in integers, and the smallest encoding of each layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compressing import BITS, COLOUR, sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train.compression.encoding import encode_layers, encoded_bytes, quantised_forms, smallest, snap
from host_train.compression.share import codebook, share
from host_train.quantisation.to_network import to_network
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import BackendError
from pynq_cnn.model import (
    Conv2d,
    Dense,
    InputSpec,
    load_package,
    save_package,
)
from pynq_cnn.model.shared import SharedWeight


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
