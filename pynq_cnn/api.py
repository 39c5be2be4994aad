"""`classify`, for one answer in three lines, and what it keeps between calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import overload

from pynq_cnn.backends.forks import give_lock
from pynq_cnn.backends.select import check_name
from pynq_cnn.backends.timeout import check_timeout
from pynq_cnn.classifier import Classifier, tell
from pynq_cnn.images import ImageLike
from pynq_cnn.model import Network
from pynq_cnn.result import Classification


class _Kept:
    """Classifiers that `classify` has made, so that its second call is quick, by model, backend and timeout."""

    lock: AbstractContextManager[bool]

    def __init__(self) -> None:
        give_lock(self, "lock")
        self.classifiers: dict[tuple[str, str, float | None], Classifier] = {}


_kept = _Kept()
CLASSIFY_BATCH = 16  # on a board each holds contiguous memory: a small batch is enough


def release() -> None:
    """Give back what `classify` keeps between calls: the accelerator, its contiguous memory, the networks. The next
    call makes them anew.

    Another process, a notebook for instance, can have the accelerator then.

    Examples
    --------
    >>> release()
    """
    with _kept.lock:
        while _kept.classifiers:
            _kept.classifiers.popitem()[1].close()


def _shared_classifier(
    model: str | os.PathLike[str] | Network, backend: str, timeout: float | None
) -> tuple[Classifier, bool]:
    """A classifier and whether it is kept. Only shipped networks are: a folder may change between calls."""
    check_name(backend)
    if not isinstance(model, str) or os.sep in model or os.path.isdir(model):
        return Classifier(model, backend, CLASSIFY_BATCH, timeout=timeout), False
    with _kept.lock:
        key = (model, backend, check_timeout(timeout))
        if key not in _kept.classifiers:
            _kept.classifiers[key] = Classifier(model, backend, CLASSIFY_BATCH, timeout=timeout)
        return _kept.classifiers[key], True


@overload
def classify(
    image: list[ImageLike] | tuple[ImageLike, ...],
    model: str | os.PathLike[str] | Network = "lenet",
    backend: str = "auto",
    *,
    timeout: float | None = None,
) -> list[Classification]: ...


@overload
def classify(
    image: ImageLike,
    model: str | os.PathLike[str] | Network = "lenet",
    backend: str = "auto",
    *,
    timeout: float | None = None,
) -> Classification: ...


def classify(
    image: ImageLike | Sequence[ImageLike],
    model: str | os.PathLike[str] | Network = "lenet",
    backend: str = "auto",
    *,
    timeout: float | None = None,
) -> Classification | list[Classification]:
    """Classify a picture.

    Keeps shipped networks ready for the next call, and on a board the accelerator with them: `pynq_cnn.release()` gives
    that back.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image, numpy.ndarray, or a list or tuple of these
        See `pynq_cnn.images.prepare`.
    model : str, path or Network
        The name of a shipped network (`pynq_cnn.models()`), the folder of a model package, or a network.
    backend : {"auto", "overlay", "cpu", "kernel", "reference"}
        Which execution.
    timeout : float, optional
        For the overlay: seconds to wait for one batch. If not given, it follows from the network's estimated cycles.

    Returns
    -------
    Classification or list of Classification
        With label, index, probabilities, logits, top(k), warnings, preparation, backend, seconds and run_seconds. A
        list for a list.

    Raises
    ------
    ArgumentError, ImageError, ModelPackageError, BackendError, CompileError
        All `PynqCnnError`; the message says what to do.

    Warns
    -----
    ImageWarning
        For each of the `warnings` of an answer.

    Examples
    --------
    >>> from pynq_cnn.zoo import load_sample
    >>> images, labels = load_sample()
    >>> result = classify(images[0])
    >>> result.label == str(labels[0]), result.logits.dtype
    (True, dtype('float32'))
    """
    classifier, kept = _shared_classifier(model, backend, timeout)
    try:
        answers = classifier._classify(image)
    finally:
        if not kept:
            classifier.close()
    tell(answers)
    return answers if isinstance(image, (list, tuple)) else answers[0]
