"""How much each layer alone can lose: accuracy with one layer pruned, or its weights in few values, and all others as
they are; nothing is fine-tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from host_train.compression.measured import Measured
from host_train.compression.prune import check_part, kept, masked, plain, prune_to, weighted_layers
from host_train.compression.recipe import index_bits
from host_train.compression.share import share
from host_train.files import write_csv
from host_train.progress import track
from host_train.titles import set_title
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import markdown_table

KEEP = (0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
BITS = (2, 3, 4, 5, 6)
PRUNED, SHARED = "pruned", "shared"


@dataclass(frozen=True)
class LayerPoint:
    """One layer changed alone.

    Parameters
    ----------
    layer : str
        Its full name.
    how : {"pruned", "shared"}
        Its smallest weights left out, or all of them in at most 2^bits - 1 values and zero.
    keep : float, optional
        Part of its weights that was to be kept, 0 to 1.
    bits : int, optional
        Of a weight's code.
    sparsity : float
        Part of its weights that is 0, 0 to 1.
    accuracy, loss : float
        On the images: part that is right, mean cross-entropy.
    """

    layer: str
    how: str
    keep: float | None
    bits: int | None
    sparsity: float
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Sensitivity:
    """How much each layer alone can lose.

    Parameters
    ----------
    title : str
        Of the network.
    images : str
        What it was measured on, such as `500 validation images`.
    accuracy, loss : float
        As trained.
    points : tuple of LayerPoint
        By layer; `host_train.frame.to_frame(points)` has them as a data frame.
    """

    title: str
    images: str
    accuracy: float
    loss: float
    points: tuple[LayerPoint, ...]

    def of(self, how: str) -> dict[str, list[LayerPoint]]:
        """The points of one kind by layer."""
        found: dict[str, list[LayerPoint]] = {}
        for point in self.points:
            if point.how == how:
                found.setdefault(point.layer, []).append(point)
        return found


def sensitivity(
    subject: Measured,
    keep: Sequence[float] = KEEP,
    bits: Sequence[int] = BITS,
    *,
    progress: bool = True,
    report: Callable[[LayerPoint], None] | None = None,
) -> Sensitivity:
    """Measure a network with each layer in turn pruned to each part, and its weights in each number of bits.

    Parameters
    ----------
    subject : Subject or IntegerSubject
        The network with its data.
    keep : sequence of float
        Parts of a layer's weights to keep, above 0 to 1.
    bits : sequence of int
        Of a weight's code, 2 to 8.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called with every point.

    Raises
    ------
    ArgumentError
        Without anything to measure, or for a part or a number of bits out of range.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from host_train.compression.subject import own_subject
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> data = torch.rand(10, 1, 2, 2), torch.arange(10) % 2
    >>> found = sensitivity(own_subject(model, data), keep=[0.5], bits=[2])
    >>> [(point.layer, point.how, point.sparsity) for point in found.points]
    [('1', 'pruned', 0.5), ('1', 'shared', 0.0)]
    """
    if not keep and not bits:
        raise ArgumentError("there is nothing to measure; give parts to keep, or bits")
    for part in keep:
        check_part("each layer", part)
    widths = [index_bits("each layer", one) for one in bits]
    loss, accuracy = subject.measure(subject.copy())
    names = list(weighted_layers(subject.model))
    tasks: list[tuple[str, float | None, int | None]] = [
        (name, part, None) for name in names for part in sorted(set(keep), reverse=True)
    ]
    tasks += [(name, None, width) for name in names for width in sorted(set(widths), reverse=True)]
    points = []
    for name, kept_part, width in track(tasks, "sensitivity", "measurement", progress):
        model = subject.copy()
        if kept_part is not None:
            prune_to(masked(model), {name: kept_part})
            plain(model)
        elif width is not None and weighted_layers(model)[name].weight.any():
            share(model.cpu(), {name: width}, subject.std).to(subject.device)
        left, size = kept(model)[name]
        loss_then, accuracy_then = subject.measure(model)
        how = PRUNED if kept_part is not None else SHARED
        points.append(LayerPoint(name, how, kept_part, width, 1 - left / size, accuracy_then, loss_then))
        if report is not None:
            report(points[-1])
    points.sort(key=lambda point: names.index(point.layer))
    return Sensitivity(subject.title, subject.images, accuracy, loss, tuple(points))


def to_markdown(found: Sensitivity) -> str:
    """A line a layer: the accuracy of each part kept, and of each number of bits."""
    tables = []
    for how in (PRUNED, SHARED):
        rows: list[list[str]] = []
        for layer, points in found.of(how).items():
            heads = [
                f"{100 * point.keep:g} % kept" if point.keep is not None else f"{point.bits} bits" for point in points
            ]
            if not rows:
                rows.append(["layer, alone", *heads])
            rows.append([layer or "(itself)", *(f"{100 * point.accuracy:.2f}" for point in points)])
        if rows:
            tables.append(markdown_table(rows))
    start = f"{found.title}: accuracy, %, on {found.images}; as trained {100 * found.accuracy:.2f}"
    return "\n\n".join([start, *tables])


def write_points(found: Sensitivity, path: Path) -> None:
    """Every point as a line of a CSV file."""
    heads = [field.name for field in fields(LayerPoint)]
    write_csv(path, heads, [[*asdict(point).values()] for point in found.points])


def plot_sensitivity(found: Sensitivity, path: Path) -> None:
    """Write a PNG: accuracy against sparsity, and against bits, a line a layer."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    kinds = [how for how in (PRUNED, SHARED) if found.of(how)]
    names = list(dict.fromkeys(point.layer for point in found.points))
    colours = dict(zip(names, colormaps["turbo"](np.linspace(0.03, 0.97, len(names)))))
    figure = Figure(figsize=(5.5 * len(kinds) + 2, max(4.4, 0.21 * len(names) + 0.8)), layout="constrained")
    set_title(figure, f"{found.title}: one layer at a time, nothing fine-tuned; {found.images}")
    axes = None
    for axes, how in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds):
        for layer, points in found.of(how).items():
            across = [100 * point.sparsity if how == PRUNED else point.bits for point in points]
            up = [100 * point.accuracy for point in points]
            axes.plot(across, up, marker="o", markersize=3, color=colours[layer], label=layer or "itself")
        axes.axhline(100 * found.accuracy, color="grey", linewidth=0.8, linestyle="--", label="as trained")
        label = "weights of the layer that are 0, %" if how == PRUNED else "bits of a weight's code in the layer"
        axes.set(xlabel=label, ylabel="accuracy, %")
        if how == SHARED:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    if axes is not None:  # of many layers, a legend would hide the curves
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
