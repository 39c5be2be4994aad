"""Compression of a network of one's own."""

from __future__ import annotations

import pytest
import torch

from host_train import from_torch
from host_train.compression.dense import layer_sizes
from host_train.compression.own import prune_in_rounds, share_and_tune
from host_train.compression.prune import kept, weighted_layers
from host_train.compression.recipe import CompressionRecipe
from host_train.compression.share import codebook
from host_train.compression.subject import own_subject
from host_train.compression.sweep import sweep
from host_train.compression.table import compression_table
from host_train.frame import rows_of
from host_train.quantisation.fold import fold
from host_train.tracing.trace import trace
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import save_package

RECIPE = CompressionRecipe(
    {"*": 0.3}, {"*": 3}, rounds=2, round_epochs=1, tune_epochs=2, share_epochs=1, learning_rate=3e-3
)


def test_a_network_of_ones_own_is_pruned_shared_and_coded(subject, own_data, tmp_path):
    steps = []
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    pruned = prune_in_rounds(subject, RECIPE, progress=False, report=lambda name, record: steps.append(name))
    assert steps == ["prune 1/2", "prune 2/2", "tune", "tune"]
    assert kept(pruned) == {"features.0": (60, 200), "head": (1536, 5120)}
    assert subject.measure(pruned)[1] > 0.9
    shared = share_and_tune(subject, pruned, RECIPE, progress=False)
    assert all(len(codebook(layer)) <= 7 for layer in weighted_layers(shared).values())
    assert subject.measure(shared)[1] > 0.9
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())


def test_it_becomes_a_small_package(own_model, own_data, tmp_path):
    """Batch norm is folded first: it would scale the values that channels share."""
    images = own_data["train"][0]
    folded = fold(trace(own_model, images[:2]).layers)
    subject = own_subject(folded, own_data["test"], own_data["train"])
    shared = share_and_tune(subject, prune_in_rounds(subject, RECIPE, progress=False), RECIPE, progress=False)
    network = from_torch(shared, images[:200], name="mine", shared=True)
    save_package(network, tmp_path / "mine")
    rows = compression_table(network, tmp_path / "mine", layer_sizes(shared))
    assert rows[-1].dense == 4 * (200 + 8 + 5120 + 10) and rows[-1].dense / rows[-1].huffman > 12
    assert rows_of(rows)[0]["kept"] <= 60 and rows_of(rows)[-1]["name"] == "total"


def test_what_is_of_runs_is_refused(subject):
    for change in ({"units": {"head": 3}}, {"distillation": 0.5}):
        with pytest.raises(ArgumentError, match="is of the compression of a run"):
            prune_in_rounds(subject, CompressionRecipe(**change))
    with pytest.raises(ArgumentError, match="names the layer 'fc'; the layers with weights are features.0, head"):
        prune_in_rounds(subject, CompressionRecipe({"fc": 0.5}))


def test_a_sweep_of_ones_own_network(subject, own_model, own_data, tmp_path):
    points = sweep(subject, tmp_path, [0.5, 1.0, 3.0], epochs=1, progress=False)
    assert [point.threshold for point in points] == [0.5, 1.0, 3.0] and all(point.tuned is not None for point in points)
    assert points[0].accuracy > points[2].accuracy and points[2].sparsity > 0.9
    names = ("sweep.json", "threshold-accuracy.png", "threshold-sparsity.png", "sparsity-accuracy.png")
    assert all((tmp_path / name).is_file() for name in names)
    assert rows_of(points)[0]["layers.head"] == points[0].layers["head"]
    with pytest.raises(ArgumentError, match="has nothing to fine-tune on; give it train=, or epochs=0"):
        sweep(own_subject(own_model, own_data["test"]), tmp_path / "other", [1.0], epochs=1)
