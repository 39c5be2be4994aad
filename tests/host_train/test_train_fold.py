"""Folding: the same function in the layers that remain."""

from __future__ import annotations

import pytest
import torch
from quantising import COLOUR, GREY, normalised, pictures, small_net
from torch import nn

from host_train.quantisation.fold import fold
from pynq_cnn.errors import NetworkError


@pytest.mark.parametrize("spec", [GREY, COLOUR])
@pytest.mark.parametrize("seed", range(3))
def test_folding_changes_nothing(spec, seed):
    net = small_net(spec, seed)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    folded, x = fold(net), normalised(pictures(spec), spec)
    with torch.no_grad():
        assert torch.allclose(folded(x), net(x), rtol=1e-4, atol=1e-4)
    assert {type(layer) for layer in folded} == {nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear}
    assert [name for name, _ in folded.named_children()][:2] == ["0_0", "0_2"]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


C, R, L = nn.Conv2d, nn.ReLU, nn.Linear


UNMAPPABLE = {
    "no Sequential": (C(1, 1, 1), "must be a torch.nn.Sequential"),
    "empty": (nn.Sequential(), "not with nothing"),
    "no layer with weights": (nn.Sequential(nn.Flatten()), "not with 0"),
    "ends with a ReLU": (nn.Sequential(L(2, 2), R()), "not with 1"),
    "unknown layer": (nn.Sequential(C(1, 1, 1), nn.Sigmoid(), L(2, 2)), "1 is a Sigmoid"),
    "no ReLU": (nn.Sequential(C(1, 1, 1), C(1, 1, 1)), "0 has no ReLU"),
    "no ReLU, nested": (
        nn.Sequential(nn.Sequential(C(1, 1, 1), nn.MaxPool2d(2)), nn.Flatten(), L(2, 2)),
        "0_0 has no ReLU",
    ),
    "ReLU first": (nn.Sequential(R(), L(2, 2)), "0 does not follow"),
    "batch norm behind ReLU": (nn.Sequential(C(1, 1, 1), R(), nn.BatchNorm2d(1), L(2, 2)), "2 does not follow"),
    "batch norm first": (nn.Sequential(nn.BatchNorm2d(1), L(2, 2)), "0 does not follow"),
    "no statistics": (
        nn.Sequential(C(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False), R(), L(2, 2)),
        "track_running_stats",
    ),
    "groups": (nn.Sequential(C(2, 2, 1, groups=2), R(), L(2, 2)), "groups=2"),
    "dilation": (nn.Sequential(C(1, 1, 3, dilation=2), R(), L(2, 2)), "dilation"),
    "padding by name": (nn.Sequential(C(1, 1, 3, padding="same"), R(), L(2, 2)), "padding='same'"),
    "reflected padding": (nn.Sequential(C(1, 1, 3, padding=1, padding_mode="reflect"), R(), L(2, 2)), "padding_mode"),
    "padded pooling": (nn.Sequential(C(1, 1, 1), R(), nn.MaxPool2d(3, padding=1), L(2, 2)), "padding=1"),
    "oblong pooling": (nn.Sequential(C(1, 1, 1), R(), nn.MaxPool2d((3, 2)), L(2, 2)), r"kernel_size=\(3, 2\)"),
    "ceiling": (nn.Sequential(C(1, 1, 1), R(), nn.MaxPool2d(2, ceil_mode=True), L(2, 2)), "ceil_mode"),
    "partial flatten": (nn.Sequential(C(1, 1, 1), R(), nn.Flatten(2), L(2, 2)), "flattens dimensions 2"),
}


@pytest.mark.parametrize("name", UNMAPPABLE)
def test_the_first_layer_that_cannot_be_mapped_is_named(name):
    net, message = UNMAPPABLE[name]
    with pytest.raises(NetworkError, match=message):
        fold(net)
