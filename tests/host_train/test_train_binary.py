"""Binary networks: the layers' properties, and integers that answer as PyTorch does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from host_train.evaluation.evaluate import predict_integers, predict_torch  # noqa: E402
from host_train.networks.binary import BinaryConv2d, BinaryLinear, binarise, clip_latent_weights  # noqa: E402
from host_train.networks.vgg_bnn import CENTRE, build_vgg_bnn  # noqa: E402
from host_train.quantisation.bits import binary_to_network, thresholds  # noqa: E402
from pynq_cnn.errors import NetworkError  # noqa: E402
from pynq_cnn.model import InputSpec  # noqa: E402

SPEC = InputSpec(32, 32, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
CLASSES = tuple("0123456789")


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Batch norms as after training: any mean and variance, scales of either sign, some 0."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            n = len(module.weight)
            module.weight.data = torch.randn(n, generator=generator) * (torch.rand(n, generator=generator) > 0.1)
            module.bias.data = torch.randn(n, generator=generator) * 0.3
            module.running_mean = torch.randn(n, generator=generator) * 10
            module.running_var = torch.rand(n, generator=generator) * 500 + 1
    return model.eval()


@pytest.mark.parametrize("seed", range(3))
def test_integers_answer_as_pytorch(seed):
    """A whole vgg_bnn of 8 channels on random bytes: the same logits to the last bit of what float32 can hold."""
    torch.manual_seed(seed)
    model = randomise(build_vgg_bnn(8), seed)
    network = binary_to_network(model, "tiny", SPEC, CLASSES)
    images = np.random.default_rng(seed).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    ours, theirs = predict_integers(network)(images), predict_torch(model, SPEC.mean, SPEC.std)(images)
    assert len(np.unique(ours.round(3), axis=0)) > 1  # not all the same answer
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 500))
def test_thresholds_are_the_batch_norm_for_every_accumulator(seed, most):
    norm = randomise(nn.BatchNorm2d(8), seed)
    value, flip = thresholds(norm, most, 1.0)
    acc = np.arange(-most, most + 1)[:, None]
    ours = np.where(flip, -acc, acc) >= value
    with torch.no_grad():
        theirs = norm(torch.from_numpy(np.broadcast_to(acc, (len(acc), 8)).astype(np.float32))[:, :, None, None])[:, :, 0, 0] >= 0
    assert np.array_equal(ours, theirs.numpy())


def test_gradients_pass_the_sign_and_latent_weights_stay_in_range():
    layer = BinaryConv2d(2, 2, 3)
    before = layer.weight.detach().clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=100.0)
    layer(torch.randn(4, 2, 5, 5)).square().mean().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0
    optimiser.step()
    assert layer.weight.abs().max() > 1
    clip_latent_weights(layer)
    assert layer.weight.abs().max() <= 1 and not torch.equal(layer.weight, before)


def test_hardtanh_stops_the_gradient_outside():
    x = torch.tensor([-1.5, -0.5, 0.5, 1.5], requires_grad=True)
    binarise(nn.functional.hardtanh(x)).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_stochastic_weights_vary_in_training_only():
    layer = BinaryLinear(200, 3, stochastic=True)
    assert not torch.equal(layer.binary_weight(), layer.binary_weight())
    layer.eval()
    assert torch.equal(layer.binary_weight(), layer.binary_weight())
    assert torch.equal(layer.binary_weight(), torch.where(layer.weight >= 0, 1.0, -1.0))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(BinaryConv2d(3, 4, 3, input_step=1 / 128), nn.Hardtanh()), "0 must be followed by BatchNorm2d"),
        (nn.Sequential(BinaryConv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardtanh()), "needs an input_step"),
        (nn.Sequential(nn.Sigmoid()), "0 is a Sigmoid"),
        (nn.Sequential(BinaryConv2d(3, 4, 3, input_step=1 / 128), nn.BatchNorm2d(4), nn.Hardtanh()), "must end with a BinaryLinear"),
        (nn.Sequential(BinaryConv2d(3, 4, 3, input_step=1 / 64), nn.BatchNorm2d(4), nn.Hardtanh()), "input_step 1"),
    ],
)
def test_what_is_out_of_place_is_named(model, message):
    with pytest.raises(NetworkError, match=message):
        binary_to_network(model, "n", SPEC, CLASSES)
