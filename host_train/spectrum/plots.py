"""Plots of the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from host_train.spectrum.codec import METHODS
from host_train.spectrum.study import LayerSpectrum, Point


def plot_spectra(spectra: Sequence[LayerSpectrum], path: Path, title: str) -> None:
    """Surface and heat map of each variance, logarithmic, frequency 0 in the middle; one row a layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(18, 3.2 * len(spectra)), layout="constrained")
    figure.suptitle(title)
    for row, layer in enumerate(spectra):
        kinds = (("weights", layer.weights), ("activations, 1 image", layer.one_image), ("activations, batch", layer.many_images))
        for column, (kind, variance) in enumerate(kinds):
            if not variance.any():  # one plane has no variance: a single image of a single channel
                empty = figure.add_subplot(len(spectra), 3, row * 3 + column + 1)
                empty.text(0.5, 0.5, f"{layer.name}: {kind}\na single plane has no variance", ha="center", va="center")
                empty.set_axis_off()
                continue
            # What is exactly 0 (a constant plane) has no logarithm: it is drawn at the bottom.
            centred = np.fft.fftshift(10 * np.log10(np.maximum(variance, variance.max() * 1e-8 + 1e-300)))
            place = row * 6 + 2 * column + 1
            surface = figure.add_subplot(len(spectra), 6, place, projection="3d")
            y, x = np.indices(centred.shape)
            surface.plot_surface(x - centred.shape[1] // 2, y - centred.shape[0] // 2, centred, cmap="viridis")
            surface.set_title(f"{layer.name}: {kind}", fontsize=9)
            heat = figure.add_subplot(len(spectra), 6, place + 1)
            image = heat.imshow(centred, cmap="viridis")
            heat.set_xticks([])
            heat.set_yticks([])
            figure.colorbar(image, ax=heat, label="variance, dB")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def plot_comparison(points: Sequence[Point], path: Path, title: str) -> None:
    """Weight error, logit error and accuracy over stored bits, a line a method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.5), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 3)
    measures = (
        ("weight_error", "relative squared error of the weights"),
        ("logit_error", "relative squared error of the logits"),
        ("top1", "top-1"),
    )
    for axis, (field, label) in zip(axes, measures):
        for method in METHODS:
            chosen = [point for point in points if point.method == method]
            axis.plot([point.stored_bits / 8000 for point in chosen], [getattr(point, field) for point in chosen], "o-", label=method)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:,.4g}")
        if field != "top1":
            values = np.array([getattr(point, field) for point in points])
            if values.all():
                axis.set_yscale("log")
            else:  # what is exactly 0 has no logarithm
                axis.set_yscale("symlog", linthresh=min(values[values > 0], default=1.0))
                axis.set_ylim(bottom=0)
        axis.set_xlabel("stored weights, kB")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
