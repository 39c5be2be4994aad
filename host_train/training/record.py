"""How the epochs of a training went."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EpochRecord:
    """How one epoch went.

    Parameters
    ----------
    epoch : int
        From 1.
    train_loss, validation_loss : float
        Mean of the loss that is trained with, and of the cross-entropy of the images held back, in nats.
    train_accuracy, validation_accuracy : float
        0 to 1; None of validation, as the loss, where no images are held back.
    learning_rate : float
        At its end.
    best : bool
        Whether it was the best so far.
    finished : str, optional
        When, by ISO 8601 in UTC; None of a training from before that was noted. Of no concern to equality, as the
        seconds.
    seconds : float, optional
        How long it took, with its validation.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    best: bool
    finished: str | None = field(default=None, compare=False)
    seconds: float | None = field(default=None, compare=False)
