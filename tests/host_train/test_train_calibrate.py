"""Calibration: steps of activations and of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quantising import GREY, small_net

from host_train.quantisation.calibrate import METHODS, calibrate, step_max, step_mse, step_percentile
from host_train.quantisation.fake import fake_quantise_bytes, fake_quantise_weight, weight_steps
from host_train.quantisation.fold import fold
from host_train.quantisation.layers.relu import QuantisedReLU
from pynq_cnn.errors import ArgumentError, NetworkError


def test_steps_follow_the_values():
    counts, width = np.zeros(8192), 0.01
    counts[:100] = 1000
    assert step_max(counts, width) == pytest.approx(100 * width / 255)
    counts[5000] = 1  # one value far out: kept by max, clipped by the others
    assert step_max(counts, width) == pytest.approx(5001 * width / 255)
    assert step_percentile(counts, width) == pytest.approx(100 * width / 255, rel=0.02)
    assert step_mse(counts, width) < step_max(counts, width)


def test_mse_step_has_the_least_error_of_all_methods():
    generator = np.random.default_rng(0)
    values = np.abs(generator.standard_t(3, 100_000))
    counts, width = np.histogram(values, 8192, (0, values.max()))[0], values.max() / 8192
    errors = {}
    for name, method in METHODS.items():
        step = method(counts, width)
        errors[name] = ((np.clip(np.rint(values / step), 0, 255) * step - values) ** 2).mean()
    assert errors["mse"] <= min(errors.values()) * 1.001 and errors["mse"] < errors["max"]


def test_calibration_refuses_what_it_cannot_use():
    folded = fold(small_net(GREY))
    with pytest.raises(ArgumentError, match="max, percentile, mse"):
        calibrate(folded, [torch.zeros(1, 1, 12, 12)], GREY.std, "median")
    with pytest.raises(ArgumentError, match="no images"):
        calibrate(folded, [], GREY.std)
    with torch.no_grad():
        folded[0].bias[0] = float("nan")
    with pytest.raises(NetworkError, match="0_2 gives nan"):
        calibrate(folded, [torch.zeros(1, 1, 12, 12)], GREY.std)


def test_fake_weights_are_on_the_grid_with_its_ends_used():
    weight, gain = torch.randn(5, 3, 3, 3), torch.tensor([1.0, 2.0, 0.5]).reshape(1, -1, 1, 1)
    units = fake_quantise_weight(weight, gain) * gain / weight_steps(weight * gain).reshape(-1, 1, 1, 1)
    assert torch.allclose(units, units.round(), atol=1e-3)
    assert units.round().abs().amax((1, 2, 3)).tolist() == [127.0] * 5


@pytest.mark.parametrize("zero_point", [0, 77, 255])
def test_values_and_gradients_on_the_grid_are_those_of_pytorch(zero_point):
    """Its own fake quantisation is exact as well, and slower: to the last bit the same."""
    generator = torch.Generator().manual_seed(zero_point)
    for step in (0.3, 0.0123, 2.0**-20):
        ours = torch.randn(20_000, generator=generator) * 200 * step
        ours[:600] = (torch.arange(600) - 300) * step / 2  # whole numbers and halves
        theirs = ours.clone().requires_grad_()
        ours.requires_grad_()
        gradient = torch.randn(20_000, generator=generator)
        made = fake_quantise_bytes(ours, torch.tensor(step), zero_point)
        wanted = torch.fake_quantize_per_tensor_affine(theirs, step, zero_point, 0, 255)
        for values in (made, wanted):
            values.backward(gradient)
        assert torch.equal(made, wanted) and torch.equal(ours.grad, theirs.grad)
    weight, gain = torch.randn(7, 3, 3, 2, generator=generator), torch.ones(1)
    zeros = torch.zeros(7, dtype=torch.int32)
    wanted = torch.fake_quantize_per_channel_affine(weight, weight_steps(weight), zeros, 0, -127, 127)
    assert torch.equal(fake_quantise_weight(weight, gain), wanted)


def test_gradients_pass_straight_through_but_not_where_clipped():
    x = torch.tensor([-3.0, 0.7, 100.0, 1000.0], requires_grad=True)
    QuantisedReLU(1.0)(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
    weight = torch.randn(4, 6, requires_grad=True)
    fake_quantise_weight(weight, torch.ones(1)).sum().backward()
    assert torch.equal(weight.grad, torch.ones(4, 6))
