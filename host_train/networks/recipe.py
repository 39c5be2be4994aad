"""The recipe of one network: everything that its result depends on but the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from host_train.training.schedule import Schedule


@dataclass(frozen=True)
class Recipe:
    """A network with its data set and its trainings.

    Parameters
    ----------
    name : str
        As on the command line.
    about : str
        One line for `--help`.
    dataset : str
        A name in `host_train.data.DATASETS`.
    build : callable
        Makes the untrained network; it takes normalised images float32 [n, channels, height, width] and gives logits
        [n, classes].
    schedule : Schedule
        Training in floating point.
    qat : Schedule, optional
        Quantisation-aware training after it, from its result.
    validation : int
        Training images held back to choose the best epoch by (of a small data set, 10 %).
    mean, std : tuple of float, optional
        Mean and standard deviation that the input is normalised with, per channel of images in 0..1; the data set's
        own if not given.
    size : tuple of int, optional
        (height, width) of the input; the data set's images are resized to it. The data set's own if not given.
    build_stochastic : callable, optional
        Of a binary network, the same as `build` but with binary weights drawn at random while training.
    fit, invert : str
        How a picture is made into the network's input (docs/contract/model-package.md).
    """

    name: str
    about: str
    dataset: str
    build: Callable[[], nn.Module]
    schedule: Schedule
    qat: Schedule | None = None
    validation: int = 5000
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    build_stochastic: Callable[[], nn.Module] | None = None
    fit: str = "crop"
    invert: str = "never"

    @property
    def binary(self) -> bool:
        """Whether weights and activations are bits."""
        return self.build_stochastic is not None
