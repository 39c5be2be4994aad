"""Every way to write a flattening, from PyTorch to integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_models import INPUTS, ONE_PIXEL, PICTURES, WAYS, Net, logits
from torch import nn

from host_train import from_torch
from host_train.tracing.trace import trace
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import AvgPool2d, Network


class Shaped(nn.Module):
    """Two convolutions, the second down to so many pixels, and a linear layer behind `flatten`."""

    def __init__(self, flatten, kernel: int = 6, inputs: int = 4, last: bool = True) -> None:
        super().__init__()
        self.conv, self.conv2, self.fc, self.flatten = (
            nn.Conv2d(1, 4, 3),
            nn.Conv2d(4, 4, kernel),
            nn.Linear(inputs, 3),
            flatten,
        )
        self.last = last

    def forward(self, x):
        x = self.flatten(F.relu(self.conv2(F.relu(self.conv(x)))))
        return self.fc(x) if self.last else x


def close(model: nn.Module, network: Network) -> None:
    with torch.no_grad():
        theirs = model.eval()(INPUTS).reshape(len(INPUTS), -1).numpy()
    assert np.abs(logits(network) - theirs).mean() < 0.03 * np.ptp(theirs)
    assert np.array_equal(KernelBackend(network).run(PICTURES), ReferenceBackend(network).run(PICTURES))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:the model gives the same answer")
def test_whatever_flattens_is_taken(way):
    flatten, kernel, inputs = WAYS[way]
    torch.manual_seed(3)
    model = Shaped(flatten, kernel, inputs)
    close(model, from_torch(model, PICTURES, name="n", method="max", min_agreement=0))


@pytest.mark.parametrize("way", ONE_PIXEL)
def test_logits_of_one_pixel_are_taken_however_that_is_dropped(way):
    torch.manual_seed(3)
    head = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 6))

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head

        def forward(self, x):
            return ONE_PIXEL[way](self.head(x))

    network = from_torch(Last(), PICTURES, name="n", method="max", min_agreement=0)
    assert [layer.name for layer in network.layers] == ["head_0", "head_2"]
    close(Last(), network)


POOLED = [
    lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    lambda: [nn.AdaptiveAvgPool2d((1, 1))],
    lambda: [nn.AvgPool2d(1), nn.Flatten()],
    lambda: [nn.Flatten(), nn.Unflatten(1, (4, 1, 1)), nn.AdaptiveAvgPool2d(1)],
]


@pytest.mark.parametrize("ending", range(len(POOLED)))
@pytest.mark.filterwarnings("ignore:the model gives the same answer")
def test_global_pooling_of_one_pixel_may_be_the_last_layer(ending):
    """There a network may end with a ReLU: the pooling gives the logits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 8), nn.ReLU(), *POOLED[ending]())
    network = from_torch(model, PICTURES, name="n", method="max", min_agreement=0)
    assert isinstance(network.layers[-1], AvgPool2d) and network.layers[-1].size == (1, 1)
    close(model, network)
    pooled = nn.Sequential(nn.Conv2d(1, 4, 7), nn.ReLU(), nn.MaxPool2d(2), *POOLED[ending]())
    close(pooled, from_torch(pooled, PICTURES, name="n", method="max", min_agreement=0))


def test_pooling_of_one_pixel_elsewhere_is_no_layer():
    for layers in (
        [nn.Conv2d(1, 4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        [nn.Conv2d(1, 4, 8), nn.AvgPool2d(1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
    ):
        kinds = [
            type(layer).__name__
            for layer in from_torch(nn.Sequential(*layers), PICTURES, name="n", method="max", min_agreement=0).layers
        ]
        assert "AvgPool2d" not in kinds


PARTS = {
    "a pixel": (lambda x: x[:, :, 0, 0], 4),
    "a channel": (lambda x: x[:, :1].flatten(1), 9),
    "a row by select": (lambda x: x.select(2, 1).flatten(1), 12),
    "a column": (lambda x: x[..., 2].flatten(1), 12),
    "another order": (lambda x: x[:, [3, 1, 2, 0]].flatten(1), 36),
    "rows together": (lambda x: (F.relu(x.flatten(2)) - 0.5).relu().flatten(1), 36),
    "channels together": (lambda x: F.relu(x.reshape(x.size(0), 2, 2, 9)).flatten(1), 36),
    "turned": (lambda x: x.transpose(2, 3).transpose(3, 2).flatten(1), 36),
}


@pytest.mark.parametrize("way", PARTS)
@pytest.mark.filterwarnings("ignore:the model gives the same answer")
def test_parts_of_images_are_taken(way):
    flatten, inputs = PARTS[way]
    torch.manual_seed(3)
    model = Shaped(flatten, 4, inputs)
    close(model, from_torch(model, PICTURES, name="n", method="max", min_agreement=0))


REFUSED = {
    "a part at the end": (lambda x: x[:, :, 0, 0], "must end with a Conv2d, a Linear"),
    "images together": (lambda x: x.reshape(1, -1), r"making \(1, 72\) of \(2, 4, 3, 3\) cannot be mapped"),
    "mirrored": (lambda x: F.avg_pool2d(x.flip(3), 3).flatten(1), "making .*no convolution; only whole channels"),
    "mean of channels": (lambda x: x.mean(1).flatten(1), "a mean over dimensions 1 of"),
    "mean of other rows": (lambda x: x.reshape(x.size(0), 9, 4).mean(2), r"making \(2, 9, 4\) of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_flatten_is_refused(case):
    flatten, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message) as raised:
        from_torch(Shaped(flatten, 4, 36, last=False), PICTURES, name="n")
    assert "test_train_flattening.py:" in str(raised.value) and "\n" not in str(raised.value)


def test_a_shape_that_the_logits_are_given_is_refused():
    with pytest.raises(NetworkError, match=r"making \(2, 2, 3\) of \(2, 6\) cannot be mapped"):
        from_torch(Net(6, lambda x: x.view(-1, 2, 3)), PICTURES, name="n", output="values")
    assert len(trace(Net(6, lambda x: x.view(-1, 6, 1)), INPUTS[:2]).layers) == 4
