"""The quality that a conversion states is looked at: the bound on agreement, the layer that loses it, and images
that say nothing.
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from host_train import from_torch
from host_train.data import Split
from host_train.evaluation.evaluate import evaluate
from host_train.quantisation.fold import fold
from host_train.tracing.compare import Comparison
from host_train.tracing.doubts import check_images, doubts
from host_train.tracing.fidelity import Fidelity, agreement, partings
from host_train.tracing.trace import trace
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import InputSpec, Network
from pynq_cnn.zoo import load_sample

IMAGES, LABELS = load_sample()
MEAN, STD = 0.1307, 0.3081
INPUTS = (torch.from_numpy(IMAGES)[:, None] / 255 - MEAN) / STD


def trained(model: nn.Module, epochs: int = 8) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.reset_parameters()
        optimiser, labels = torch.optim.Adam(model.parameters(), lr=0.003), torch.from_numpy(LABELS).long()
        for _ in range(epochs):
            for batch in torch.randperm(len(INPUTS)).split(50):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(INPUTS[batch]), labels[batch]).backward()
                optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def dense() -> nn.Sequential:
    return trained(nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)))


@pytest.fixture(scope="module")
def convolutional() -> nn.Sequential:
    layers = (
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 10),
    )
    return trained(nn.Sequential(*layers))


@pytest.fixture(scope="module")
def converted(dense, convolutional) -> list[Network]:
    """In integers, without a word said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [convert(model) for model in (dense, convolutional)]


def scaled(model: nn.Sequential, first: int, then: int, factor: float, channel: int = 3) -> nn.Sequential:
    """The same function: one channel of a layer times `factor`, the weights that read it divided by that."""
    changed = copy.deepcopy(model)
    state = changed.state_dict()  # shares its tensors
    state[f"{first}.weight"][channel] *= factor
    state[f"{first}.bias"][channel] *= factor
    state[f"{then}.weight"][:, channel] /= factor
    with torch.no_grad():
        assert torch.allclose(changed(INPUTS), model(INPUTS), rtol=1e-3, atol=1e-3)
    return changed


def clamped(model: nn.Sequential) -> nn.Sequential:
    """The same function with a bound so high that it does nothing, but keeps channels from being equalised."""
    return nn.Sequential(*(nn.Hardtanh(0, 1e9) if isinstance(layer, nn.ReLU) else layer for layer in model))


def convert(model: nn.Module, data=INPUTS, **options):
    return from_torch(model, data, name="n", mean=MEAN, std=STD, **options)


def test_a_sound_network_is_taken_and_nothing_is_said(converted):
    for network in converted:
        assert network.metadata["conversion"]["agreement"] > 0.98 and network.metadata["conversion"]["doubts"] == []


@pytest.mark.parametrize("factor", [3000, 1 / 3000])
def test_one_channel_scaled_in_an_equivalent_network_changes_nothing(dense, convolutional, converted, factor):
    for plain, model, then in zip(converted, (dense, convolutional), (1, 0)):
        other = convert(scaled(model, then, 3, factor))
        assert other.metadata["conversion"]["agreement"] > 0.98
        assert other.metadata["conversion"]["mean_error"] < 1.5 * plain.metadata["conversion"]["mean_error"]


def test_where_channels_cannot_be_equalised_it_is_refused_with_its_layer(dense, tmp_path):
    model = clamped(scaled(dense, 1, 3, 3000))
    with pytest.raises(
        NetworkError,
        match=r"answers as the model does on only .* % of the 500 calibration images, less than the 95 % asked for; "
        r"they part in layer 1, which loses .* its channel 3 is [0-9,]+ times as large .*min-agreement of 0$",
    ) as raised:
        convert(model, folder=tmp_path / "package")
    assert "\n" not in str(raised.value) and not (tmp_path / "package").exists()
    network = convert(model, min_agreement=0, folder=tmp_path / "package")
    assert network.metadata["conversion"]["agreement"] < 0.5 and (tmp_path / "package").exists()


def test_so_is_one_of_a_convolutional_network(convolutional):
    with pytest.raises(NetworkError, match=r"they part in layer 0, .*its channel 3 is [0-9,]+ times as large"):
        convert(clamped(scaled(convolutional, 0, 3, 1000)))


def test_the_layer_is_named_where_it_is_computed():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 10)

        def forward(self, x):
            x = torch.relu(self.first(x.flatten(1)))
            x = torch.clamp(self.second(x), 0, 1e9)  # here
            return self.third(x)

    model = trained(Mine())
    with torch.no_grad():
        model.second.weight[5] *= 1e4
        model.second.bias[5] = 1e4 * model.second.bias[5].abs()
        model.third.weight[:, 5] /= 1e4
    with pytest.raises(
        NetworkError,
        match=r"they part in layer second \(.*test_train_fidelity.py:\d+, `x = torch.clamp\(self.second\(x\), 0, 1e9\)",
    ):
        convert(model)


def test_partings_are_measured_by_hand(dense, converted):
    """The part that is lost of a layer's channels, against a computation of its own in floating point."""
    network = converted[0]
    folded = fold(trace(dense, INPUTS[:2]).layers)
    hidden, logits = partings(folded, network, IMAGES[:100, :, :, None])
    assert (hidden.name, logits.name) == ("1", "3")
    assert hidden.lost < 0.01 and logits.lost < 0.01
    with torch.no_grad():
        real = torch.relu(dense[1](INPUTS[:100].flatten(1)))
    peaks = real.max(0).values
    assert hidden.largest == int(peaks.argmax()) and hidden.uneven == pytest.approx(
        float(peaks.max() / np.median(peaks[peaks > 0])), rel=1e-3
    )
    rough = partings(
        fold(trace(clamped(scaled(dense, 1, 3, 3000)), INPUTS[:2]).layers),
        convert(clamped(scaled(dense, 1, 3, 3000)), min_agreement=0),
        IMAGES[..., None],
    )
    assert rough[0].lost > 0.9
    assert network.metadata["conversion"]["signal_to_noise"].keys() == {"1", "3"}
    (found,) = [one for one in partings(folded, network, IMAGES[:100, :, :, None]) if one.name == "3"]
    with torch.no_grad():
        real = dense(INPUTS[:100]).numpy().astype(np.float64)
    ours = network.logits(ReferenceBackend(network).run(IMAGES[:100, :, :, None]))
    assert found.decibels == pytest.approx(10 * np.log10((real**2).sum() / ((ours - real) ** 2).sum()), abs=1e-3)


def test_a_model_that_hardly_decides_is_told_so():
    """Two classes that differ by less than the integers' steps."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 2))
    with torch.no_grad():
        model[3].weight[1] = model[3].weight[0] + 1e-5 * torch.randn(32, generator=torch.Generator().manual_seed(0))
        model[3].bias.zero_()
    with pytest.raises(
        NetworkError, match="the model itself hardly tells its answers apart here; calibrate on images like those"
    ):
        convert(model)


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.9", None, True, float("nan")])
def test_a_bound_is_a_number_from_0_to_1(dense, value):
    with pytest.raises(ArgumentError, match="min_agreement must be a number from 0"):
        convert(dense, min_agreement=value)


@pytest.mark.parametrize(
    ("kind", "integer", "real", "expected"),
    [
        ("softmax", [[1, 2], [3, 1], [0, 0], [2, 1]], [[0, 1], [1, 3], [1, 0], [9, 1]], 0.75),
        ("sigmoid", [[1], [-1], [0], [2]], [[9], [-9], [-1], [-1]], 0.75),
        ("independent", [[1, 1], [1, -1], [-1, -1], [2, 2]], [[1, 1], [1, 1], [-1, 1], [3, 3]], 0.5),
        ("values", [[1.1, 0], [-0.9, 0]], [[1, 0], [-1, 0]], 0.9),
        ("values", [[90, 0], [-90, 0]], [[1, 0], [-1, 0]], 0.0),
        ("values", [[2.2]], [[2.0]], 0.9),
    ],
)
def test_agreement_of_every_kind(kind, integer, real, expected):
    assert agreement(np.array(integer, float), np.array(real, float), kind) == pytest.approx(expected)
    assert Fidelity.of(np.array(integer, float), np.array(real, float), kind).agreement == pytest.approx(expected)


NOISE = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)


def test_calibration_on_noise_is_told(dense):
    with pytest.warns(UserWarning, match="the calibration images look like noise") as warned:
        network = convert(dense, NOISE)
    assert warned[0].filename == __file__
    assert any("look like noise" in doubt for doubt in network.metadata["conversion"]["doubts"])


def test_images_of_one_answer_are_told(dense):
    with pytest.warns(UserWarning, match="the model gives the same answer for all .* calibration images"):
        with torch.no_grad():
            zeros = INPUTS[dense(INPUTS).argmax(1) == 0]
        convert(dense, zeros)


@pytest.mark.parametrize(
    "images", [np.zeros((20, 28, 28), np.uint8), torch.zeros(20, 1, 28, 28), np.full((1, 28, 28), 255, np.uint8)]
)
def test_images_of_one_colour_are_refused(dense, images):
    with pytest.raises(ArgumentError, match=r"all calibration images are of one colour, \[\d+\]"):
        convert(dense, images)


def test_a_normalisation_that_is_not_the_images_is_told(dense):
    for mean, std in ((MEAN, 1e-30), (33.3, 78.6), (MEAN, 78.6)):
        with pytest.warns(UserWarning, match="far from the normalisation that was given"):
            from_torch(dense, IMAGES, name="n", mean=mean, std=std, min_agreement=0)
    with pytest.warns(
        UserWarning,
        match="far from the normalisation that was given, mean 0.1307 and std 0.3081; both are of images in 0..1",
    ):
        convert(dense, 255 - IMAGES, min_agreement=0)


@pytest.mark.parametrize(("mean", "std"), [(MEAN, STD), (0.5, 0.5)])
def test_images_that_were_not_normalised_are_told(dense, mean, std):
    """Agreement is high, as both get the same wrong images; on real ones activations go out of the calibrated range."""
    with pytest.warns(UserWarning, match=rf"no pixel of the .* images is below the mean that was given, {mean}, as if"):
        from_torch(dense, torch.from_numpy(IMAGES)[:, None] / 255, name="n", mean=mean, std=std, min_agreement=0)


def test_few_images_are_told(dense):
    with pytest.warns(UserWarning, match="^there are only 15 calibration images, few to tell"):
        convert(dense, INPUTS[:15], min_agreement=0)
    assert convert(dense, INPUTS[:16], min_agreement=0).metadata["conversion"]["doubts"] == []


def of(images, mean=(0.1307,), std=(0.3081,)):
    spec = InputSpec(*images.shape[1:], "L" if images.shape[3] == 1 else "RGB", mean, std)
    return doubts(images, spec, np.eye(10)[np.arange(len(images)) % 10], "softmax")


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.1307,), (0.3081,)), ((0.5,), (0.5,)), ((0.0,), (1.0,)), ((0.485,), (0.229,)), ((0.286,), (0.353,))],
)
def test_real_images_by_normalisations_that_people_use_leave_no_doubt(mean, std):
    for count in (16, 500):
        assert of(IMAGES[:count, :, :, None], mean, std) == []


def test_small_images_leave_no_doubt_of_noise():
    """Of few pixels nobody can tell."""
    assert of(NOISE[:20, :4, :4]) == []
    assert of(NOISE[:20, :1, :1], (0.5,), (0.3,)) == []


def test_images_of_one_colour_each_are_told():
    flat = np.repeat(NOISE[:, :1, :1], 28, 1).repeat(28, 2)
    (doubt,) = of(flat, (0.5,), (0.3,))
    assert doubt.startswith("128 of 128 calibration images that were looked at are of one colour each")
    assert of(np.concatenate([flat[:20], IMAGES[:40, :, :, None]])) == []


def test_one_colour_is_known_by_more_than_a_pixel():
    with pytest.raises(ArgumentError):
        check_images(np.full((3, 1, 1, 3), 7, np.uint8))
    check_images(NOISE[:3, :1, :1])
    check_images(NOISE[:1, :1, :1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("mnist", (0.1307,), (0.3081,)),
        ("fashion_mnist", (0.286,), (0.353,)),
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    ],
)
def test_no_sample_of_a_published_data_set_is_doubted(name, mean, std):
    from host_train.data import load_dataset

    images = load_dataset(name).train.images
    generator = np.random.default_rng(0)
    for count in (16, 64):
        for _ in range(300):
            assert of(images[generator.integers(0, len(images), count)], mean, std) == []


def comparison(integer: list[int], real: list[int], labels: list[int]) -> Comparison:
    split = Split(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1), np.array(labels))
    return Comparison(
        *(evaluate(lambda images, one=one: np.eye(3)[one], split, tuple("abc")) for one in (integer, real))
    )


def test_integers_that_are_right_as_often_as_the_model_are_no_loss():
    """As those of a training that went on: they answer otherwise, but no worse."""
    better = comparison([0, 1, 2, 0, 1], [0, 2, 2, 1, 1], [0, 1, 2, 0, 1])
    assert better.agreement == 0.6
    better.check(0.95, list)
    worse = comparison([0, 2, 2, 1, 1], [0, 1, 2, 0, 1], [0, 1, 2, 0, 1])
    with pytest.raises(
        NetworkError, match="only 60.0 % of the 5 test images, less than the 95 % asked for; train it again"
    ):
        worse.check(0.95, list)
    worse.check(0.6, list)
