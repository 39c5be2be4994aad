"""Measures of a classifier over a labelled set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.data import Split
from host_train.progress import pieces
from host_train.training.tensors import EVALUATION_BATCH, TensorData
from pynq_cnn.backends.select import on_cpu
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network
from pynq_cnn.model.output import OUTPUTS, class_logits

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a classifier is.

    Parameters
    ----------
    images : int
        How many were classified.
    top1, top5 : float
        Part of them, 0 to 1, whose label is the best answer, or among the five best.
    loss : float
        Mean cross-entropy, in nats.
    confusion : numpy.ndarray
        int64 [classes, classes]: images of the class in the row taken for that in the column.
    answers : numpy.ndarray
        int64 [images]: the class that each was taken for.
    classes : tuple of str
        Names.
    seconds : float
        Time of the classification, from bytes to logits.
    """

    images: int
    top1: float
    top5: float
    loss: float
    confusion: np.ndarray
    answers: np.ndarray
    classes: tuple[str, ...]
    seconds: float = 0.0

    @property
    def per_class(self) -> list[float]:
        """Part of each class that is recognised; NaN for a class without images."""
        with np.errstate(invalid="ignore"):
            return (self.confusion.diagonal() / self.confusion.sum(1)).tolist()

    def agreement(self, other: Evaluation) -> float:
        """Part of the images, 0 to 1, that `other`, over the same images, takes for the same class."""
        return float((self.answers == other.answers).mean())

    def to_json(self) -> dict[str, Any]:
        """As values for JSON; a class without images has None."""
        recall = {name: None if np.isnan(part) else part for name, part in zip(self.classes, self.per_class)}
        return {
            "images": self.images,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "per_class": recall,
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        wide = max(len(name) for name in self.classes)
        cell = max(len(str(self.confusion.max())), *(len(name[:6]) for name in self.classes)) + 1
        head = " " * (wide + 12) + "".join(name[:6].rjust(cell) for name in self.classes)
        rows = []
        for name, part, row in zip(self.classes, self.per_class, self.confusion):
            cells = "".join((str(count) if count else "·").rjust(cell) for count in row)
            recognised = "no images" if np.isnan(part) else f"{100 * part:7.2f} %"
            rows.append(f"{name.rjust(wide)}  {recognised}  {cells}")
        right = int(self.confusion.trace())
        return "\n".join(
            [
                (
                    f"top-1 {100 * self.top1:.2f} % ({right} of {self.images})   top-5 {100 * self.top5:.2f} %   mean"
                    f" loss {self.loss:.4f}"
                ),
                "",
                f"{head}   <- taken for",
                *rows,
            ]
        )


def evaluate(predict: Predict, split: Split, classes: tuple[str, ...]) -> Evaluation:
    """Classify `split` and measure.

    Parameters
    ----------
    predict : callable
        Images uint8 [n, height, width, channels] to logits float [n, classes].
    split : Split
        Images and labels.
    classes : tuple of str
        Names of the labels.

    Returns
    -------
    Evaluation

    Raises
    ------
    ArgumentError
        If there are no images, or `predict` gives another shape or values that are not finite.

    Examples
    --------
    >>> split = Split(np.array([0, 1, 1], np.uint8).reshape(3, 1, 1, 1), np.array([0, 1, 0]))
    >>> result = evaluate(lambda images: np.eye(2)[images.ravel()], split, ("no", "yes"))
    >>> round(result.top1, 3), result.confusion.tolist()
    (0.667, [[1, 1], [0, 1]])
    """
    if not len(split):
        raise ArgumentError("there are no images to evaluate on")
    start = perf_counter()
    logits = np.asarray(predict(split.images), np.float64)
    seconds = perf_counter() - start
    if logits.shape != (len(split), len(classes)):
        raise ArgumentError(
            f"the model gives {logits.shape} for {len(split)} images; the data set has {len(classes)} classes"
        )
    if not np.isfinite(logits).all():
        raise ArgumentError("the model gives logits that are not finite; train it again with a lower learning rate")
    labels = split.labels
    answers = logits.argmax(1)  # the first of equals, as the classifier answers
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    own = logits[np.arange(len(split)), labels]
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - (own - logits.max(1))
    best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    top5 = float((best == labels[:, None]).any(1).mean())
    top1, loss = float(confusion.trace() / len(split)), float(losses.mean())
    return Evaluation(len(split), top1, top5, loss, confusion, answers, tuple(classes), seconds)


def predict_torch(
    model: nn.Module,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: str = "cpu",
    *,
    title: str = "PyTorch",
    progress: bool = True,
) -> Predict:
    """Logits of a PyTorch model that takes normalised images, for `evaluate`; the model is moved to `device`.

    `progress` shows a bar under `title` where there is a terminal.
    """
    model = model.to(device)

    def predict(images: np.ndarray) -> np.ndarray:
        model.eval()
        logits = []
        with torch.no_grad():
            for piece in pieces(images, EVALUATION_BATCH, title, "image", progress):
                data = TensorData.of(Split(piece, np.zeros(len(piece), np.int64)), mean, std, device)
                # A model may also end in 1 x 1 pixels, or squeeze out the dimension of a single image.
                logits += [model(batch).reshape(len(batch), -1).cpu().numpy() for batch, _ in data.batches()]
        return np.concatenate(logits)

    return predict


def predict_integers(network: Network, *, title: str = "integers", progress: bool = True) -> Predict:
    """Logits of a Network by class, in integers on this machine's CPU (`on_cpu`; every backend gives the same), for
    `evaluate`; a bar and threads as of `predict_torch`.

    Raises
    ------
    ArgumentError
        If its output is not of classes of which one is the answer.
    """
    kind = network.output.kind
    if kind not in ("softmax", "sigmoid"):
        raise ArgumentError(
            f"{network.name} gives {OUTPUTS[kind]}, not one class for each image, "
            "which is what can be measured here; measure what Classifier.predict gives by a program of your own"
        )
    backend = on_cpu(network, EVALUATION_BATCH, torch.get_num_threads())

    def predict(images: np.ndarray) -> np.ndarray:
        parts = pieces(images, EVALUATION_BATCH, title, "image", progress)
        return class_logits(np.concatenate([network.logits(backend.run(part)) for part in parts]), kind)

    return predict
