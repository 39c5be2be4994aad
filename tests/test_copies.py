"""Classifiers that travel: copies, pickles, executors and processes, by description."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from virtual import small_images, small_network

import pynq_cnn
from pynq_cnn import Classifier
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.zoo import load_sample

pytestmark = pytest.mark.once

IMAGES = load_sample()[0][:12]
NETWORK = small_network()


def predict(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Classify in another process."""
    with classifier:
        return classifier.predict(images)


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize(("model", "backend"), [("lenet", "auto"), ("lenet", "kernel"), (NETWORK, "reference")])
def test_a_copy_is_a_classifier_of_its_own(travel: Any, model: Any, backend: str) -> None:
    images = small_images(5) if model is NETWORK else IMAGES
    with Classifier(model, backend, batch=7) as classifier:
        expected = classifier.logits(images)
        other = travel(classifier)
        assert (other.backend_name, other.backend.batch) == (
            classifier.backend_name,
            7,
        ) and other.network == classifier.network
    with pytest.raises(BackendError, match="closed"):
        classifier.logits(images)
    with other:
        np.testing.assert_array_equal(other.logits(images), expected)


def test_a_copied_network_is_checked_and_frozen_again() -> None:
    with pickle.loads(pickle.dumps(Classifier(NETWORK, "reference"))) as other:
        assert not other.network.layers[0].weight.flags.writeable


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ThreadPoolExecutor(2),
        lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")),
        lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")),
    ],
    ids=["threads", "spawn", "fork"],
)
def test_in_executors(executor: Any) -> None:
    with Classifier("lenet", "reference", batch=3) as classifier, executor() as pool:
        assert isinstance(pool, Executor)
        send = predict if isinstance(pool, ProcessPoolExecutor) else Classifier.predict
        futures = [pool.submit(send, classifier, IMAGES[i : i + 4]) for i in range(0, 12, 4)]
        np.testing.assert_array_equal(
            np.concatenate([future.result() for future in futures]), classifier.predict(IMAGES)
        )


def test_a_forked_process_classifies_as_its_parent_did() -> None:
    expected = pynq_cnn.classify(IMAGES[0], backend="reference").label
    with multiprocessing.get_context("fork").Pool(1) as pool:
        answer = pool.apply(pynq_cnn.classify, (IMAGES[0], "lenet", "reference"))
    assert answer.label == expected


def test_release_gives_back_what_classify_keeps(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pynq_cnn import api

    def on_the_board(*args: Any, **options: Any) -> Classifier:
        return Classifier(*args, **{**options, "bitfile": board.bitfile, "device": board.device})

    pynq_cnn.release()
    monkeypatch.setattr(api, "Classifier", on_the_board)
    first = pynq_cnn.classify(IMAGES[0], backend="overlay")
    used = board.memory.used
    assert first.backend == "overlay" and used > 0
    pynq_cnn.classify(IMAGES[1], backend="overlay")
    assert board.memory.used == used, "the classifier was kept"
    pynq_cnn.release()
    assert board.memory.used == 0
    pynq_cnn.release()
    assert pynq_cnn.classify(IMAGES[0], backend="overlay").label == first.label
    pynq_cnn.release()
    assert board.device.downloads == 1


HUGE = [pytest.param(10**400, id="no float"), pytest.param(10**5000, id="not printed")]


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "1", True, *HUGE])
def test_a_timeout_that_is_none_is_refused_on_every_backend(timeout: Any) -> None:
    for make in (
        lambda: Classifier("lenet", "reference", timeout=timeout),
        lambda: pynq_cnn.classify(IMAGES[0], backend="reference", timeout=timeout),
    ):
        with pytest.raises(ArgumentError, match="timeout must be a positive number of seconds, or None"):
            make()


def test_a_timeout_reaches_the_driver(board: Any) -> None:
    with Classifier(NETWORK, "overlay", bitfile=board.bitfile, device=board.device, timeout=0.25) as classifier:
        assert classifier.backend.timeout == 0.25
