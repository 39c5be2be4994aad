"""Cross-layer equalisation, bias correction, and training on a user's own images."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train import from_torch
from host_train.layers.residual import Residual
from host_train.quantisation.calibrate import calibrate
from host_train.quantisation.correct import channel_means, correct
from host_train.quantisation.equalise import equalised
from host_train.quantisation.fold import fold
from host_train.quantisation.graph import walk
from host_train.tracing.attempts import Attempt, closest
from host_train.tracing.fidelity import Fidelity
from host_train.tracing.fine_tune import fine_tuned
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec
from pynq_cnn.zoo import load_model


def smooth(n: int, channels: int = 1, side: int = 8, seed: int = 0) -> torch.Tensor:
    """Images in 0..1 whose neighbouring pixels have something in common."""
    small = torch.rand(n, channels, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(small, side, mode="bilinear")


def uneven(model: nn.Module, seed: int) -> nn.Module:
    """`model` with channels of all sizes: each output of a layer with weights times up to a thousand."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                factor = 10 ** (3 * torch.rand(len(layer.weight), generator=drawn))
                layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
                layer.bias *= factor
    return model


def chain(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.Conv2d(12, 6, 1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(96, 5))


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_it_is_the_same_function_with_alike_channels(seed):
    """In floating point nothing changes; the sizes of the channels of a layer's bytes are nearer to each other."""
    images = smooth(32, seed=seed)
    folded = fold(uneven(chain(seed), seed)).eval()
    made = equalised(folded, images.split(10))
    with torch.no_grad():
        real = folded(images)
        assert torch.allclose(made(images), real, rtol=1e-3, atol=1e-4 * float(real.abs().max()))

        def spread(model: nn.Sequential) -> float:
            found = []
            for name, layer, _, values in walk(model, images):
                if isinstance(layer, nn.ReLU) and name != "1":
                    sizes = values.amax((0, 2, 3)) if values.ndim == 4 else values.amax(0)
                    found.append(float(sizes.log()[sizes > 0].std(correction=0)) if (sizes > 0).any() else 0.0)
            return sum(found)

        assert spread(made) <= spread(folded) + 1e-6
    zeros = {name: value == 0 for name, value in folded.state_dict().items()}
    assert all(bool((made.state_dict()[name] == 0)[zero].all()) for name, zero in zeros.items())


def test_what_is_not_exact_is_left_alone():
    """Clamps, additions, and what several layers take of which one cannot be scaled."""
    torch.manual_seed(0)
    images = smooth(16)
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU6(), nn.Conv2d(4, 4, 1), nn.ReLU(), Residual(body), nn.Flatten())
    folded = fold(uneven(nn.Sequential(*model, nn.Linear(256, 3)), 1))
    made = equalised(folded, [images])
    changed = {
        name.split(".")[0]
        for name, value in made.state_dict().items()
        if not torch.equal(value, folded.state_dict()[name])
    }
    assert changed == {"4_body_0", "4_body_2"}  # before the ReLU6, and before the sum, all stays
    with torch.no_grad():
        assert torch.allclose(made(images), folded(images), rtol=1e-3)


def test_dead_channels_and_layers_do_no_harm():
    model = chain(0)
    with torch.no_grad():
        model[0].weight[3:], model[0].bias[3:] = 0, -1
        model[6].weight[:, 2] = 0
        model[5].weight.zero_(), model[5].bias.fill_(-1)
    folded = fold(model)
    made = equalised(folded, [smooth(8)])
    assert all(bool(torch.isfinite(value).all()) for value in made.state_dict().values())
    with torch.no_grad():
        assert torch.allclose(made(smooth(8)), folded(smooth(8)), atol=1e-5)


def test_biases_are_corrected_to_the_means_of_the_model():
    """The mean of every channel of the last sums over the images, against a computation of its own."""
    folded = fold(chain(3))
    images = smooth(64)
    form = calibrate(folded, [images], (1.0,), "max")
    before = copy.deepcopy(form.state_dict())
    made = copy.deepcopy(form)
    correct(made, channel_means(folded, images), images)
    with torch.no_grad():
        wanted, was, now = (model(images).mean(0) for model in (folded, form, made))
    assert torch.allclose(now, wanted, atol=1e-6) and float((was - wanted).abs().max()) > 1e-4
    different = {name for name, value in made.state_dict().items() if not torch.equal(before[name], value)}
    assert different and all(name.endswith("bias") for name in different)


@pytest.mark.parametrize(
    ("kind", "images", "chosen"),
    [
        ("softmax", 64, "closer"),  # 52 and 50 of 64 are the same but for chance
        ("softmax", 6400, "more often"),  # 5,200 and 5,000 of 6,400 are not
        ("values", 64, "more often"),  # what is called agreement there is an error itself
    ],
)
def test_of_those_that_agree_alike_but_for_chance_the_closest_is_taken(kind, images, chosen):
    network = load_model("lenet")
    network = replace(network, output=replace(network.output, kind=kind))
    told = {"more often": (0.8125, 0.171), "closer": (0.78125, 0.158), "closest": (0.7, 0.1)}
    attempts = [
        Attempt(label, network, np.zeros((1, 10)), Fidelity(images, agreement, error, 1.0))
        for label, (agreement, error) in told.items()
    ]
    assert closest(attempts).label == chosen
    assert closest(attempts, 0.8).label == "more often"  # where that will do, and nothing less
    assert closest(attempts, 0.99).label == chosen  # where nothing will
    exact = Attempt("all", network, np.zeros((1, 10)), Fidelity(images, 1.0, 0.3, 1.0))
    assert closest([*attempts, exact]) is exact
    but_one = Attempt("all but one", network, np.zeros((1, 10)), Fidelity(images, 1 - 1 / images, 0.2, 1.0))
    assert closest([*attempts, exact, but_one]) is (exact if kind == "values" else but_one)


def rough(seed: int) -> nn.Sequential:
    """A network with one large weight in each row, beside which the others have few of the 255 steps."""
    model = chain(seed)
    with torch.no_grad():
        for layer in (model[5], model[6], model[9]):
            layer.weight.flatten(1)[:, 0] *= 30
    return model


def test_training_on_own_images_brings_the_integers_closer():
    spec = InputSpec(8, 8, 1, "L", (0.0,), (1.0,))
    images = smooth(400)
    folded = fold(rough(0))
    form = calibrate(folded, [images], (1.0,), "max")
    before = copy.deepcopy(form.state_dict())
    made = fine_tuned(form, folded, images.split(20), spec, 10)
    assert all(torch.equal(before[name], value) for name, value in form.state_dict().items())
    with torch.no_grad():
        real = folded(images)
        was, now = (float((model(images) - real).square().mean()) for model in (form, made))
    assert now < 0.8 * was


def test_it_is_taken_only_where_it_is_closer():
    model, images = rough(0), smooth(200)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = {"name": "n", "min_agreement": 0}
    plain = from_torch(model, images, **options).metadata["conversion"]
    labelled = [(batch, torch.zeros(len(batch))) for batch in images.split(20)]
    found = from_torch(model, images, fine_tune=labelled, **options).metadata["conversion"]
    closer = (found["agreement"], -found["mean_error"]) > (plain["agreement"], -plain["mean_error"])
    assert found["method"] == plain["method"] + (", fine-tuned" if closer else "")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_train_is_told():
    model, images = chain(0), smooth(200)
    for batches, epochs, message in (
        ([], 1, "fine_tune gives no images in epoch 1"),
        ((batch for batch in images.split(100)), 2, "no images in epoch 2; give a DataLoader or a list"),
        ([images[:, :, :4]], 1, r"must be \(1, 8, 8\)"),
        (images.split(100), 0, "fine_tune_epochs must be an integer from 1, not 0"),
    ):
        with warnings.catch_warnings(), pytest.raises(ArgumentError, match=message):
            warnings.simplefilter("ignore")
            from_torch(model, images, name="n", fine_tune=batches, fine_tune_epochs=epochs)
