"""Average pooling, in integers and on its grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from integers import lived_in, network_of, normalised, pictures, simulate
from torch import nn

from host_train.quantisation.calibrate import calibrate, quantisable
from host_train.quantisation.fold import fold
from host_train.quantisation.layers.bytes import QuantisedBytes
from host_train.quantisation.to_network import to_network
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec


def average_net(spec: InputSpec, kind: str) -> nn.Sequential:
    first = [nn.Conv2d(spec.channels, 6, 11, stride=4), nn.BatchNorm2d(6), nn.ReLU()]  # 47 x 43 to 10 x 9
    endings = {
        "global": [nn.MaxPool2d(3, 2), nn.Conv2d(6, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        "global, then linear": [nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(6, 5)],
        "overlapping": [
            nn.AvgPool2d(3, 2),
            nn.Conv2d(6, 5, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d((4, 4)),
            nn.Flatten(),
        ],
        "oblong": [nn.AvgPool2d((2, 3), (4, 3)), nn.Flatten(), nn.Linear(54, 5)],
        "no flatten": [nn.AvgPool2d((10, 9))],
        "convolution last": [nn.MaxPool2d(3, 2), nn.Conv2d(6, 5, (4, 4)), nn.Flatten()],
    }
    return lived_in(nn.Sequential(*first, *endings[kind]))


@pytest.mark.parametrize(
    "kind", ["global", "global, then linear", "overlapping", "oblong", "no flatten", "convolution last"]
)
@pytest.mark.parametrize("seed", range(2))
def test_averages_in_integers_are_pytorchs_to_the_last_bit(kind, seed):
    spec = InputSpec(47, 43, 3, "RGB", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = average_net(spec, kind)
    network, images = network_of(net, spec, seed), pictures(spec, 40, seed)
    accumulators = ReferenceBackend(network).run(images)
    assert np.array_equal(accumulators, simulate(network, images))
    with torch.no_grad():
        real = net(normalised(images, spec)).flatten(1).numpy()
    assert np.abs(network.logits(accumulators) - real).mean() < 0.05 * real.std()


def test_an_average_inside_is_trained_on_its_grid():
    spec = InputSpec(47, 43, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    net = average_net(spec, "global, then linear")
    images = pictures(spec, 60)
    x = normalised(images, spec)
    made = calibrate(fold(net), [x], spec.std, "max")
    average = next(layer for layer in made if isinstance(layer, QuantisedBytes))
    values: list[torch.Tensor] = []
    average.register_forward_hook(lambda _layer, _inputs, output: values.append(output / average.step))
    fake = made(x)
    assert torch.allclose(values[0], values[0].round(), atol=1e-3) and 200 < values[0].max() <= 255
    network = to_network(made, "test", spec, "abcde")
    error = np.abs(network.logits(ReferenceBackend(network).run(images)) - fake.detach().numpy())
    assert error.mean() < 0.02 * fake.std().item()
    fake.sum().backward()
    assert made[0].weight.grad.abs().sum() > 0
    again = quantisable(fold(net), spec.std)  # as a stored state is loaded
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(x), fake)


C, R = nn.Conv2d, nn.ReLU


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            nn.Sequential(C(1, 2, 3), R(), nn.AvgPool2d(3, padding=1, count_include_pad=False)),
            "2 is AvgPool2d.*use count_include_pad=True, or no padding",
        ),
        (nn.Sequential(C(1, 2, 3), R(), nn.AvgPool2d(3, ceil_mode=True)), "use ceil_mode=False"),
        (nn.Sequential(C(1, 2, 3), R(), nn.AdaptiveAvgPool2d(2)), "2 averages to 2; only to 1"),
        (nn.Sequential(C(1, 2, 3), R(), nn.MaxPool2d(2), nn.Flatten()), "must end with .* average pooling, not with 3"),
    ],
)
def test_averages_that_cannot_be_mapped_are_named(net, message):
    with pytest.raises(NetworkError, match=message):
        fold(net)
