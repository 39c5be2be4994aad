"""Networks whose weights are kept in frequency: the encoder, what each layer is given, and `export --storage`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_train.budget import spread
from host_train.cli import main
from host_train.data import Split
from host_train.spectrum import activations
from host_train.spectrum.activations import MapCodec, compare_maps, kept_maps, run_through
from host_train.spectrum.codec import CODINGS, through_columns
from host_train.spectrum.rates import WAYS
from host_train.spectrum.storage import SPACE, STEPS, Choice, choices, encode, kernels, stored
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import FrequencyWeight, load_package, stored_bytes
from pynq_cnn.model.package.frequency import pack
from pynq_cnn.zoo import load_model, load_sample, models


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return load_sample()[0][:40, ..., None]


@pytest.fixture(scope="module")
def measured() -> dict[str, list[Choice]]:
    """Every way to keep the layers of the shipped lenet."""
    network = load_model("lenet")
    images, _ = load_sample()
    sizes = {name: [size, SPACE] for name, size in kernels(network).items()}
    return choices(network, images[:64, ..., None], sizes, STEPS[::2], progress=False)


def test_kernels_are_what_slides_and_what_lies_before_a_fully_connected_layer():
    assert kernels(load_model("lenet")) == {"conv1": (3, 3), "conv2": (3, 3), "fc1": (7, 7), "fc2": (1, 1)}
    assert set(kernels(load_model("vgg_bnn_half"))) == {"conv1"}  # the others have bits


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1), (3, 3), (5, 5), (1, 4)]), st.integers(1, 3000))
def test_weights_come_back_within_the_step(seed, kernel, step):
    weight = np.random.default_rng(seed).integers(-127, 128, (5, *kernel, 3)).astype(np.int8)
    coded = encode(weight, kernel, step)
    planes = (coded.dense().astype(float) - weight).transpose(0, 3, 1, 2).reshape(-1, *kernel)
    # Half a step for each coefficient, half a weight for rounding, and what the basis is rounded by; clamped no more.
    bound = np.sqrt(kernel[0] * kernel[1]) * (coded.step / 32 + 0.5 + 0.1)
    assert np.sqrt((planes**2).sum((1, 2))).max() <= bound
    assert stored(coded) == sum(128 + len(array) for array in pack(coded)[1].values())


def test_more_bytes_make_less_error_and_go_where_they_gain_most(measured):
    before = None
    for budget in (4200, 5000, 6000, 8000, 12000):
        chosen = spread(measured, budget)
        size, error = sum(one.stored for one in chosen.values()), sum(one.error for one in chosen.values())
        assert budget * 0.8 < size <= budget or budget == 12000
        assert before is None or error < before
        before = error
        # No layer could change alone for less error within what is left.
        for name, some in measured.items():
            for one in some:
                fits = one.stored - chosen[name].stored <= budget - size
                assert not (fits and one.stored > chosen[name].stored and one.error < chosen[name].error)
    for step in (64, 128):  # one step for all layers takes as many bytes, and errs no less
        alike = [one for some in measured.values() for one in some if one.weight.step == step]
        alike = [one for one in alike if one.weight.kernel == SPACE]
        assert len(alike) == 4
        best = spread(measured, sum(one.stored for one in alike)).values()
        assert sum(one.error for one in best) <= sum(one.error for one in alike)
    with pytest.raises(ArgumentError, match="bytes are too few: with the largest steps the weights take"):
        spread(measured, 1000)


def test_export_in_frequency(digits_folder, tmp_path, capsys):
    words = ["export", "lenet", "--storage", "frequency", "--data-dir", str(digits_folder), "--dataset", "mnist"]
    assert main([*words, "--out", str(tmp_path / "p"), "--rate", "5", "--min-agreement", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "conv1" in out and "bits" in out and "test images" in out
    network = load_package(tmp_path / "p")
    assert all(isinstance(one.shared, FrequencyWeight) for one in network.layers if hasattr(one, "shared"))
    weights = 13188
    taken = sum(stored(one.shared) for one in network.layers if hasattr(one, "shared"))
    assert 0.9 * 5 * weights / 8 < taken <= 5 * weights / 8
    layers = {size.name: size.stored for size in stored_bytes(tmp_path / "p")}
    assert sum(layers.values()) < sum(size.stored for size in stored_bytes(models()["lenet"].path))
    stated = network.metadata["accuracy"]
    assert network.metadata["storage"] == {"form": "frequency", "rate": 5.0} and stated["agreement_with_it"] > 0.5
    assert main(["evaluate", str(tmp_path / "p"), "--data-dir", str(digits_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["integer_top1"]
    for bad, message in [
        (["--rate", "0"], "must be a number of bits above 0"),
        (["--rate", "0.5"], "are too few"),
        (["--format", "torchscript"], "TorchScript"),
        (["--storage", "time"], "must be frequency"),
    ]:
        assert main([*words, "--out", str(tmp_path / "q"), *bad]) == 1
        assert message in capsys.readouterr().err
    assert main(["export", "lenet", "--rate", "4", "--out", str(tmp_path / "q")]) == 1
    assert "are of --storage frequency" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_maps_are_those_between_layers_with_weights():
    assert kept_maps(load_model("lenet")) == ["pool1", "pool2"]
    assert kept_maps(load_model("nin"))[:2] == ["conv_1", "cccp1_1"]


def test_maps_come_back_and_the_next_layer_sees_them():
    network = load_model("lenet")
    images, labels = load_sample()
    images = images[:40, ..., None]
    exact = ReferenceBackend(network).run(images)
    assert np.array_equal(run_through(network, images, {}), exact)
    maps = ReferenceBackend(network).activations(images)[1]
    errors = {}
    for rate in (2, 8):
        for method in CODINGS:
            codec = MapCodec.of(maps, method, rate, 255)
            back = codec.through(maps)
            assert back.dtype == np.uint8 and back.shape == maps.shape and codec.bits <= rate
            errors[rate, method] = float(((back.astype(float) - maps) ** 2).sum() / (maps.astype(float) ** 2).sum())
            through = run_through(network, images, {"pool1": codec.through})
            assert np.array_equal(through, exact) == (method == CODINGS[0] and rate == 8)  # bytes are 8 bits
    # Maps of digits have their variance in few frequencies, where water-filling has its bits.
    assert errors[2, CODINGS[2]] < 0.5 * errors[2, CODINGS[1]]
    assert max(errors[8, method] for method in CODINGS) < min(errors[2, method] for method in CODINGS)
    bits = MapCodec.of((maps > 40).astype(np.uint8), CODINGS[0], 1, 1).through((maps > 40).astype(np.uint8))
    assert np.array_equal(bits, maps > 40)  # bits at one bit each are what they were


def test_in_space_what_relu_makes_0_stays_0(sample):
    """No level lies below 0, where no value is, and none beside it: most values are 0, and the next layer adds up what
    becomes of them.
    """
    maps = ReferenceBackend(load_model("lenet5")).activations(sample)[1]
    assert (maps == 0).mean() > 0.5
    errors = []
    for rate in range(1, 9):
        back = MapCodec.of(maps, CODINGS[0], rate, 255).through(maps)
        assert not back[maps == 0].any() and len(np.unique(back)) <= 1 << rate
        errors.append(float(((back.astype(float) - maps) ** 2).sum()))
    assert all(fine < rough / 2 for rough, fine in zip(errors, errors[1:]))


def test_in_space_maps_of_either_sign_have_levels_on_either_side(monkeypatch):
    """Shortcuts of a residual network have no ReLU: none of their values is near the byte 0, where a level was lost."""
    monkeypatch.setattr(activations, "CODINGS", CODINGS[:1])
    images, labels = load_sample("cifar10")
    (point,) = compare_maps(load_model("resnet8"), images[:8], Split(images[8:12], labels[8:12]), [1], progress=False)
    assert point.map_error < 0.42  # 0.49 with levels from 0 on: two of the eight maps are shortcuts'


@pytest.mark.parametrize("method", CODINGS)
def test_columns_at_once_are_as_each_by_its_group(method, sample):
    codec = MapCodec.of(ReferenceBackend(load_model("lenet")).activations(sample)[1], method, 2, 255)
    values = np.random.default_rng(0).normal(100, 90, (7, codec.height * codec.width))
    groups = codec.groups * (1 if len(codec.groups) > 1 else values.shape[1])
    each = np.stack([group.through(column) for group, column in zip(groups, values.T)], 1)
    assert np.array_equal(through_columns(codec.groups, values), each)


def test_rates_by_the_command_line(digits_folder, tmp_path, capsys):
    words = ["rates", "lenet", "--data-dir", str(digits_folder), "--dataset", "mnist", "--out", str(tmp_path / "r")]
    assert main([*words, "--rates", "4,8", "--images", "20", "--training", "8"]) == 0
    out = capsys.readouterr().out
    command = "python -m host_train rates lenet --rates 4,8 --images 20 --training 8 --dataset mnist"
    assert (tmp_path / "r" / "rates.md").read_text().startswith(f"`{command}`: lenet, the first 20 test images")
    assert "Weights, top-1" in out and "Feature maps, top-1" in out and "frequency, one step" in out
    for of, methods in (("weights", WAYS), ("maps", CODINGS)):
        table = np.load(tmp_path / "r" / f"{of}.npy")
        assert set(table["method"]) == set(methods) and set(table["rate"]) == {4, 8}
        assert (table["bits"] <= table["rate"]).all() and (table["logit_error"] >= 0).all()
        errors = {(row["rate"], row["method"]): row["logit_error"] for row in table}
        assert all(errors[8, method] < errors[4, method] for method in methods)
        assert len((tmp_path / "r" / f"{of}.csv").read_text().splitlines()) == 1 + len(table)
        assert (tmp_path / "r" / f"{of}.png").read_bytes().startswith(b"\x89PNG")
    for bad, message in [
        (["--rates", "9"], "from 1 to 8"),
        (["--rates", "x"], "separated by commas"),
        (["--images", "0"], "--images must be from 1"),
    ]:
        assert main([*words, *bad]) == 1
        assert message in capsys.readouterr().err
