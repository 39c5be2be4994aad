"""The frequency study: the transform loses nothing, the allocation is optimal, what is encoded is decoded within its error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from digits import digit_arrays  # noqa: E402
from torch import nn  # noqa: E402

from host_train.data import Split  # noqa: E402
from host_train.networks.nin import build_nin  # noqa: E402
from host_train.networks.vgg_bnn import CENTRE, build_vgg_bnn  # noqa: E402
from host_train.quantisation.bits import binary_to_network  # noqa: E402
from host_train.quantisation.calibrate import calibrate  # noqa: E402
from host_train.quantisation.fold import fold  # noqa: E402
from host_train.quantisation.integers import to_network  # noqa: E402
from host_train.spectrum.allocate import reverse_water_filling, whole_bits  # noqa: E402
from host_train.spectrum.basis import RealFourier  # noqa: E402
from host_train.spectrum.codec import METHODS, EncodedWeight, Group, water_filling_rate  # noqa: E402
from host_train.spectrum.plots import plot_comparison, plot_spectra  # noqa: E402
from host_train.spectrum.study import as_planes, compare, spectra, with_weights  # noqa: E402
from host_train.spectrum.variance import activation_variance, coefficient_variance, weight_variance  # noqa: E402
from pynq_cnn.errors import ArgumentError  # noqa: E402
from pynq_cnn.model import InputSpec  # noqa: E402


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_basis_is_orthonormal(height, width, seed):
    basis = RealFourier(height, width)
    matrix = basis.forward(np.eye(height * width).reshape(-1, height, width))
    assert np.allclose(matrix @ matrix.T, np.eye(height * width))
    planes = np.random.default_rng(seed).normal(size=(3, height, width))
    assert np.allclose(basis.inverse(basis.forward(planes)), planes)
    assert len(set(basis.frequencies)) == (height * width + len(basis._places()[0])) // 2  # one of each conjugate pair


def test_variance_is_numpys():
    planes = np.random.default_rng(0).normal(size=(5000, 4, 6)) * np.linspace(1, 3, 6)
    transformed = np.fft.fft2(planes)
    assert np.allclose(coefficient_variance(planes), transformed.var(0))
    weight = planes[:12, :3, :3].reshape(3, 4, 3, 3)
    padded = np.zeros((12, 8, 9))
    padded[:, :3, :3] = weight.reshape(12, 3, 3)
    assert np.allclose(weight_variance(weight, (8, 9)), np.fft.fft2(padded).var(0))
    assert np.allclose(activation_variance(planes[:12].reshape(3, 4, 4, 6)), np.fft.fft2(planes[:12]).var(0))
    for wrong in (lambda: coefficient_variance(planes[0]), lambda: weight_variance(weight, (2, 9)), lambda: activation_variance(planes)):
        with pytest.raises(ArgumentError):
            wrong()


VARIANCES = st.lists(st.floats(0, 1e6).filter(lambda s: s == 0 or s > 1e-6), min_size=1, max_size=30).map(np.array)


@given(VARIANCES, st.floats(0, 8))
def test_water_filling_meets_the_rate_and_one_level(variance, rate):
    bits = reverse_water_filling(variance, rate)
    assert (bits >= 0).all()
    if variance.any():
        assert bits.mean() == pytest.approx(rate, abs=1e-9)
        filled = bits > 1e-9
        levels = variance[filled] / 4 ** bits[filled]  # what is left of each is the water level ...
        if rate > 1e-6:
            assert np.allclose(levels, levels[0], rtol=1e-6)
            assert (variance[~filled] <= levels[0] * (1 + 1e-6)).all()  # ... and what lies under water gets nothing


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=4).map(np.array), st.integers(0, 2))
def test_whole_bits_are_the_best_of_all_allocations(variance, rate):
    total = rate * len(variance)
    grids = np.stack(np.meshgrid(*[np.arange(total + 1)] * len(variance)), -1).reshape(-1, len(variance))
    best = (variance / 4.0 ** grids[grids.sum(1) == total]).sum(1).min()
    assert (variance / 4.0 ** whole_bits(variance, rate)).sum() == pytest.approx(best)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(METHODS))
def test_codec_error_falls_and_size_is_as_told(seed, size, method):
    weight = np.random.default_rng(seed).normal(size=(6, 5, size, size))
    errors = []
    for rate in (1, 3, 6):
        code = EncodedWeight.encode(weight, method, rate)
        assert sum(group.bits * len(group.codes) for group in code.groups) <= rate * weight.size
        assert code.stored_bits <= rate * weight.size + 68 * (size * size if method == METHODS[2] else 1)
        assert all(group.codes.max(initial=0) < 1 << max(group.bits, 1) for group in code.groups)
        errors.append(((code.decode() - weight) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]


def test_water_filling_beats_uniform_on_smooth_kernels():
    """Kernels whose variance lies in low frequencies: what the study proposes pays there, at equal code bits."""
    basis = RealFourier(5, 5)
    rng = np.random.default_rng(0)
    deviation = np.exp(-0.3 * np.minimum(basis.frequencies // 5, 5 - basis.frequencies // 5) - 0.8 * (basis.frequencies % 5))
    weight = basis.inverse(rng.normal(size=(400, 25)) * deviation).reshape(20, 20, 5, 5)
    error = {method: ((EncodedWeight.encode(weight, method, 3).decode() - weight) ** 2).sum() for method in METHODS}
    assert error[METHODS[2]] < 0.8 * error[METHODS[1]] and error[METHODS[2]] < 0.8 * error[METHODS[0]]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(2, 5), st.integers(1, 5)), min_size=1, max_size=3),
    st.integers(1, 8),
)
def test_methods_are_compared_at_equal_stored_bits(shapes, rate):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in shapes]
    own = water_filling_rate(shapes, rate)
    stored = {
        method: sum(EncodedWeight.encode(weight, method, own if method == METHODS[2] else rate).stored_bits for weight in weights)
        for method in METHODS
    }
    assert stored[METHODS[0]] == stored[METHODS[1]]
    assert stored[METHODS[2]] <= stored[METHODS[0]] or own == 0
    if 0 < own < 7:  # less at most one bit for a coefficient of each layer, which are whole, and the steps of those without a bit
        unused = sum(shape[0] * shape[1] + 32 * shape[2] * shape[3] for shape in shapes)
        assert stored[METHODS[2]] >= stored[METHODS[0]] - unused


def test_a_large_group_is_searched_in_a_sample():
    values = np.random.default_rng(0).normal(size=300_000)
    group = Group.encode(values, 3)
    assert ((group.decode() - values) ** 2).mean() == pytest.approx(0.0374, rel=0.01)  # Max 1960, Table II: uniform, 8 levels


def test_group_keeps_constants_and_refuses_nothing_silently():
    group = Group.encode(np.full(7, 0.25), 4)
    assert group.bits == 0 and group.decode().tolist() == [0.25] * 7
    for wrong in ((np.zeros((2, 2)), METHODS[0], 2), (np.zeros((1, 1, 1, 1)), "jpeg", 2), (np.zeros((1, 1, 1, 1)), METHODS[0], 2.5)):
        with pytest.raises(ArgumentError):
            EncodedWeight.encode(*wrong)


def test_spectra_where_a_kernel_is_larger_than_its_map():
    """The last convolution of nin: 3x3 with padding over a map of 2x2."""
    found = spectra(fold(build_nin(1).eval()), torch.rand(2, 1, 112, 112))
    assert [layer.weights.shape for layer in found][-2:] == [(3, 3), (2, 2)]
    assert all(layer.weights.shape == layer.many_images.shape == layer.one_image.shape for layer in found)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(588, 8), nn.ReLU(), nn.Linear(8, 10)
    )
    return fold(model)


def test_study_of_a_small_network(small, tmp_path):
    """Planes are the layers' weights as they lie over the image; more bits come closer; the plots are drawn."""
    images = torch.rand(20, 1, 28, 28)
    planes = as_planes(small, (1, 28, 28))
    assert [planes[name].shape for name in planes] == [(3, 1, 3, 3), (8, 3, 14, 14), (10, 8, 1, 1)]
    assert torch.equal(with_weights(small, planes)(images), small(images))
    found = spectra(small, images)
    assert [(layer.name, layer.weights.shape) for layer in found] == [("0", (28, 28)), ("4", (14, 14))]
    arrays = digit_arrays()
    test = Split(arrays["test_images"].reshape(-1, 28, 28, 1)[:60], arrays["test_labels"][:60].astype(np.int64))
    spec = InputSpec(28, 28, 1, "L", (0.1,), (0.3,))

    def integers(decoded):
        return to_network(calibrate(decoded, [images], spec.std, "mse"), "small", spec, tuple("0123456789"))

    points = compare(small, integers, spec, test, [2, 8], progress=False)
    assert [(point.rate, point.method) for point in points] == [(rate, method) for rate in (2, 8) for method in METHODS]
    assert all(fine.logit_error < rough.logit_error for rough, fine in zip(points[:3], points[3:]))
    plot_spectra(found, tmp_path / "spectra.png", "title")
    plot_comparison(points, tmp_path / "comparison.png", "title")
    assert (tmp_path / "spectra.png").stat().st_size > 10000 and (tmp_path / "comparison.png").stat().st_size > 10000
    for rates in ([], [0], [9], [1.5]):
        with pytest.raises(ArgumentError, match="rates"):
            compare(small, integers, spec, test, rates)


def test_study_of_a_binary_network():
    """The weights are signs: one bit in space keeps them all; in frequency signs are lost, fewer with more bits."""
    torch.manual_seed(0)
    model = build_vgg_bnn(4).eval()
    for norm in (layer for layer in model if isinstance(layer, nn.BatchNorm2d)):
        norm.running_var.fill_(20.0)
    spec = InputSpec(32, 32, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    planes = as_planes(model, (3, 32, 32))
    assert all(set(np.unique(weight)) <= {-1.0, 1.0} for weight in planes.values())
    assert planes["conv2"].shape == (4, 4, 3, 3) and planes["fc"].shape == (10, 16, 4, 4)

    def integers(decoded):
        return binary_to_network(decoded, "small", spec, tuple("0123456789"))

    test = Split(images, np.arange(12) % 10)
    points = compare(model, integers, spec, test, [1, 4], progress=False)
    space = [point for point in points if point.method == METHODS[0]]
    assert all(point.logit_error == 0 for point in space) and space[0].stored_bits < space[1].stored_bits
    rough, fine = (point for point in points if point.method == METHODS[2])
    assert rough.logit_error > fine.logit_error and rough.weight_error > fine.weight_error > 0
    found = spectra(model, torch.rand(3, 3, 32, 32) - 0.5)
    assert [layer.weights.shape for layer in found] == [(32, 32)] * 2 + [(16, 16)] * 2 + [(8, 8)] * 2 + [(4, 4)]
