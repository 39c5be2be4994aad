"""Plots of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from host_train.spectrum.bits import LayerBits
from host_train.spectrum.codec import CODINGS
from host_train.spectrum.spread import MEASURES, TOP1, values
from host_train.spectrum.study import LayerSpectrum, Point
from host_train.titles import set_title

if TYPE_CHECKING:
    from matplotlib.axis import Axis

    from host_train.spectrum.activations import MapPoint
    from host_train.spectrum.rates import WeightPoint

KINDS = {"weights": "weights", "image": "activations, 1 image", "batch": "activations, batch"}
DECIBELS = "variance, dB"
RANGE = 80.0  # dB below the largest: what is exactly 0 (a constant plane) has no logarithm, and is drawn there
WRITTEN = 64  # bits are written into maps of no more places


def plot_spectra(spectra: Sequence[LayerSpectrum], path: Path, title: str, corners: bool = False) -> None:
    """Surface and heat map of each variance in decibels, one row a layer.

    Parameters
    ----------
    spectra : sequence of LayerSpectrum
        The spectra to draw.
    path : pathlib.Path
        The picture.
    title : str
        Above it; the scale and the place of frequency 0 are written below.
    corners : bool
        Frequency 0 in the corners, as the FFT gives it, else in the middle.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(20, 3.4 * len(spectra) + 0.7), layout="constrained")
    set_title(figure, f"{title}\n{_scale('FFT not normalised', corners)}")
    for row, layer in enumerate(spectra):
        for column, (kind, variance) in enumerate(layer.variances().items()):
            if not variance.any():  # one plane has no variance: a single image of a single channel
                empty = figure.add_subplot(len(spectra), 3, row * 3 + column + 1)
                empty.text(
                    0.5, 0.5, f"{layer.name}: {KINDS[kind]}\na single plane has no variance", ha="center", va="center"
                )
                empty.set_axis_off()
                continue
            place = row * 6 + 2 * column + 1
            drawn = decibels(variance)
            surface: Any = figure.add_subplot(len(spectra), 6, place, projection="3d")
            y, x = np.meshgrid(*(_along(size, corners) for size in drawn.shape), indexing="ij")
            surface.plot_surface(x, y, _placed(drawn, corners), cmap="viridis")
            surface.set_title(f"{layer.name}: {KINDS[kind]}", fontsize=9)
            surface.set_xlabel("horizontal, cycles per map", fontsize=7)
            surface.set_ylabel("vertical, cycles per map", fontsize=7)
            surface.set_zlabel("dB", fontsize=7)
            surface.set_box_aspect(None, zoom=0.72)  # its labels are outside of what the layout knows of
            surface.tick_params(labelsize=7)
            _name(surface.xaxis, drawn.shape[1])
            _name(surface.yaxis, drawn.shape[0])
            heat = figure.add_subplot(len(spectra), 6, place + 1)
            figure.colorbar(_heat(heat, drawn, corners, "map"), ax=heat, label=DECIBELS)
    _save(figure, path, 80)


def plot_bits(layers: Sequence[LayerBits], path: Path, title: str, corners: bool = False) -> None:
    """Heat maps, one row a layer: the variance of its kernels' coefficients, and beside it the bits that follow from it
    at each rate.

    Parameters
    ----------
    layers : sequence of LayerBits
        The layers to draw, all at the same rates.
    path : pathlib.Path
        The picture.
    title : str
        Above it; the scale and the place of frequency 0 are written below.
    corners : bool
        Frequency 0 in the corners, as the FFT gives it, else in the middle.
    """
    from matplotlib.figure import Figure

    rates = list(layers[0].bits)
    columns = 1 + len(rates)
    figure = Figure(figsize=(3.1 * columns, 2.9 * len(layers) + 0.7), layout="constrained")
    scale = _scale("orthonormal FFT of the kernels", corners)
    set_title(figure, f"{title}\n{scale}; bits: mean of real and imaginary part")
    for row, layer in enumerate(layers):
        heat = figure.add_subplot(len(layers), columns, row * columns + 1)
        heat.set_title(f"{layer.name}: kernels {' x '.join(map(str, layer.variance.shape))}", fontsize=9)
        figure.colorbar(_heat(heat, decibels(layer.variance), corners, "kernel"), ax=heat, label=DECIBELS)
        highest = max(bits.max() for bits in layer.bits.values())
        for column, (rate, bits) in enumerate(layer.bits.items(), 2):
            axes = figure.add_subplot(len(layers), columns, row * columns + column)
            axes.set_title(f"{layer.name}: rate {rate}, {bits.mean():.2f} on average", fontsize=9)
            figure.colorbar(
                _heat(axes, bits, corners, "kernel", cmap="magma", vmin=0, vmax=max(highest, 1)), ax=axes, label="bits"
            )
            if bits.size <= WRITTEN:
                placed, (down, across) = _placed(bits, corners), (_along(size, corners) for size in bits.shape)
                for (v, h), value in np.ndenumerate(placed):
                    colour = "black" if value > highest / 2 else "white"
                    axes.text(across[h], down[v], f"{value:g}", ha="center", va="center", fontsize=7, color=colour)
    _save(figure, path, 80)


def plot_comparison(points: Mapping[int, Sequence[Point]], path: Path, title: str) -> None:
    """Weight error, logit error and accuracy over stored bits, a line a method: means over the seeds, and from the
    smallest to the largest.

    Parameters
    ----------
    points : mapping
        By seed, of every method at the same rates.
    path : pathlib.Path
        The picture.
    title : str
        Above it; how many seeds there are is written below.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.8), layout="constrained")
    seeds = ", ".join(map(str, points))
    many = f"mean over {len(points)} trainings (seeds {seeds}), shaded from the smallest to the largest"
    set_title(
        figure, f"{title}\n{many if len(points) > 1 else f'one training (seed {seeds}): its spread is not known'}"
    )
    axes = figure.subplots(1, len(MEASURES))
    stored = values(points, "stored_bits")
    for axis, measure in zip(axes, MEASURES):
        found = {key: 100 * some for key, some in values(points, measure.field).items()}
        for method in CODINGS:
            chosen = [key for key in found if key[1] == method]
            across = [stored[key].mean() / 8000 for key in chosen]
            (line,) = axis.plot(across, [found[key].mean() for key in chosen], "o-", label=method)
            if len(points) > 1:
                low, high = ([extreme(found[key]) for key in chosen] for extreme in (np.min, np.max))
                axis.fill_between(across, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:,.4g}")
        if measure.field != TOP1:
            _scale_of_errors(axis, np.concatenate(list(found.values())))
        axis.set_xlabel("stored weights, kB")
        axis.set_ylabel(measure.title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    _save(figure, path, 100)


def plot_rates(points: Sequence[WeightPoint] | Sequence[MapPoint], path: Path, title: str) -> None:
    """Error of the logits and accuracy over bits per value, a line a method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    set_title(figure, title)
    for axis, field, label in zip(
        figure.subplots(1, 2),
        ("logit_error", TOP1),
        ("squared error of the logits, % of their squared sum", "top-1, %"),
    ):
        for method in dict.fromkeys(point.method for point in points):
            chosen = [point for point in points if point.method == method]
            across, up = [point.bits for point in chosen], [100 * getattr(point, field) for point in chosen]
            axis.plot(across, up, "o-", label=method, markersize=4)
        if field != TOP1:
            _scale_of_errors(axis, np.array([100 * point.logit_error for point in points]))
        axis.set(xlabel="bits per value, as stored", ylabel=label)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    _save(figure, path, 100)


def decibels(variance: np.ndarray) -> np.ndarray:
    """`10 log10` of variances, at least `RANGE` below the largest.

    Examples
    --------
    >>> decibels(np.array([100.0, 1.0, 0.0])).tolist()
    [20.0, 0.0, -60.0]
    """
    largest = float(variance.max())
    return 10 * np.log10(np.maximum(variance, largest * 10 ** (-RANGE / 10) if largest else 1e-300))


def _scale_of_errors(axes: Any, errors: np.ndarray) -> None:
    """A logarithmic scale; what is exactly 0 has no logarithm, and is at the bottom where there is such."""
    if errors.all():
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=min(errors[errors > 0], default=1.0))
        axes.set_ylim(bottom=0)


def _scale(transform: str, corners: bool) -> str:
    where = "corners" if corners else "middle"
    return f"{transform}; dB: 10 log10, drawn down to {RANGE:.0f} dB below the largest; frequency 0 in the {where}"


def _along(size: int, corners: bool) -> np.ndarray:
    """Places along a side of a map as drawn: 0 first with `corners`, else the frequencies themselves, 0 in the
    middle.
    """
    return np.arange(size) - (0 if corners else size // 2)


def _placed(values_: np.ndarray, corners: bool) -> np.ndarray:
    return values_ if corners else np.fft.fftshift(values_)


def _name(axis: Axis, size: int) -> None:
    """Ticks at whole frequencies, named by them: with 0 in the corners, those beyond the middle are negative."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(lambda place, _: f"{place:g}" if place < (size + 1) // 2 else f"{place - size:g}")


def _heat(axes: Any, drawn: np.ndarray, corners: bool, of: str, **options: Any) -> Any:
    """A heat map with its axes, whose frequencies are those of a map or a kernel, as an image."""
    down, across = (_along(size, corners) for size in drawn.shape)
    sides = (across[0] - 0.5, across[-1] + 0.5, down[-1] + 0.5, down[0] - 0.5)
    image = axes.imshow(_placed(drawn, corners), extent=sides, **{"cmap": "viridis", **options})
    axes.set_xlabel(f"horizontal, cycles per {of}", fontsize=8)
    axes.set_ylabel(f"vertical, cycles per {of}", fontsize=8)
    _name(axes.xaxis, drawn.shape[1])
    _name(axes.yaxis, drawn.shape[0])
    return image


def _save(figure: Any, path: Path, dpi: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
