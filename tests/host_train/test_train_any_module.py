"""Functions that walk a model's layers take any `nn.Module`: modules in modules, functions between them, names like
`features.0`.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from host_train import from_torch
from host_train.compression.prune import describe_kept, kept, masked, plain, prune_to, threshold_keep, weighted_layers
from host_train.compression.recipe import CompressionRecipe
from host_train.compression.share import codebook, share, unshared
from host_train.layers.binary import BinaryLinear
from host_train.networks.profile import profile
from host_train.quantisation.calibrate import calibrate, quantisable
from host_train.quantisation.fold import fold
from host_train.spectrum.study import as_planes, spectra
from host_train.tracing.trace import trace
from pynq_cnn.errors import ArgumentError, NetworkError

NAMES = ["features.0", "block.conv", "block.inner.0", "classifier.1"]
SIZES = {"features.0": 6 * 27, "block.conv": 8 * 54, "block.inner.0": 8 * 72, "classifier.1": 10 * 8 * 25}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 8, 3, padding=1, bias=False)
        self.inner = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(F.relu(self.conv(x)))


class Nested(nn.Module):
    """The first layer that is called is not the first that is made."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
            self.block = Block()
            self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(8 * 25, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.block(F.max_pool2d(self.features(x), 2)))


def images(count: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, 10, 10, generator=torch.Generator().manual_seed(0))


def test_layers_in_modules_are_found_by_their_full_names():
    model = Nested().eval()
    assert list(weighted_layers(model)) == NAMES
    assert kept(model) == {name: (size, size) for name, size in SIZES.items()}
    assert all(name in describe_kept(model) for name in NAMES)
    assert threshold_keep(model, 0) == dict.fromkeys(NAMES, 1.0) and all(
        0 < part < 0.6 for part in threshold_keep(model, 1.0).values()
    )


def test_one_layer_is_pruned_by_its_full_name():
    model = Nested()
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    prune_to(model, {"features.0": 0.1})
    assert kept(model) == {**{name: (size, size) for name, size in SIZES.items()}, "features.0": (16, 162)}
    largest = before["features.0"].abs().flatten().topk(16).values.min()
    assert torch.equal(model.features[0].weight != 0, before["features.0"].abs() >= largest)
    prune_to(model, {"block.inner.0": 0.5, "*": 0.25})
    assert {name: left for name, (left, _) in kept(model).items()} == {
        "features.0": 16,
        "block.conv": 108,
        "block.inner.0": 288,
        "classifier.1": 500,
    }
    assert plain(model) is model and not any("mask" in name for name in model.state_dict())
    assert torch.isfinite(model(images())).all()


@pytest.mark.parametrize("name", ["features", "features.1", "fc", "classifier_1", "Features.0"])
def test_unknown_names_are_errors_that_list_the_known_ones(name):
    known = "the layers with weights are features.0, block.conv, block.inner.0, classifier.1"
    model = Nested()
    for fails in (lambda: prune_to(model, {name: 0.5}), lambda: share(model, {name: 3}, (1.0,))):
        with pytest.raises(ArgumentError, match=rf"names the layer '{name}'; {known}"):
            fails()
    with pytest.raises(ArgumentError, match=known):
        CompressionRecipe(keep={name: 0.5}).layers(weighted_layers(model))
    assert list(model.state_dict()) == list(Nested().state_dict())  # nothing was done by halves


def test_amounts_are_checked_where_they_enter():
    for part in (0, 1.5, -1, float("nan"), True, "half"):
        with pytest.raises(ArgumentError, match="part of block.conv to keep"):
            prune_to(Nested(), {"features.0": 0.5, "block.conv": part})
    for bits in (1, 9, 2.0, True):
        with pytest.raises(ArgumentError, match="bits of block.conv"):
            share(Nested(), {"features.0": 3, "block.conv": bits}, (1.0,))


def test_what_is_no_mapping_is_told():
    for fails in (lambda: prune_to(Nested(), 0.1), lambda: share(Nested(), 3, (1.0,))):
        with pytest.raises(ArgumentError, match=r"must have a value for each layer by its name, such as \{'\*': ...\}"):
            fails()


def test_shared_weights_are_not_pruned():
    model = share(Nested(), {"block.conv": 3}, (1.0,))
    with pytest.raises(ArgumentError, match="weight of block.conv is parametrised, such as by sharing; prune first"):
        prune_to(model, {"*": 0.5})
    assert not any("mask" in name for name in model.state_dict())


def test_other_modules_with_weights_are_named():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), BinaryLinear(3, 2))
    with pytest.warns(UserWarning, match=r"not 0 \(Embedding\), 2 \(BinaryLinear\)"):
        prune_to(model, {"*": 0.5})
    assert kept(model) == {"1": (6, 12)}
    with pytest.warns(UserWarning, match=r"not 0 \(Embedding\), 2 \(BinaryLinear\)"):
        share(plain(model), {"*": 2}, (1.0,))
    for fails in (lambda one: prune_to(one, {}), kept, masked, lambda one: threshold_keep(one, 1.0)):
        with pytest.raises(ArgumentError, match="Sequential has no convolution and no linear layer"):
            fails(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))


def test_convolutions_of_every_kind_and_a_layer_alone_are_pruned():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Conv3d(1, 2, 2), nn.ConvTranspose2d(2, 2, 2))
    prune_to(model, {"*": 0.5})
    assert kept(model) == {"0": (12, 24), "1": (8, 16), "2": (8, 16)}
    alone = nn.Linear(4, 2)
    prune_to(alone, {"": 0.5})
    assert kept(alone) == {"": (4, 8)}
    share(plain(alone), {"*": 2}, (0.5,))
    assert unshared(alone).weight.shape == (2, 4)


def test_weights_are_shared_in_nested_modules_and_come_out_plain():
    model = Nested().eval()
    prune_to(model, {"*": 0.5})
    zeros = {name: layer.weight == 0 for name, layer in weighted_layers(plain(model)).items()}
    share(model, {"block.conv": 2, "*": 3}, (0.5,) * 3)
    for name, layer in weighted_layers(model).items():
        assert len(codebook(layer)) == (3 if name == "block.conv" else 7)
        assert torch.equal(layer.weight == 0, zeros[name])
    bare = unshared(model)
    assert type(bare) is Nested and type(bare.block.conv) is nn.Conv2d and bare.block.conv.bias is None
    assert bare.block.conv.padding == (1, 1)
    assert set(bare.state_dict()) == set(Nested().state_dict())
    assert torch.equal(bare(images()), model(images())) and bare.block.conv is not model.block.conv
    rounded = unshared(model, lambda values: torch.round(values * 8) / 8)
    assert (rounded.block.inner[0].weight * 8 % 1 == 0).all() and not torch.equal(rounded(images()), model(images()))
    assert torch.equal(unshared(model)(images()), model(images()))  # which is as it was


def test_layers_that_are_not_named_are_not_shared():
    model = share(Nested(), {"features.0": 2}, (1.0,))
    assert len(model.features[0].weight.unique()) <= 4 and len(model.block.conv.weight.unique()) > 400
    assert torch.equal(unshared(model).block.conv.weight, model.block.conv.weight)


def test_what_cannot_be_shared_is_told():
    model = masked(Nested())
    with pytest.raises(ArgumentError, match=r"features.0 has masks; take them off first"):
        share(model, {"*": 3}, (1.0,))
    share(plain(model), {"*": 3}, (1.0,))
    with pytest.raises(ArgumentError, match="features.0 is parametrised, or shared already"):
        share(model, {"*": 3}, (1.0,))
    with pytest.raises(ArgumentError, match="which layer of a Nested that is, is not known"):
        share(Nested(), {"*": 3}, (0.2, 0.3, 0.4))
    with pytest.raises(ArgumentError, match="which layer of a Block that is, is not known"):
        share(nn.Sequential(Block(), nn.Flatten(), nn.Linear(200, 10)), {"*": 3}, (0.2, 0.3, 0.4))


def test_the_first_layer_of_nested_sequentials_is_shared_as_the_integers_see_it():
    std = (0.2, 0.3, 0.4)
    model = nn.Sequential(
        nn.Sequential(nn.Identity(), nn.Sequential(nn.Conv2d(3, 4, 3))), nn.Flatten(), nn.Linear(16, 2)
    )
    share(model, {"*": 2}, std)
    first = model[0][1][0].weight
    assert len((first / torch.tensor(std).reshape(1, 3, 1, 1)).detach().round(decimals=5).unique()) <= 3
    assert len(first.detach().round(decimals=5).unique()) > 3


def test_pruned_and_shared_nested_networks_convert(tmp_path):
    model = Nested().eval()
    prune_to(model, {"*": 0.3})
    left = kept(model)
    share(plain(model), {"*": 3}, (1.0,) * 3)
    network = from_torch(model, images(40), name="nested", shared=True)
    weights = [layer.weight for layer in network.layers if hasattr(layer, "weight")]
    assert [int(np.count_nonzero(one)) for one in weights] <= [count for count, _ in left.values()]
    assert all(len(np.unique(one)) <= 8 for one in weights)


def test_spectra_see_layers_in_modules():
    model = Nested().eval()
    found = spectra(model, images())
    assert [one.name for one in found] == ["features_0", "block_conv", "block_inner_0", "classifier_1"]
    assert [one.weights.shape for one in found] == [(10, 10), (5, 5), (5, 5), (5, 5)]
    flat = nn.Sequential(
        model.features[0], nn.ReLU(), nn.MaxPool2d(2), model.block.conv, nn.ReLU(), model.block.inner[0], nn.ReLU()
    )
    flat.extend([nn.Flatten(), model.classifier[1]])
    for ours, theirs in zip(found, spectra(flat, images())):
        for field in ("weights", "one_image", "many_images"):
            assert np.allclose(getattr(ours, field), getattr(theirs, field))
    assert list(as_planes(nn.Sequential(nn.Sequential(nn.Conv2d(3, 2, 3))), (3, 8, 8))) == ["0_0"]


def test_spectra_see_what_a_layer_that_is_there_twice_does():
    relu = nn.ReLU()
    layers = [nn.Conv2d(1, 3, 3), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 2, 3)]
    twice = nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
    apart = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    x = torch.randn(6, 1, 9, 9)
    for ours, theirs in zip(spectra(twice, x), spectra(apart, x), strict=True):
        assert np.array_equal(ours.many_images, theirs.many_images)


def test_spectra_refuse_what_they_cannot_follow():
    class Residual(Nested):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = F.max_pool2d(self.features(x), 2)
            return self.classifier(y * y)

    with pytest.raises(NetworkError, match="mul: a product of two tensors"):
        spectra(Residual().eval(), images())


def test_layers_within_others_are_not_passed_over_in_quantising():
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten(), nn.Linear(256, 3)).eval()
    for fails in (lambda: calibrate(nested, [images()], (1.0,) * 3), lambda: quantisable(nested, (1.0,) * 3)):
        with pytest.raises(NetworkError, match="not folded: its 0 is a Sequential; give what .*fold makes of it"):
            fails()
    with pytest.raises(NetworkError, match="not folded: it is a Nested"):
        quantisable(Nested(), (1.0,) * 3)
    assert [type(one).__name__ for one in quantisable(fold(nested), (1.0,) * 3)][0] == "QuantisedConv2d"


def test_fold_says_how_to_come_by_a_sequence():
    model = Nested().eval()
    advice = r"make one of it first: host_train\.tracing\.trace\.trace\(model, images\)\.layers"
    with pytest.raises(NetworkError, match=rf"not Nested; {advice}"):
        fold(model)
    with pytest.raises(NetworkError, match=rf"1 is a Block with layers of its own.*{advice}"):
        fold(nn.Sequential(nn.Conv2d(3, 6, 3), Block()))
    folded = fold(trace(model, images(2)).layers)
    assert torch.allclose(folded(images()), model(images()), atol=1e-5)


def test_profile_counts_every_parameter():
    model = Nested()
    result = profile(model, "nested", (3, 10, 10))
    assert [layer.name for layer in result.layers] == NAMES and result.parameters == sum(
        p.numel() for p in model.parameters()
    )

    class Scaled(Nested):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.spare = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x * self.scale.reshape(1, 3, 1, 1)) @ torch.ones(10, 10)

    with pytest.warns(UserWarning) as told:
        profile(Scaled(), "scaled", (3, 10, 10))
    texts = [str(one.message) for one in told]
    assert len(texts) == 2 and "9 parameters of scaled are not in the table" in texts[0] and "Scaled, spare" in texts[0]
    assert "100 multiply-accumulates of scaled are not in the table" in texts[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = profile(nn.Sequential(nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 4, 2), nn.PReLU()), "other", (3, 5, 5))
    assert [(layer.kind, layer.parameters) for layer in other.layers] == [("BatchNorm2d", 6), ("ConvTranspose2d", 53)]
