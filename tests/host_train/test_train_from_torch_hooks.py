"""Hooks, which tracing does not see."""

from __future__ import annotations

import pytest
from own_models import IGNORE_NOISE, images
from torch import nn

from host_train import from_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign
from host_train.networks.vgg_bnn import CENTRE
from pynq_cnn.errors import NetworkError

pytestmark = IGNORE_NOISE


def hooked(kind: type[nn.Module]) -> nn.Module:
    """A model whose layer of this kind has a hook that changes its values."""
    if kind in (BinaryConv2d, BinaryLinear, nn.Hardtanh, Sign):
        model: nn.Module = nn.Sequential(
            *(
                BinaryConv2d(3, 8, 3, input_step=1 / 128),
                nn.BatchNorm2d(8),
                nn.Hardtanh(),
                Sign(),
                nn.Flatten(),
                BinaryLinear(800, 3),
            )
        )
    else:
        model = nn.Sequential(
            *(
                nn.Conv2d(3, 4, 3),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Dropout(),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.Linear(16, 3),
            )
        )
    layer = next(one for one in model if isinstance(one, kind))
    layer.register_forward_hook(lambda module, inputs, output: output.roll(1, 1) - 0.3)
    return model


WITH_HOOKS = [BinaryConv2d, BinaryLinear, nn.Hardtanh, Sign]
WITH_HOOKS += [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout, nn.AvgPool2d, nn.Flatten, nn.Linear]


@pytest.mark.parametrize("kind", WITH_HOOKS, ids=lambda kind: kind.__name__)
def test_what_the_trace_does_not_see_is_found_by_comparing(kind):
    with pytest.raises(NetworkError, match="gives something else than the layers that were found in it; it has a hook"):
        from_torch(hooked(kind), images(8, 3), name="n", mean=CENTRE, std=CENTRE)


def test_hooks_that_change_nothing_do_no_harm():
    seen, model = [], hooked(nn.ReLU)
    for layer in model:
        layer._forward_hooks.clear()
        layer.register_forward_hook(lambda module, inputs, output: seen.append(module))
    assert from_torch(model, images(8, 3), name="n").metadata["conversion"]["images"] == 8 and seen
