"""A timeline of a Program's layers as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pynq_cnn.compiler.estimate import PHASES, Cost
from pynq_cnn.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#9e9e9e", "#8e6bbf", "#3b82c4", "#2e9e5b", "#e08a2e")  # of the phases
ROW_INCHES = 0.32
SHARED = "(all layers)"  # instructions, and constants that are loaded for several layers at once


def timeline(costs: Sequence[Cost], title: str) -> Figure:
    """A bar for each instruction, one behind the other, in the row of its layer.

    Parameters
    ----------
    costs : sequence of Cost
        Of each instruction, in order, as of `pynq_cnn.compiler.estimate.instruction_costs`.
    title : str
        What is written above.

    Returns
    -------
    matplotlib.figure.Figure
        Shows itself in a notebook.

    Raises
    ------
    ArgumentError
        If there is no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ArgumentError("a timeline needs matplotlib; pip install matplotlib") from error
    rows = [SHARED if ", " in one.layer or not one.layer else one.layer for one in costs]
    names = list(dict.fromkeys(rows))
    figure = Figure(figsize=(9, 1.7 + ROW_INCHES * len(names)), layout="constrained")
    axes = figure.add_subplot()
    start = 0
    for name, one in zip(rows, costs):
        for cycles, color in zip(one.cycles, COLORS):
            if cycles:
                axes.barh(names.index(name), cycles, left=start, color=color, height=0.8)
                start += cycles
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("cycles of the batch")
    axes.set_title(title)
    patches = [Patch(color=color, label=phase.replace("_", " ")) for color, phase in zip(COLORS, PHASES)]
    below = -0.6 / (ROW_INCHES * len(names))  # of the height of the axes: behind the numbers and their name
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, below), ncol=len(PHASES))
    return figure


def draw(path: Path, costs: Sequence[Cost], title: str) -> None:
    """Write `timeline(costs, title)` to a file, whose suffix says of what kind it is.

    Raises
    ------
    ArgumentError
        If there is no matplotlib, or the file cannot be written.
    """
    figure = timeline(costs, title)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"--plot {path} cannot be written: {error}; give a .png or .svg file") from error
