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
        [n, classes]: as many as the data set has, or as its argument `classes` says.
    schedule : Schedule
        Training in floating point.
    teacher : str, optional
        The network that is trained before, for the answers that a schedule with `distillation` learns.
    start : Schedule, optional
        Of a binary network: training with real weights and binary activations, from whose weights `schedule` starts.
        [Bulat et al. 2019, arXiv 1904.05868; Martinez et al. 2020, arXiv 2003.11535]
    whole : Schedule, optional
        Training after `schedule`, from its best epoch, on all images of the training set, those held back too; nothing
        is left to choose an epoch by, and the last one is kept.
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
    build: Callable[..., nn.Module]
    schedule: Schedule
    teacher: str | None = None
    start: Schedule | None = None
    whole: Schedule | None = None
    qat: Schedule | None = None
    validation: int = 5000
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    build_stochastic: Callable[..., nn.Module] | None = None
    fit: str = "crop"
    invert: str = "never"

    @property
    def result(self) -> str:
        """The training whose weights are the network in floating point."""
        return "whole" if self.whole is not None else "float"

    @property
    def binary(self) -> bool:
        """Whether weights and activations are bits."""
        return self.build_stochastic is not None
