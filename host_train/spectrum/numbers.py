"""The study's numbers as files: each map as `.npy`, float64 [height, width], and all that a plot shows as one CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from host_train.files import write_csv
from host_train.spectrum.bits import LayerBits
from host_train.spectrum.study import LayerSpectrum, Point

MAPS = "maps"  # folder of the .npy files beside the plots


def frequencies(size: int) -> np.ndarray:
    """Frequencies along a side of `size`, int64, in the order of the FFT: cycles per side, those beyond the middle
    negative.

    Examples
    --------
    >>> frequencies(5).tolist(), frequencies(4).tolist()
    ([0, 1, 2, -2, -1], [0, 1, -2, -1])
    """
    return np.rint(np.fft.fftfreq(size) * size).astype(np.int64)


def save_spectra(spectra: Sequence[LayerSpectrum], folder: Path) -> None:
    """Write `spectra.csv`, `maps/LAYER-weights.npy`, `LAYER-image.npy` and `LAYER-batch.npy`, frequency 0 at [0, 0]."""
    maps = {(layer.name, kind): variance for layer in spectra for kind, variance in layer.variances().items()}
    for (name, kind), variance in maps.items():
        _save(folder / MAPS / f"{name}-{kind}.npy", variance)
    rows = ((name, kind, *place) for (name, kind), variance in maps.items() for place in _places(variance))
    write_csv(folder / "spectra.csv", ("layer", "of", "vertical", "horizontal", "variance"), rows)


def save_bits(layers: Sequence[LayerBits], folder: Path) -> None:
    """Write `bits.csv`, `maps/LAYER-kernels.npy` (the variance) and `maps/LAYER-bits-RATE.npy`, frequency 0 at
    [0, 0].
    """
    rows: list[tuple[object, ...]] = []
    for layer in layers:
        _save(folder / MAPS / f"{layer.name}-kernels.npy", layer.variance)
        for rate, bits in layer.bits.items():
            _save(folder / MAPS / f"{layer.name}-bits-{rate}.npy", bits)
            rows += (
                (layer.name, rate, *place, value)
                for place, value in zip(_places(layer.variance), bits.ravel().tolist())
            )
    write_csv(folder / "bits.csv", ("layer", "rate", "vertical", "horizontal", "variance", "bits"), rows)


def save_points(points: Mapping[int, Sequence[Point]], folder: Path) -> None:
    """Write `comparison.csv` and `comparison.npy`, a record for each seed, rate and method.

    Parameters
    ----------
    points : mapping
        By seed.
    folder : pathlib.Path
        Where to.
    """
    rows = [(seed, *asdict(point).values()) for seed, some in points.items() for point in some]
    _table(rows, ("seed", *(field.name for field in fields(Point))), folder / "comparison")


def save_records(records: Sequence[Any], stem: Path) -> None:
    """Write dataclasses of one kind as `stem`.csv and `stem`.npy, a record each."""
    _table([tuple(asdict(one).values()) for one in records], tuple(field.name for field in fields(records[0])), stem)


def _table(rows: Sequence[tuple[object, ...]], names: Sequence[str], stem: Path) -> None:
    columns = [np.array(column) for column in zip(*rows)]
    table = np.empty(len(rows), [(name, column.dtype) for name, column in zip(names, columns)])
    for name, column in zip(names, columns):
        table[name] = column
    _save(stem.with_suffix(".npy"), table)
    write_csv(stem.with_suffix(".csv"), names, rows)


def _places(values: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Vertical and horizontal frequency and value of each place of a map."""
    vertical, horizontal = (frequencies(size).tolist() for size in values.shape)
    for v, row in zip(vertical, values.tolist()):
        for h, value in zip(horizontal, row):
            yield v, h, value


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values, allow_pickle=False)
