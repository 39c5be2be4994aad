"""How one training goes: everything that its result depends on but the network, the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass, field

from host_train.training.augment import Augmentation
from pynq_cnn.errors import ArgumentError


@dataclass(frozen=True)
class Schedule:
    """One training, from a state to a better one.

    AdamW under the one-cycle policy: the learning rate rises to its highest in the first 10 % of the steps and falls
    to nothing by the end. [Loshchilov and Hutter 2019, arXiv 1711.05101; Smith and Topin 2017, arXiv 1708.07120]

    Parameters
    ----------
    epochs : int
        Times through the training images.
    batch : int
        Images a step.
    learning_rate : float
        The highest.
    weight_decay : float
        Of AdamW, applied to weights and not to biases or batch norm.
    label_smoothing : float
        Of the cross-entropy, 0 to 1.
    augmentation : Augmentation
        Random distortions of the training images.
    bfloat16 : bool
        Compute layers in bfloat16 where the processor has it (weights, sums of the loss and validation stay float32).
    compiled : bool
        Let torch compile the network where it can, which takes a C++ compiler: the same sums, in another order, in less
        than half the time.

    Raises
    ------
    ArgumentError
        For a number outside what makes sense.
    """

    epochs: int
    batch: int = 128
    learning_rate: float = 1e-2
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    bfloat16: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if (
                isinstance(getattr(self, name), bool)
                or not isinstance(getattr(self, name), int)
                or getattr(self, name) < 1
            ):
                raise ArgumentError(f"{name} must be an integer of at least 1, not {getattr(self, name)!r}")
        if not 0 < self.learning_rate < float("inf"):
            raise ArgumentError(f"learning_rate must be positive, not {self.learning_rate!r}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ArgumentError(f"weight_decay must not be negative, not {self.weight_decay!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ArgumentError(f"label_smoothing must be from 0 to 1, not {self.label_smoothing!r}")
