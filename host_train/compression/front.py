"""Rate against accuracy over many compressions of a network, beside what others report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from host_train import files
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import markdown_table

TABLE = "table.json"


@dataclass(frozen=True)
class FrontPoint:
    """One compression.

    Parameters
    ----------
    name : str
        Of its folder.
    stored : int
        Bytes of the package's files.
    ratio : float
        Float32 weights and biases to that.
    kept : int
        Weights that are not 0.
    top1 : float
        In integers on the test set, 0 to 1.
    validation : float, optional
        The same on the images held back from training, by which one of many may be chosen.
    """

    name: str
    stored: int
    ratio: float
    kept: int
    top1: float
    validation: float | None = None


@dataclass(frozen=True)
class Published:
    """Reports of others for Caffe's LeNet-5.

    Parameters
    ----------
    ratio, top1 : float
        As they count it, and accuracy on MNIST's test set, 0 to 1.
    of : str
        Method, and what is counted.
    source : str
        Where it is from.
    """

    ratio: float
    top1: float
    of: str
    source: str


LOWEST = 2.5  # points below the best that are drawn
BAYESIAN = "table of the authors' own code for Bayesian Compression, arXiv 1705.08665"
PUBLISHED = {
    "lenet5": (
        Published(39, 0.9926, "Deep Compression, coded weights", "Han et al. 2016, arXiv 1510.00149, table 3"),
        Published(55, 0.991, "Dynamic Network Surgery, weights kept", f"Guo et al. 2016, arXiv 1608.04493; {BAYESIAN}"),
        Published(
            100, 0.990, "Soft Weight-Sharing, weights kept", f"Ullrich et al. 2017, arXiv 1702.04008; {BAYESIAN}"
        ),
        Published(108, 0.990, "BC-GNJ, weights kept", f"Louizos et al. 2017; {BAYESIAN}"),
        Published(156, 0.990, "BC-GHS, weights kept", f"Louizos et al. 2017; {BAYESIAN}"),
        Published(419, 0.990, "BC-GHS, weights in few bits", f"Louizos et al. 2017; {BAYESIAN}"),
    )
}


def read_point(folder: Path) -> FrontPoint:
    """The compression in a folder; `ArgumentError` if there is none."""
    path = folder / TABLE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        total = next(row for row in stored["layers"] if row["name"] == "total")
        accuracy = stored["accuracy"]
        return FrontPoint(
            folder.name,
            total["stored"],
            total["stored_ratio"],
            total["kept"],
            accuracy["integer_top1"],
            accuracy.get("validation_top1"),
        )
    except FileNotFoundError:
        raise ArgumentError(f"{path} is not there; first: python -m host_train compress RUN --out {folder}") from None
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; compress again") from error


def front(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Those than which no other is as small and as accurate, from the smallest ratio.

    Examples
    --------
    >>> some = [FrontPoint(n, 1, r, 1, a) for n, r, a in (("a", 100, 0.99), ("b", 90, 0.98), ("c", 50, 0.995))]
    >>> [point.name for point in front(some)]
    ['c', 'a']
    """
    best: list[FrontPoint] = []
    for point in sorted(points, key=lambda one: (-one.ratio, -one.top1)):
        if not best or point.top1 > best[-1].top1:
            best.append(point)
    return best[::-1]


def to_markdown(points: Sequence[FrontPoint]) -> str:
    """The compressions from the smallest ratio, with top-1 on the images held back and on the test set; those on the
    front are marked.
    """
    best = front(points)
    rows = [["compression", "package files", "ratio", "weights kept", "held back", "top-1", "on the front"]]
    for one in sorted(points, key=lambda point: point.ratio):
        cells = [one.name, f"{one.stored:,}", f"{one.ratio:.1f}x", f"{one.kept:,}"]
        cells += [f"{100 * top1:.2f} %" if top1 is not None else "" for top1 in (one.validation, one.top1)]
        rows.append([*cells, "yes" if one in best else ""])
    return markdown_table(rows)


def write_csv(points: Sequence[FrontPoint], path: Path) -> None:
    """Write them as CSV."""
    files.write_csv(path, [one.name for one in fields(FrontPoint)], [tuple(asdict(one).values()) for one in points])


def plot_front(points: Sequence[FrontPoint], published: Sequence[Published], path: Path, title: str) -> None:
    """Accuracy over ratio: every compression, the front as a line, and what others report."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    best = front(points)
    axes.plot([one.ratio for one in points], [100 * one.top1 for one in points], "o", color="C0", label="package files")
    axes.plot([one.ratio for one in best], [100 * one.top1 for one in best], "-", color="C0")
    if published:
        across, up = [one.ratio for one in published], [100 * one.top1 for one in published]
        axes.plot(across, up, "x", color="C3", label="others, as they count")
        for one in published:
            label = f"{one.of.split(',')[0]} {one.ratio:.0f}x"
            place: Any = {"textcoords": "offset points", "fontsize": 7, "rotation": -90, "ha": "center", "va": "top"}
            axes.annotate(label, (one.ratio, 100 * one.top1), (0, -6), **place)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high > 5 * low:  # names of ticks lie beside each other
        axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.xaxis.set_major_formatter("{x:,.4g}x")
    axes.xaxis.set_minor_formatter("{x:,.4g}x")
    axes.tick_params(axis="x", which="both", labelsize=8)
    highest = 100 * max(one.top1 for one in points)
    lowest = max(highest - LOWEST, min(axes.get_ylim()[0], highest - 0.5))
    axes.set_ylim(lowest, min(axes.get_ylim()[1], highest + LOWEST / 4, 100))
    below = sum(100 * top1 < lowest for top1 in [one.top1 for one in points] + [one.top1 for one in published])
    if below:
        counted = "1 point is" if below == 1 else f"{below} points are"
        title = f"{title}\n({counted} below the picture)"
    axes.set(xlabel="float32 weights and biases to what is stored", ylabel="top-1 on the test set, %", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
