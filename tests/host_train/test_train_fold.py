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
    "no statistics": (
        nn.Sequential(C(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False), R(), L(2, 2)),
        "track_running_stats",
    ),
    "reflected padding": (nn.Sequential(C(1, 1, 3, padding=1, padding_mode="reflect"), R(), L(2, 2)), "padding_mode"),
    "dilated pooling": (nn.Sequential(C(1, 1, 1), R(), nn.MaxPool2d(3, dilation=2), L(2, 2)), "dilation=2"),
    "more padding than kernel": (nn.Sequential(C(1, 1, 3, padding=3), L(2, 2)), "smaller than the kernel"),
    "partial flatten": (nn.Sequential(C(1, 1, 1), R(), nn.Flatten(2), L(2, 2)), "flattens dimensions 2"),
}


@pytest.mark.parametrize("name", UNMAPPABLE)
def test_the_first_layer_that_cannot_be_mapped_is_named(name):
    net, message = UNMAPPABLE[name]
    with pytest.raises(NetworkError, match=message):
        fold(net)
