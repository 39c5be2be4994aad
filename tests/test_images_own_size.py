"""Pictures of the network's own size, which are taken as they are."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pictures import DIGIT, enlarged, part_right
from PIL import Image

from host_train.data import load_dataset
from pynq_cnn.errors import DatasetError, ImageError
from pynq_cnn.images import prepare, to_network_input
from pynq_cnn.model import Network
from pynq_cnn.zoo import load_model


def test_real_digits_pass_byte_for_byte(sample: tuple[np.ndarray, np.ndarray]) -> None:
    for image in sample[0]:
        assert np.array_equal(to_network_input(image, DIGIT)[:, :, 0], image)


def test_real_digits_on_white_are_inverted(sample: tuple[np.ndarray, np.ndarray]) -> None:
    for image in sample[0][:50]:
        assert np.array_equal(to_network_input(255 - image, DIGIT)[:, :, 0], image)


def as_jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75)
    return file.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        lambda d: np.stack([d] * 3, 2),
        lambda d: d / 255,
        lambda d: np.float32(d) / np.float32(255),
        lambda d: Image.fromarray(d).convert("RGBA"),
        lambda d: d.astype(np.uint16) * 257,
    ],
    ids=["RGB", "float64", "float32", "RGBA", "uint16"],
)
def test_real_digits_in_any_form_are_taken_as_they_are(
    form: Callable[[np.ndarray], Any], sample: tuple[np.ndarray, np.ndarray]
) -> None:
    for image in sample[0][:20]:
        ready = prepare(form(image), DIGIT)
        assert np.array_equal(ready.pixels[:, :, 0], image) and not ready.warnings
        inverted = prepare(form(255 - image), DIGIT)
        assert np.array_equal(inverted.pixels[:, :, 0], image) and "inverted" in inverted.steps[-1]
        assert np.array_equal(
            prepare(form(255 - image), dataclasses.replace(DIGIT, invert="never")).pixels[:, :, 0], 255 - image
        )


def test_real_digits_as_jpeg_files_are_not_moved(sample: tuple[np.ndarray, np.ndarray]) -> None:
    for image in sample[0][:50]:
        ready = prepare(as_jpeg(image), DIGIT)
        assert ready.steps == ("taken as it is",)


@pytest.mark.once
def test_all_of_mnist_passes_byte_for_byte() -> None:
    """And is the one thing that a warning must hardly ever be raised of."""
    try:
        images = load_dataset("mnist").test.images
    except DatasetError as error:
        pytest.skip(str(error))
    ready = [prepare(image, DIGIT) for image in images]
    assert all(
        one.steps == ("taken as it is",) and np.array_equal(one.pixels, image) for one, image in zip(ready, images)
    )
    assert sum(bool(one.warnings) for one in ready) <= 30


@pytest.mark.once
@pytest.mark.parametrize("name, model", [("fashion_mnist", "nin"), ("cifar10", "vgg_bnn")])
def test_other_data_sets_pass_byte_for_byte(name: str, model: str) -> None:
    try:
        images = load_dataset(name).test.images[:1000]
    except DatasetError as error:
        pytest.skip(str(error))
    spec = dataclasses.replace(load_model(model).input, height=images.shape[1], width=images.shape[2])
    for image in images:
        ready = prepare(image, spec)
        assert np.array_equal(ready.pixels, image)
        if not ready.warnings:
            continue
        assert spec.channels == 3 and (np.ptp(image, 2) == 0).all()  # of CIFAR-10's one in a hundred are grey
        assert ready.warnings == ("the picture is grey, and the network knows pictures in colour",)


@pytest.mark.once
@pytest.mark.parametrize(
    "change",
    [
        lambda d: (210 - 0.6 * d.astype(float)).astype(np.uint8),  # a pencil on grey paper
        lambda d: (40 + 0.7 * d.astype(float)).astype(np.uint8),  # chalk on a blackboard
        lambda d: np.pad(enlarged(d[4:24, 4:24], 12), ((1, 15), (14, 2))),  # drawn small, in a corner
        lambda d: enlarged(d[4:24, 4:24], 28),  # drawn as large as there is room
    ],
    ids=["grey paper", "blackboard", "corner", "large"],
)
def test_what_is_of_the_right_size_only_is_fitted(
    change: Callable[[np.ndarray], np.ndarray], sample: tuple[np.ndarray, np.ndarray], lenet: Network
) -> None:
    images, labels = sample[0][::12], sample[1][::12]
    ready = [prepare(change(image), DIGIT) for image in images]
    assert all("placed by its centre of mass" in one.steps[-1] for one in ready)
    assert part_right(lenet, [one.pixels for one in ready], labels) >= 0.92


@pytest.mark.parametrize("value", [0, 20, 200, 255])
def test_a_blank_image_of_the_right_size_is_refused_as_any_other(value: int) -> None:
    with pytest.raises(ImageError, match="no digit was found"):
        to_network_input(np.full((28, 28), value, np.uint8), DIGIT)
