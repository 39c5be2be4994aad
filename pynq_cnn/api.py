"""`classify` for one answer in three lines, `Classifier` for repeated use."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, overload

import numpy as np

from pynq_cnn.backends.forks import give_lock
from pynq_cnn.backends.select import check_name, make_backend
from pynq_cnn.backends.timeout import check_timeout
from pynq_cnn.checks import integer
from pynq_cnn.errors import BackendError, ImageError, ImageWarning
from pynq_cnn.images import ImageLike, Prepared, prepare
from pynq_cnn.model import Network
from pynq_cnn.result import Classification
from pynq_cnn.zoo import load_model

NOISE_SEED = 0  # of the noise that throughput is measured with: the time does not depend on what is on the images


@dataclass(frozen=True)
class ThroughputReport:
    """How fast a classifier is, and where the time goes. A measurement of this machine, now.

    Parameters
    ----------
    backend : str
        Which execution ran.
    images : int
        How many.
    seconds : float
        For all of them.
    steps : dict
        Seconds by step: for the overlay pack, flush, run, invalidate, unpack; for the kernel pack, run, unpack; for the
        reference run. Besides, logits.
    """

    backend: str
    images: int
    seconds: float
    steps: dict[str, float]

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return self.images / self.seconds

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {100 * value / self.seconds:.1f} %" for name, value in self.steps.items())
        return f"{self.backend}: {self.images_per_second:,.0f} images/s over {self.images} images ({parts})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "backend": self.backend,
            "images": self.images,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "steps": dict(self.steps),
        }


class Classifier:
    """A network ready on one backend. Use it in a `with`, or call `close()`.

    Parameters
    ----------
    model : str, path or Network
        The name of a shipped network, the folder of a model package, or a network.
    backend : {"auto", "overlay", "kernel", "reference"}
        Which execution; see `pynq_cnn.backends.select.make_backend`.
    batch : int
        Images worked on at once.
    bitfile, device
        For the overlay: another bitstream or device than the default, for example those of a virtual board.
    timeout : float, optional
        For the overlay: seconds to wait for one batch. If not given, it follows from the network's estimated cycles.

    Notes
    -----
    A classifier can be copied and pickled by its description, for `copy.deepcopy`, `concurrent.futures` and
    `multiprocessing`: the copy opens the model and the backend anew, in its process. One process at a time has the
    accelerator: on a board, give copies `backend="reference"`, or use threads.

    Raises
    ------
    ArgumentError
        For an unusable argument.
    ModelPackageError
        If the package is not whole.
    BackendError
        If the backend cannot run here.
    CompileError
        If the network does not fit the engine that was asked for.

    Examples
    --------
    >>> from pynq_cnn.zoo import load_sample
    >>> images, labels = load_sample()
    >>> with Classifier("lenet", backend="reference") as classifier:
    ...     classes = classifier.predict(images)
    >>> bool((classes == labels).mean() > 0.97)
    True
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Network = "lenet",
        backend: str = "auto",
        batch: int = 64,
        *,
        bitfile: Any = None,
        device: Any = None,
        timeout: float | None = None,
    ) -> None:
        self.network = load_model(model)
        self.backend = make_backend(self.network, backend, batch, bitfile=bitfile, device=device, timeout=timeout)
        self._asked = backend, bitfile, device, timeout

    def __reduce__(self) -> tuple[Any, ...]:
        backend, bitfile, device, timeout = self._asked
        if device is not None:
            raise BackendError(
                f"{self!r} is on a device of its own, which cannot be copied or sent to another process; make a"
                " Classifier there"
            )
        return _make_classifier, (self.network, backend, self.backend.batch, bitfile, timeout)

    @property
    def backend_name(self) -> str:
        """Which execution runs: "overlay", "kernel" or "reference"."""
        return self.backend.name

    @overload
    def classify(self, image: list[ImageLike] | tuple[ImageLike, ...]) -> list[Classification]: ...

    @overload
    def classify(self, image: ImageLike) -> Classification: ...

    def classify(self, image: ImageLike | Sequence[ImageLike]) -> Classification | list[Classification]:
        """Classify one picture, or a list of pictures in one go.

        Parameters
        ----------
        image : path, bytes, PIL.Image.Image, numpy.ndarray, or a list or tuple of these
            See `pynq_cnn.images.prepare`.

        Returns
        -------
        Classification or list of Classification
            A list for a list.

        Raises
        ------
        ImageError
            If a picture cannot be read or nothing is found on it; in a list, says which.

        Warns
        -----
        ImageWarning
            For each of the `warnings` of an answer.
        """
        answers = self._classify(image)
        _tell(answers)
        return answers if isinstance(image, (list, tuple)) else answers[0]

    def _classify(self, image: Any) -> list[Classification]:
        several = isinstance(image, (list, tuple))
        ready = []
        for i, one in enumerate(image if several else [image]):
            try:
                ready.append(self.prepare(one))
            except ImageError as error:
                if not several:
                    raise
                raise ImageError(f"image {i} of the list: {error}") from error
        start = perf_counter()
        seen = np.stack([one.pixels for one in ready]) if ready else np.empty((0, *self.network.input_shape), np.uint8)
        accumulators, steps = self.backend.run_timed(seen)
        logits = self.network.logits(accumulators)
        images = max(len(ready), 1)
        seconds, run_seconds = (perf_counter() - start) / images, steps.get("run", 0.0) / images
        color = self.network.input.color
        return [
            Classification(
                logits=row,
                classes=self.network.classes,
                backend=self.backend_name,
                seconds=one.seconds + seconds,
                run_seconds=run_seconds,
                seen=pixels,
                color=color,
                kind=self.network.output.kind,
                preparation=one.steps,
                warnings=one.warnings,
            )
            for row, one, pixels in zip(logits, ready, seen)
        ]

    def prepare(self, image: ImageLike) -> Prepared:
        """The network's input for this picture, and the steps that made it; `classify` takes it in place of the
        picture.

        Examples
        --------
        >>> from pynq_cnn.zoo import load_sample
        >>> with Classifier("lenet", backend="reference") as classifier:
        ...     classifier.prepare(load_sample()[0][0]).steps
        ('taken as it is',)
        """
        return prepare(image, self.network.input)

    def accumulators(self, images: np.ndarray) -> np.ndarray:
        """int32 [n, outputs] of images that have the network's size already.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels] or, of one channel, [n, height, width]. Taken byte for byte: nothing is
            inverted, fitted or doubted, as `classify` and `prepare` do. MNIST's digits are light on black, for
            instance.

        Raises
        ------
        ArgumentError
            For another shape or dtype.
        """
        if isinstance(images, np.ndarray) and images.ndim == 3 and self.network.input.channels == 1:
            images = images[..., None]
        return self.backend.run(images)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """float32 [n, outputs]; images as for `accumulators`."""
        return self.network.logits(self.accumulators(images))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Answers of the network, by its kind of output (`network.output.kind`); images as for `accumulators`.

        Returns
        -------
        numpy.ndarray
            Of classes, by softmax or by one sigmoid: their indices, int64 [n]. Of independent probabilities: bool [n,
            classes], whether each is above 0.5. Of plain values: these, float32 [n, outputs].
        """
        return self.network.answers(self.logits(images))

    async def predict_async(self, images: np.ndarray) -> np.ndarray:
        """`predict` for `await`, as in a notebook's cell: the event loop goes on meanwhile.

        A thread waits for the engine: by its interrupt where the design has one, else by asking again and again, with
        pauses. A task that is cancelled gets no result, but the run that is under way goes on to its end.

        Examples
        --------
        >>> import asyncio
        >>> from pynq_cnn.zoo import load_sample
        >>> with Classifier("lenet", backend="reference") as classifier:
        ...     asyncio.run(classifier.predict_async(load_sample()[0][:1])).dtype
        dtype('int64')
        """
        return await asyncio.get_running_loop().run_in_executor(None, self.predict, images)

    def throughput_test(self, images: int = 1000) -> ThroughputReport:
        """Run `images` noise images, after one batch to warm up, and say how long it took and on what.

        Raises
        ------
        ArgumentError
            If `images` is no integer from 1.
        """
        images = integer("images", images, 1)
        batch = np.random.default_rng(NOISE_SEED).integers(0, 256, (images, *self.network.input_shape), dtype=np.uint8)
        self.backend.run(batch[: self.backend.batch])
        start = perf_counter()
        accumulators, steps = self.backend.run_timed(batch)
        middle = perf_counter()
        self.network.logits(accumulators)
        end = perf_counter()
        return ThroughputReport(self.backend_name, int(images), end - start, {**steps, "logits": end - middle})

    def close(self) -> None:
        """Give back what the backend holds. Calling it again does nothing."""
        self.backend.close()

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Classifier({self.network.name!r}, backend={self.backend_name!r}, batch={self.backend.batch})"


def _make_classifier(network: Network, backend: str, batch: int, bitfile: Any, timeout: float | None) -> Classifier:
    """Unpickle a classifier."""
    return Classifier(network, backend, batch, bitfile=bitfile, timeout=timeout)


def _tell(answers: list[Classification]) -> None:
    """Raise the warnings of answers as Python warnings of the line that has called our caller."""
    for i, answer in enumerate(answers):
        for text in answer.warnings:
            which = f"image {i} of the list: " if len(answers) > 1 else ""
            warnings.warn(f"{which}{text}", ImageWarning, stacklevel=3)


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
    backend : {"auto", "overlay", "kernel", "reference"}
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
    _tell(answers)
    return answers if isinstance(image, (list, tuple)) else answers[0]
