"""`Classifier`: a network on a backend, for repeated use."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, overload

import numpy as np

from pynq_cnn.backends.select import make_backend
from pynq_cnn.checks import integer
from pynq_cnn.errors import BackendError, ImageError, ImageWarning
from pynq_cnn.images import ImageLike, Prepared, prepare
from pynq_cnn.model import Network
from pynq_cnn.result import Classification
from pynq_cnn.throughput import ThroughputReport
from pynq_cnn.zoo import load_model

NOISE_SEED = 0  # of the noise that throughput is measured with: the time does not depend on what is on the images


class Classifier:
    """A network ready on one backend. Use it in a `with`, or call `close()`.

    Parameters
    ----------
    model : str, path or Network
        The name of a shipped network, the folder of a model package, or a network.
    backend : {"auto", "overlay", "cpu", "kernel", "reference"}
        Which execution; see `pynq_cnn.backends.select.make_backend`.
    batch : int
        Images worked on at once.
    bitfile, device
        For the overlay: another bitstream or device than the default, for example those of a virtual board.
    timeout : float, optional
        For the overlay: seconds to wait for one batch. If not given, it follows from the network's estimated cycles.
    threads : int, optional
        For cpu: how many it may use; as many as the machine has processors if not given.

    Notes
    -----
    A classifier can be copied and pickled by its description, for `copy.deepcopy`, `concurrent.futures` and
    `multiprocessing`: the copy opens the model and the backend anew, in its process. One process at a time has the
    accelerator: on a board, give copies `backend="cpu"`, or use threads.

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
        threads: int | None = None,
    ) -> None:
        self.network = load_model(model)
        self.backend = make_backend(
            self.network, backend, batch, bitfile=bitfile, device=device, timeout=timeout, threads=threads
        )
        self._asked = backend, bitfile, device, timeout, threads

    def __reduce__(self) -> tuple[Any, ...]:
        backend, bitfile, device, timeout, threads = self._asked
        if device is not None:
            raise BackendError(
                f"{self!r} is on a device of its own, which cannot be copied or sent to another process; make a"
                " Classifier there"
            )
        return _make_classifier, (self.network, backend, self.backend.batch, bitfile, timeout, threads)

    @property
    def backend_name(self) -> str:
        """Which execution runs: "overlay", "cpu", "kernel" or "reference"."""
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
        tell(answers)
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


def _make_classifier(
    network: Network, backend: str, batch: int, bitfile: Any, timeout: float | None, threads: int | None
) -> Classifier:
    """Unpickle a classifier."""
    return Classifier(network, backend, batch, bitfile=bitfile, timeout=timeout, threads=threads)


def tell(answers: list[Classification]) -> None:
    """Raise the warnings of answers as Python warnings of the line that has called our caller."""
    for i, answer in enumerate(answers):
        for text in answer.warnings:
            which = f"image {i} of the list: " if len(answers) > 1 else ""
            warnings.warn(f"{which}{text}", ImageWarning, stacklevel=3)
