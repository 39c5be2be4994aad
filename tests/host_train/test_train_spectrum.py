"""The frequency study: the transform loses nothing, the allocation is optimal, what is encoded is decoded within its
error; plots and files
say what they show, and a claim over seeds tells the spread."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import digit_arrays
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import nn

from host_train.cli import main
from host_train.data import Split
from host_train.networks.nin import build_nin
from host_train.networks.vgg_bnn import CENTRE, build_vgg_bnn
from host_train.quantisation.bits import binary_to_network
from host_train.quantisation.calibrate import calibrate
from host_train.quantisation.fold import fold
from host_train.quantisation.to_network import to_network
from host_train.settings import Settings
from host_train.spectrum import study, variance
from host_train.spectrum.allocate import reverse_water_filling, whole_bits
from host_train.spectrum.basis import RealFourier
from host_train.spectrum.bits import LayerBits, bit_maps
from host_train.spectrum.codec import CODINGS, EncodedWeight, Group, water_filling_rate
from host_train.spectrum.numbers import frequencies, save_bits, save_points, save_spectra
from host_train.spectrum.plots import decibels, plot_bits, plot_comparison, plot_rates, plot_spectra
from host_train.spectrum.rates import WeightPoint
from host_train.spectrum.spread import MEASURES, best_counts, check_seeds, spread, to_markdown
from host_train.spectrum.study import LayerSpectrum, Point, as_planes, compare_codings, spectra, with_weights
from host_train.spectrum.variance import activation_variance, coefficient_variance, weight_variance
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec


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
    for wrong in (
        lambda: coefficient_variance(planes[0]),
        lambda: weight_variance(weight, (2, 9)),
        lambda: activation_variance(planes),
    ):
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
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(CODINGS))
def test_codec_error_falls_and_size_is_as_told(seed, size, method):
    weight = np.random.default_rng(seed).normal(size=(6, 5, size, size))
    errors = []
    for rate in (1, 3, 6):
        code = EncodedWeight.encode(weight, method, rate)
        assert sum(group.bits * len(group.codes) for group in code.groups) <= rate * weight.size
        assert code.stored_bits <= rate * weight.size + 68 * (size * size if method == CODINGS[2] else 1)
        assert all(group.codes.max(initial=0) < 1 << max(group.bits, 1) for group in code.groups)
        errors.append(((code.decode() - weight) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]


def test_water_filling_beats_uniform_on_smooth_kernels():
    """Kernels whose variance lies in low frequencies: what the study proposes pays there, at equal code bits."""
    basis = RealFourier(5, 5)
    rng = np.random.default_rng(0)
    deviation = np.exp(
        -0.3 * np.minimum(basis.frequencies // 5, 5 - basis.frequencies // 5) - 0.8 * (basis.frequencies % 5)
    )
    weight = basis.inverse(rng.normal(size=(400, 25)) * deviation).reshape(20, 20, 5, 5)
    error = {method: ((EncodedWeight.encode(weight, method, 3).decode() - weight) ** 2).sum() for method in CODINGS}
    assert error[CODINGS[2]] < 0.8 * error[CODINGS[1]] and error[CODINGS[2]] < 0.8 * error[CODINGS[0]]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(2, 5), st.integers(1, 5)), min_size=1, max_size=3
    ),
    st.integers(1, 8),
)
def test_methods_are_compared_at_equal_stored_bits(shapes, rate):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in shapes]
    own = water_filling_rate(shapes, rate)
    stored = {
        method: sum(
            EncodedWeight.encode(weight, method, own if method == CODINGS[2] else rate).stored_bits
            for weight in weights
        )
        for method in CODINGS
    }
    assert stored[CODINGS[0]] == stored[CODINGS[1]]
    assert stored[CODINGS[2]] <= stored[CODINGS[0]] or own == 0
    if (
        0 < own < 7
    ):  # less at most one bit for a coefficient of each layer, which are whole, and the steps of those without a bit
        unused = sum(shape[0] * shape[1] + 32 * shape[2] * shape[3] for shape in shapes)
        assert stored[CODINGS[2]] >= stored[CODINGS[0]] - unused


def test_a_large_group_is_searched_in_a_sample():
    values = np.random.default_rng(0).normal(size=300_000)
    group = Group.encode(values, 3)
    assert ((group.decode() - values) ** 2).mean() == pytest.approx(
        0.0374, rel=0.01
    )  # Max 1960, Table II: uniform, 8 levels


def test_group_keeps_constants_and_refuses_nothing_silently():
    group = Group.encode(np.full(7, 0.25), 4)
    assert group.bits == 0 and group.decode().tolist() == [0.25] * 7
    for wrong in (
        (np.zeros((2, 2)), CODINGS[0], 2),
        (np.zeros((1, 1, 1, 1)), "jpeg", 2),
        (np.zeros((1, 1, 1, 1)), CODINGS[0], 2.5),
    ):
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
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(588, 8),
        nn.ReLU(),
        nn.Linear(8, 10),
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

    def to_integers(decoded):
        return to_network(calibrate(decoded, [images], spec.std, "mse"), "small", spec, tuple("0123456789"))

    points = compare_codings(small, to_integers, spec, test, [2, 8], progress=False)
    assert [(point.rate, point.method) for point in points] == [(rate, method) for rate in (2, 8) for method in CODINGS]
    assert all(fine.logit_error < rough.logit_error for rough, fine in zip(points[:3], points[3:]))
    plot_spectra(found, tmp_path / "spectra.png", "title")
    plot_comparison({0: points}, tmp_path / "comparison.png", "title")
    assert (tmp_path / "spectra.png").stat().st_size > 10000 and (tmp_path / "comparison.png").stat().st_size > 10000
    for rates in ([], [0], [9], [1.5]):
        with pytest.raises(ArgumentError, match="rates"):
            compare_codings(small, to_integers, spec, test, rates)


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

    def to_integers(decoded):
        return binary_to_network(decoded, "small", spec, tuple("0123456789"))

    test = Split(images, np.arange(12) % 10)
    points = compare_codings(model, to_integers, spec, test, [1, 4], progress=False)
    space = [point for point in points if point.method == CODINGS[0]]
    assert all(point.logit_error == 0 for point in space) and space[0].stored_bits < space[1].stored_bits
    rough, fine = (point for point in points if point.method == CODINGS[2])
    assert rough.logit_error > fine.logit_error and rough.weight_error > fine.weight_error > 0
    found = spectra(model, torch.rand(3, 3, 32, 32) - 0.5)
    assert [layer.weights.shape for layer in found] == [(32, 32)] * 2 + [(16, 16)] * 2 + [(8, 8)] * 2 + [(4, 4)]


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 1000))
def test_a_map_over_frequencies_is_that_of_the_fft(height, width, seed):
    """Real and imaginary part together are the coefficient: of their variances the mean is what the complex FFT says;
    no bit gets lost.
    """
    basis = RealFourier(height, width)
    planes = np.random.default_rng(seed).normal(size=(6, height, width))
    assert np.allclose(basis.as_map(basis.forward(planes).var(0)), np.fft.fft2(planes, norm="ortho").var(0))
    bits = np.random.default_rng(seed).integers(0, 9, height * width)
    drawn = basis.as_map(bits)
    assert drawn.sum() == pytest.approx(bits.sum())
    assert np.array_equal(drawn, np.roll(drawn[::-1, ::-1], (1, 1), (0, 1)))  # a frequency and its conjugate are one


def test_the_map_of_bits_is_what_the_codec_spends(small):
    weights = as_planes(small, (1, 28, 28))
    layers = bit_maps(weights, [1, 5])
    assert [(layer.name, layer.variance.shape) for layer in layers] == [
        ("0", (3, 3)),
        ("4", (14, 14)),
    ]  # the last has one pixel
    shapes = [weights[layer.name].shape for layer in layers]
    for layer in layers:
        assert list(layer.bits) == [1, 5] and not np.array_equal(layer.bits[1], layer.bits[5])
        for rate, bits in layer.bits.items():
            code = EncodedWeight.encode(weights[layer.name], CODINGS[2], water_filling_rate(shapes, rate))
            assert np.array_equal(
                bits, RealFourier(*bits.shape).as_map(np.array([group.bits for group in code.groups]))
            )
    with pytest.raises(ArgumentError, match="rates"):
        bit_maps(weights, [0])


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure, *args, **options):
        figures.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def texts(figure: Figure) -> str:
    suptitle = figure.get_suptitle()
    return " ".join([suptitle.replace("\n", " "), *(axes.get_title() for axes in figure.axes)])


PEAK = np.ones((7, 6))
PEAK[0, 0] = 100.0  # all of it at frequency 0


@pytest.mark.parametrize(("corners", "place"), [(False, (3, 3)), (True, (0, 0))])
def test_spectra_say_what_they_show(tmp_path, drawn, corners, place):
    """Every axis has its name and unit, frequency 0 is where the picture says, and its tick is 0."""
    layer = LayerSpectrum("conv", PEAK, np.zeros((7, 6)), PEAK)
    plot_spectra([layer], tmp_path / "new" / "spectra.png", "title", corners)
    plot_bits([LayerBits("conv", PEAK, {2: PEAK / 50, 3: PEAK / 25})], tmp_path / "bits.png", "title", corners)
    for figure in drawn:
        assert f"frequency 0 in the {'corners' if corners else 'middle'}" in texts(figure)
        assert "10 log10" in texts(figure) and "FFT" in texts(figure)
        figure.canvas.draw()
        above = figure._suptitle.get_window_extent()
        assert 0 <= above.x0 < above.x1 <= figure.bbox.width  # no title is cut off, however few maps there are
        maps = [axes for axes in figure.axes if axes.images]
        assert len(maps) == (2 if figure is drawn[0] else 3)
        for axes in maps:
            image = axes.images[0]
            assert np.unravel_index(image.get_array().argmax(), (7, 6)) == place
            side = "map" if figure is drawn[0] else "kernel"
            assert (
                axes.get_xlabel() == f"horizontal, cycles per {side}"
                and axes.get_ylabel() == f"vertical, cycles per {side}"
            )
            left, right, bottom, top = image.get_extent()
            across, down = np.arange(left + 0.5, right)[place[1]], np.arange(top + 0.5, bottom)[place[0]]
            assert axes.xaxis.get_major_formatter()(across) == "0" == axes.yaxis.get_major_formatter()(down)
            assert axes.xaxis.get_major_formatter()(np.arange(left + 0.5, right)[place[1] - 1]) == "-1"
    surfaces = [axes for axes in drawn[0].axes if axes.name == "3d"]
    assert len(surfaces) == 2 and all(
        axes.get_xlabel() and axes.get_ylabel() and axes.get_zlabel() == "dB" for axes in surfaces
    )
    assert sum(axes.get_ylabel() == "variance, dB" for axes in drawn[0].axes) == 2  # of the colour bars
    assert sum(axes.get_ylabel() == "bits" for axes in drawn[1].axes) == 2
    assert {text.get_text() for axes in drawn[1].axes for text in axes.texts} == {
        "2",
        "4",
        "0.02",
        "0.04",
    }  # the bits, written down
    assert decibels(PEAK).max() == 20 and decibels(np.zeros(3)).tolist() == [-3000.0] * 3


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_numbers_are_saved_beside_the_plots(tmp_path):
    assert frequencies(1).tolist() == [0]
    weights, image, batch, bits = np.random.default_rng(0).normal(size=(4, 4, 3))
    save_spectra([LayerSpectrum("conv", weights, image, batch)], tmp_path / "new")
    save_bits([LayerBits("conv", weights, {2: bits})], tmp_path / "new")
    for name, values in {
        "weights": weights,
        "image": image,
        "batch": batch,
        "kernels": weights,
        "bits-2": bits,
    }.items():
        assert np.array_equal(np.load(tmp_path / "new" / "maps" / f"conv-{name}.npy"), values)
    rows = table_of(tmp_path / "new" / "spectra.csv")
    assert [float(row["variance"]) for row in rows] == [
        *weights.ravel(),
        *image.ravel(),
        *batch.ravel(),
    ]  # every digit of them
    assert {(row["layer"], row["of"]) for row in rows} == {("conv", kind) for kind in ("weights", "image", "batch")}
    rows = table_of(tmp_path / "new" / "bits.csv")
    assert [(float(row["variance"]), float(row["bits"])) for row in rows] == list(zip(weights.ravel(), bits.ravel()))
    assert [(int(row["vertical"]), int(row["horizontal"])) for row in rows] == [
        (v, h) for v in (0, 1, -2, -1) for h in (0, 1, -1)
    ]


def points_of(*seeds: tuple[float, float, float]) -> dict[int, list[Point]]:
    """At one rate: weight errors of the three methods, and 1 less them as accuracy."""
    return {
        seed: [Point(m, 3, 80, e, e, 1 - e) for m, e in zip(CODINGS, errors)] for seed, errors in enumerate(seeds, 5)
    }


def test_the_spread_over_seeds_is_told(tmp_path, drawn):
    """One seed where a method is ahead is no law: the table counts them, with means and standard deviations."""
    points = points_of((0.10, 0.3, 0.2), (0.20, 0.4, 0.1), (0.15, 0.5, 0.15))
    error, _, top1 = MEASURES
    assert best_counts(points, error) == {
        (3, CODINGS[0]): 2,
        (3, CODINGS[1]): 0,
        (3, CODINGS[2]): 2,
    }  # a tie counts for both
    assert best_counts(points, top1) == best_counts(points, error)
    head, _, row = to_markdown(points, error).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert "best in, of 3" in head
    assert cells == ["3", "10 / 10", "15 ± 5", "40 ± 10", "15 ± 5", "2 / 0 / 2"]
    assert "85.00 ± 5.00" in to_markdown(points, top1)
    assert (
        "±" not in to_markdown(points_of((0.1, 0.3, 0.2)), error)
        and spread(np.array([1.0, 1.0]), ".2f") == "1.00 ± 0.00"
    )
    plot_comparison(points, tmp_path / "many.png", "title")
    plot_comparison(points_of((0.1, 0.3, 0.2)), tmp_path / "one.png", "title")
    many, one = drawn
    assert "3 trainings (seeds 5, 6, 7)" in many.get_suptitle() and "its spread is not known" in one.get_suptitle()
    assert [len(axes.collections) for axes in many.axes] == [3, 3, 3] and not any(axes.collections for axes in one.axes)
    means = {line.get_label(): line.get_ydata().tolist() for line in many.axes[0].lines}
    assert means[CODINGS[0]] == pytest.approx([15.0]) and means[CODINGS[1]] == pytest.approx([40.0])
    save_points(points, tmp_path)
    saved = np.load(tmp_path / "comparison.npy")
    assert saved["seed"].tolist() == [5, 5, 5, 6, 6, 6, 7, 7, 7] and saved["method"].tolist() == list(CODINGS) * 3
    assert saved["weight_error"].tolist() == [point.weight_error for some in points.values() for point in some]
    assert [float(row["top1"]) for row in table_of(tmp_path / "comparison.csv")] == saved["top1"].tolist()


@pytest.mark.parametrize(("least", "scale"), [(0.0, "symlog"), (1e-5, "log")])
def test_errors_are_on_a_logarithmic_scale_as_far_as_there_is_one(least, scale, tmp_path, drawn):
    points = [WeightPoint("space", rate, rate, error, 0.9) for rate, error in ((1, 0.3), (4, 1e-4), (8, least))]
    plot_rates(points, tmp_path / "r.png", "title")
    axes = drawn[0].axes[0]
    assert axes.get_yscale() == scale
    if scale == "symlog":  # only what is 0 lies beside the logarithms
        assert axes.yaxis.get_transform().linthresh == pytest.approx(0.01) and axes.get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Settings("lenet", seed=0, epochs=2, threads=2), "two of the runs have seed 0"),
        (Settings("lenet", seed=1, epochs=3), "differ in their seeds only"),
        (Settings("convnet", seed=1, epochs=2), "differ in their seeds only"),
    ],
)
def test_only_seeds_tell_chance(other, message):
    first = Settings("lenet", seed=0, epochs=2)
    check_seeds([first, Settings("lenet", seed=1, epochs=2, threads=1)])
    with pytest.raises(ArgumentError, match=message):
        check_seeds([first, other])


def test_several_seeds_by_the_command_line(digits_folder, tmp_path, monkeypatch, capsys):
    """From trainings to the table: what the study's page tells to do."""
    monkeypatch.chdir(tmp_path)
    data = ["--data-dir", str(digits_folder)]
    for seed in ("0", "3"):
        train = [
            "train",
            "convnet",
            "--seed",
            seed,
            "--epochs",
            "1",
            "--qat-epochs",
            "0",
            "--quiet",
            "--out",
            f"runs/convnet-{seed}",
        ]
        assert main([*train, *data]) == 0
    capsys.readouterr()
    for batch, message in (("1", "at least 2 images"), ("1000000", "at most the")):
        assert main(["spectrum", "runs/convnet-0", "--rates", "2", "--batch", batch, *data]) == 1
        assert message in capsys.readouterr().err
    words = ["spectrum", "runs/convnet-0", "runs/convnet-3", "--rates", "2", "--corners", "--batch", "7", *data]
    with monkeypatch.context() as patch:
        seen = []
        real = variance.activation_variance
        patch.setattr(study, "activation_variance", lambda values: seen.append(len(values)) or real(values))
        assert main(words) == 0
    assert set(seen) == {1, 7}  # one image, and a batch of as many as were asked for
    out, printed = tmp_path / "runs" / "convnet-spectrum", capsys.readouterr().out
    assert (out / "comparison.md").read_text(encoding="utf-8") in printed
    assert "Over 2 trainings:\n    python -m host_train train convnet --seed 0 --epochs 1 --qat-epochs 0\n" in printed
    assert len(re.findall(r"^\| 2 .*±.*±.*±", printed, re.MULTILINE)) == 3  # a table of each figure
    saved = np.load(out / "comparison.npy")
    assert len(saved) == 2 * 3 and set(saved["seed"]) == {0, 3}
    assert len(set(saved["weight_error"])) == len(saved)  # no seed stands for the other
    for seed in (0, 3):
        assert {path.name for path in (out / f"seed-{seed}").iterdir()} == {
            "spectra.png",
            "spectra.csv",
            "bits.png",
            "bits.csv",
            "maps",
        }
        assert len(list((out / f"seed-{seed}" / "maps").iterdir())) == 3 * (3 + 1 + 1)
    assert main(["spectrum", "runs/convnet-3", "--rates", "2", *data]) == 0
    alone = tmp_path / "runs" / "convnet-3" / "spectrum"
    assert "whose spread is not known" in capsys.readouterr().out and (alone / "spectra.png").is_file()
    assert np.array_equal(np.load(alone / "comparison.npy"), saved[saved["seed"] == 3])
    assert main(["spectrum", "runs/convnet-0", "runs/convnet-0", *data]) == 1
    assert "two of the runs have seed 0" in capsys.readouterr().err
