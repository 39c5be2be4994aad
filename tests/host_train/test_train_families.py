"""Networks that nobody here wrote: the usual families of CIFAR-10 models, and torchvision's, come through unmodified or
are refused with advice.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, family, settled, smooth_images
from torch import nn

from host_train import from_torch
from host_train.tracing.trace import trace
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import NetworkError

# What these say is right: a family that comes through, or gets another message, is to leave this list.
REFUSED = {
    "senet": r"families\w*.py:\d+, `out = out \* w`: .*(gate|product).*",
    "efficientnet_like": r"families\w*.py:\d+, .*features.0.2: a SiLU cannot be mapped; use ReLU and train it again",
}
# Untrained networks give all images nearly the same logits: it is how images differ that integers must keep.
LEAST_CORRELATION = 0.9
# Of networks of fifty layers with random weights little is left of an image: ONNX Runtime's integers are as far off
# (benchmarks/conversion.py).
LEAST_OF_DEEP = {"mobilenet_v2": 0.4, "googlenet": 0.7}


def correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of logits [n, classes], each class less its mean over the images."""
    a, b = (values.astype(np.float64) - values.mean(0) for values in (ours, theirs))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


pytestmark = [
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
    pytest.mark.filterwarnings("error:.* does not fit the accelerator"),
]


def check_conversion(model: nn.Module, name: str, side: int = 32, images: int = 32) -> float:
    """Convert a model, which is compiled then, and hold what comes out against it on images that were not calibrated
    with; the correlation of the logits.
    """
    seen, held_back = smooth_images(images, side), smooth_images(images, side, seed=5)
    with torch.no_grad():
        theirs = model(held_back)
        found = trace(model, seen[:2]).layers(held_back).flatten(1)
        assert torch.allclose(found, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    network = from_torch(model, seen, name=name, min_agreement=0)
    octets = (held_back.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    with CpuBackend(network) as cpu:
        accumulators = cpu.run(octets)
    np.testing.assert_array_equal(accumulators[:8], ReferenceBackend(network).run(octets[:8]))
    return correlation(network.logits(accumulators), theirs.numpy())


@pytest.mark.parametrize("name", FAMILIES)
def test_families(name, record_property):
    model = family(name)
    if name in REFUSED:
        with pytest.raises(NetworkError, match=REFUSED[name]):
            from_torch(model, smooth_images(16), name=name)
        return
    found = check_conversion(model, name)
    record_property("correlation", found)
    assert found > LEAST_CORRELATION


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 224])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1", "googlenet"])
def test_torchvision(name, side, record_property):
    models = pytest.importorskip("torchvision.models")
    options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    model = settled(getattr(models, name)(num_classes=10, **options), smooth_images(32, side))
    found = check_conversion(model, name, side, 32 if side == 64 else 8)
    record_property("correlation", found)
    assert found > LEAST_OF_DEEP.get(name, LEAST_CORRELATION)
