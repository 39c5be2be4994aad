"""A network in integers beside the PyTorch model that it was made from, over the same labelled set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from host_train.data import Split
from host_train.evaluation.evaluate import Evaluation, evaluate, predict_integers, predict_torch
from host_train.tracing.fidelity import Parting, check_agreement
from pynq_cnn.model import Network


@dataclass(frozen=True, eq=False)
class Comparison:
    """How good the integers are, and how good the model.

    Parameters
    ----------
    integer, real : Evaluation
        Of the integers and of PyTorch, over the same images.
    """

    integer: Evaluation
    real: Evaluation

    @property
    def agreement(self) -> float:
        """Part of the images, 0 to 1, that both take for the same class."""
        return self.integer.agreement(self.real)

    @property
    def accuracy(self) -> dict[str, float]:
        """Measures for a package: top-1 of both, 0 to 1, and their agreement."""
        return {"integer_top1": self.integer.top1, "float32_top1": self.real.top1, "agreement": self.agreement}

    def check(self, bound: float, found: Callable[[], list[Parting]]) -> None:
        """Refuse integers that have lost what the model knows.

        Parameters
        ----------
        bound : float
            Least agreement, 0 to 1. Integers that are right as often as the model may be right on other images: they
            were trained further.
        found : callable
            Gives the `partings` for the message.

        Raises
        ------
        NetworkError
            Names the layer in which they part.
        """
        if self.integer.top1 < self.real.top1:
            check_agreement(self.agreement, bound, f"the {self.integer.images} test images", "softmax", found)

    def __str__(self) -> str:
        integer, real = self.integer.top1, self.real.top1
        return (
            f"integers {100 * integer:.2f} %, PyTorch {100 * real:.2f} % ({100 * (integer - real):+.2f} points); "
            f"the same class for {round(self.agreement * self.integer.images)} of them"
        )


def compare_with_model(network: Network, model: nn.Module, split: Split, progress: bool = True) -> Comparison:
    """Classify `split` by `network`, in integers, and by `model`.

    Parameters
    ----------
    network : Network
        In integers.
    model : torch.nn.Module
        Its origin: takes images float32 [n, channels, height, width], normalised as `network.input` says.
    split : Split
        Images and labels.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    ArgumentError
        As `evaluate`.
    """
    integer = evaluate(predict_integers(network, progress=progress), split, network.classes)
    real = predict_torch(model, network.input.mean, network.input.std, progress=progress)
    return Comparison(integer, evaluate(real, split, network.classes))
