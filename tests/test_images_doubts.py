"""Pictures of which it is doubtful that they are one digit."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import pytest
from pictures import DIGIT, enlarged
from PIL import Image

from pynq_cnn.errors import ImageError
from pynq_cnn.images import prepare


def photo_of(*rows: list[np.ndarray]) -> np.ndarray:
    """Digits in rows, in dark ink on light paper."""
    page = np.vstack([np.hstack(row) for row in rows])
    return 240 - (np.asarray(Image.fromarray(page).resize((page.shape[1] * 5, page.shape[0] * 5))) * 0.8).astype(
        np.uint8
    )


@pytest.mark.once
def test_one_digit_is_in_no_doubt(sample: tuple[np.ndarray, np.ndarray]) -> None:
    assert sum(bool(prepare(photo_of([image]), DIGIT).warnings) for image in sample[0][::10]) <= 2


def test_the_bar_of_a_5_may_be_apart() -> None:
    page = np.full((200, 160), 240, np.uint8)
    page[80:180, 40:52] = page[80:92, 40:120] = page[168:180, 40:120] = page[80:180, 108:120] = 30
    page[50:62, 40:130] = 30
    assert not prepare(page, DIGIT).warnings


@pytest.mark.once
def test_two_digits_are_said_to_be_two(sample: tuple[np.ndarray, np.ndarray]) -> None:
    images = sample[0]
    for a, b in zip(images[0:16:2], images[1:16:2]):
        for page in (photo_of([a, b]), photo_of([a], [b])):
            for picture in (page, 255 - page, np.asarray(Image.fromarray(page).resize((90, 90)))):
                assert any("more than one digit" in text for text in prepare(picture, DIGIT).warnings)


@pytest.mark.once
def test_colour_blocks_and_blots_are_in_doubt() -> None:
    rng = np.random.default_rng(0)
    doubted = 0
    for _ in range(60):
        cells = rng.integers(0, 256, (int(rng.integers(1, 4)), int(rng.integers(2, 5)), 3), dtype=np.uint8)
        try:
            doubted += bool(prepare(Image.fromarray(cells).resize((200, 200), 0), DIGIT).warnings)
        except ImageError:
            doubted += 1
    assert doubted == 60
    blot = np.full((100, 100), 255, np.uint8)
    blot[30:70, 30:58] = 10
    assert any("a blot" in text for text in prepare(blot, DIGIT).warnings)


def test_too_few_pixels_are_said_to_be_few(sample: tuple[np.ndarray, np.ndarray]) -> None:
    for side, few in ((8, True), (20, False)):
        small = np.full((60, 60), 230, np.uint8)
        small[20 : 20 + side, 20 : 20 + side] -= enlarged(sample[0][3], side) // 2
        assert any("fewer than 8 pixels a side" in text for text in prepare(small, DIGIT).warnings) == few


def test_steps_say_where_the_digit_was(sample: tuple[np.ndarray, np.ndarray]) -> None:
    page = np.full((300, 400), 240, np.uint8)
    page[100:180, 200:212] = 20
    cropped, taken, inverted, placed = prepare(page, DIGIT).steps
    numbers = [int(n) for n in re.findall(r"\d+", cropped)]
    assert np.abs(np.array(numbers) - [12, 80, 200, 100, 400, 300]).max() <= 4, cropped
    assert taken.startswith("dark strokes") and inverted == "inverted" and "20 pixels" in placed and "28 x 28" in placed


def test_shapes_and_patterns_that_are_no_digit_are_in_doubt() -> None:
    square = np.full((200, 300), 235, np.uint8)
    square[40:162, 90:212] = 30
    disc = np.full((240, 240), 235, np.uint8)
    y, x = np.indices(disc.shape)
    disc[(y - 120) ** 2 + (x - 120) ** 2 < 70**2] = 30
    checkerboard = (np.indices((28, 28)).sum(0) % 2 * 255).astype(np.uint8)
    noise = (np.random.default_rng(0).random((28, 28)) > 0.5).astype(np.uint8) * np.uint8(255)
    with pytest.raises(ImageError, match="a filled shape on the picture is too broad for a stroke"):
        prepare(square, DIGIT)
    for picture in (255 - square, disc, checkerboard, noise):
        with suppress(ImageError):  # refused is as good
            assert prepare(picture, DIGIT).warnings
