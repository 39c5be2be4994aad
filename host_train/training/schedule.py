"""How one training goes: everything that its result depends on but the network, the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass, field

from host_train.training.augment import Augmentation
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError


@dataclass(frozen=True)
class Schedule:
    """One training, from a state to a better one.

    The one-cycle policy: the learning rate rises to its highest in the first 10 % of the steps and falls to nothing
    by the end. [Smith and Topin 2017, arXiv 1708.07120; of AdamW, Loshchilov and Hutter 2019, arXiv 1711.05101]

    Parameters
    ----------
    epochs : int
        Times through the training images.
    batch : int
        Images a step.
    learning_rate : float
        The highest.
    weight_decay : float
        Applied to weights and not to biases or batch norm.
    label_smoothing : float
        Of the cross-entropy, 0 to 1.
    optimiser : {"adamw", "sgd"}
        What follows the gradients; `"sgd"` has Nesterov's momentum, and wants a learning rate some hundred times
        higher.
    distillation : float
        Of the loss, the part that says how far the answers are from a teacher's, 0 to 1; the rest is the labels'.
        [Hinton, Vinyals and Dean 2015, arXiv 1503.02531]
    temperature : float
        What logits are divided by where they are compared with the teacher's: above 1, answers that are less likely
        count more.
    clean_images : int
        Training images, undistorted, over which the statistics of batch norms are estimated again before each
        validation; 0 leaves those that training gathered on its way. Not for crops with black borders of images that
        fill their frame: the network has learnt with the statistics of both, and without them loses points.
    augmentation : Augmentation
        Random distortions of the training images.
    bfloat16 : bool
        Compute layers in bfloat16 where the processor has it (weights, sums of the loss and validation stay float32).
    compiled : bool
        Let torch compile the network where it can, which takes a C++ compiler: the same sums, in another order, in less
        than half the time. On CUDA the whole step is recorded besides; the network must not ask the device for values.

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
    optimiser: str = "adamw"
    distillation: float = 0.0
    temperature: float = 4.0
    clean_images: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    bfloat16: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            integer(name, getattr(self, name), 1)
        if not 0 < self.learning_rate < float("inf"):
            raise ArgumentError(f"learning_rate must be positive, not {self.learning_rate!r}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ArgumentError(f"weight_decay must not be negative, not {self.weight_decay!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ArgumentError(f"label_smoothing must be from 0 to 1, not {self.label_smoothing!r}")
        if self.optimiser not in ("adamw", "sgd"):
            raise ArgumentError(f"optimiser must be adamw or sgd, not {self.optimiser!r}")
        if not 0 <= self.distillation <= 1:
            raise ArgumentError(f"distillation must be from 0 to 1, not {self.distillation!r}")
        if not 0 < self.temperature < float("inf"):
            raise ArgumentError(f"temperature must be positive, not {self.temperature!r}")
        integer("clean_images", self.clean_images, 0)
