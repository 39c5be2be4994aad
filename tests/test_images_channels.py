"""Networks that take alpha, or channels that no picture has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import COLOURS, GREY, RAMP, RGB, encoded
from PIL import Image

import pynq_cnn
from pynq_cnn.errors import ImageError, NetworkError
from pynq_cnn.images import prepare, to_network_input
from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec
from pynq_cnn.result import Classification

LA = InputSpec(4, 6, 2, "LA", (0.0,) * 2, (1.0,) * 2)
RGBA = InputSpec(4, 6, 4, "RGBA", (0.0,) * 4, (1.0,) * 4)
BGRA = replace(RGBA, color="BGRA")
TWO = replace(LA, color="plain")
FOUR = replace(RGBA, color="plain")
ALPHA = (255 - RAMP)[:, :, None]
CLEAR = np.concatenate([COLOURS, ALPHA], 2)
SHADES = np.concatenate([RAMP[:, :, None], ALPHA], 2)


@pytest.mark.parametrize("form", ["array", "picture", "file"])
def test_alpha_is_kept_as_it_is(form: str) -> None:
    forms = {
        "array": lambda pixels: pixels,
        "picture": Image.fromarray,
        "file": lambda pixels: encoded(Image.fromarray(pixels)),
    }
    made = forms[form]
    assert np.array_equal(to_network_input(made(CLEAR), RGBA), CLEAR)
    assert np.array_equal(to_network_input(made(CLEAR), BGRA), CLEAR[:, :, [2, 1, 0, 3]])
    assert np.array_equal(to_network_input(made(SHADES), LA), SHADES)
    grey = to_network_input(made(CLEAR), LA)
    assert np.array_equal(grey[:, :, 0], np.asarray(Image.fromarray(COLOURS).convert("L")))
    assert np.array_equal(grey[:, :, 1:], ALPHA)
    assert not any("laid over" in step for step in prepare(made(CLEAR), RGBA).steps)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "I;16", "F", "jpeg", "array"])
def test_what_has_no_alpha_is_opaque_and_says_so(mode: str) -> None:
    colours = Image.fromarray(COLOURS)
    forms = {
        "I;16": lambda: Image.frombytes("I;16", (6, 4), (RAMP.astype("<u2") * 257).tobytes()),
        "F": lambda: Image.fromarray((RAMP / 255).astype(np.float32)),
        "jpeg": lambda: encoded(colours, "JPEG"),
        "array": lambda: COLOURS,
    }
    picture = forms[mode]() if mode in forms else colours.convert(mode)
    for spec, same in ((RGBA, RGB), (LA, GREY)):
        ready, without = prepare(picture, spec), prepare(picture, same)
        assert np.array_equal(ready.pixels[:, :, :-1], without.pixels) and (ready.pixels[:, :, -1] == 255).all()
        assert "given an opaque alpha channel, as it has none" in ready.steps
        assert ready.warnings == without.warnings


@pytest.mark.parametrize("mode", ["P", "RGB", "L", "1"])
def test_a_transparent_colour_is_alpha(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(np.where(RAMP > 100, np.uint8(255), np.uint8(0))).convert(mode)
    picture.save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    for spec in (RGBA, LA):
        assert np.array_equal(to_network_input(tmp_path / "a.png", spec)[:, :, -1], np.where(RAMP > 100, 255, 0))


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_colours(mode: str) -> None:
    spec, pixels = (LA, SHADES) if mode == "La" else (RGBA, CLEAR)
    opaque = pixels.copy()
    opaque[:, :, -1] = 255
    picture = Image.fromarray(opaque)
    assert np.array_equal(to_network_input(picture.convert(mode), spec), opaque)


def test_scaling_counts_a_colour_as_much_as_it_is_opaque() -> None:
    """Red beside transparent green does not become yellow."""
    page = np.zeros((8, 12, 4), np.uint8)
    page[:, :, 1], page[:, ::2] = 255, (255, 0, 0, 255)
    inner = to_network_input(page, RGBA)[:, 1:-1]
    assert (inner[..., 0] > 250).all() and (inner[..., 1] < 5).all()
    assert (abs(inner[..., 3].astype(int) - 128) < 20).all()
    as_pillow = Image.fromarray(page).resize((6, 4), Image.BICUBIC)
    assert np.array_equal(to_network_input(page, RGBA), np.asarray(as_pillow))


def test_only_colours_are_inverted_and_looked_at() -> None:
    light = np.full((4, 6, 2), 250, np.uint8)
    light[1:3, 2:4, 0], light[0, 0, 1] = 10, 3
    ready = prepare(light, replace(LA, invert="auto"))
    assert np.array_equal(ready.pixels[:, :, 0], 255 - light[:, :, 0])
    assert np.array_equal(ready.pixels[:, :, 1], light[:, :, 1])
    assert any("one brightness all over" in text for text in prepare(np.full((4, 6), 9, np.uint8), LA).warnings)
    assert any("every pixel of the picture is transparent" in text for text in prepare(CLEAR * 0, RGBA).warnings)
    assert any("is grey, and the network knows" in text for text in prepare(SHADES[:, :, 0], RGBA).warnings)


@pytest.mark.parametrize("spec", [GREY, RGB, RGBA], ids=["L", "RGB", "RGBA"])
def test_two_channels_are_grey_and_alpha_only_for_a_network_of_these(spec: InputSpec) -> None:
    with pytest.raises(
        ImageError, match=r"not one image: it must be \[H, W\], \[H, W, 1\], \[H, W, 3\] or \[H, W, 4\]"
    ):
        prepare(SHADES, spec)


@pytest.mark.parametrize("spec, array", [(TWO, SHADES), (FOUR, CLEAR)], ids=["two", "four"])
def test_plain_channels_are_arrays_only(spec: InputSpec, array: np.ndarray) -> None:
    for given in (array, array / 255, array.astype(np.int32), np.asfortranarray(array)):
        ready = prepare(given, spec)
        assert np.array_equal(ready.pixels, array) and ready.steps == ("taken as it is",) and not ready.warnings
    half = to_network_input(np.kron(array, np.ones((2, 2, 1), np.uint8)), spec)
    for channel in range(spec.channels):  # each by itself, whatever the last one holds
        alone = to_network_input(np.kron(array[:, :, channel], np.ones((2, 2), np.uint8)), GREY)
        assert np.array_equal(half[:, :, channel : channel + 1], alone)
    message = rf"this network takes {spec.channels} plain channels.*pass a NumPy array \[H, W, {spec.channels}\];"
    for picture in (Image.fromarray(array), encoded(Image.fromarray(array)), "a.png", None):
        with pytest.raises(ImageError, match=message):
            prepare(picture, spec)
    wrong = [RAMP, COLOURS, RAMP[:, :, None], SHADES if spec is FOUR else CLEAR, np.moveaxis(array, 2, 0), array[None]]
    for other in wrong:
        with pytest.raises(ImageError, match=rf"not one image: it must be \[H, W, {spec.channels}\]; "):
            prepare(other, spec)
    with pytest.raises(ImageError, match="channels come last"):
        prepare(np.moveaxis(array, 2, 0), spec)
    with pytest.raises(ImageError, match="NaN"):
        prepare(np.full(array.shape, np.nan), spec)


def test_one_plain_channel_is_no_grey_picture() -> None:
    spec = replace(GREY, color="plain")
    assert np.array_equal(to_network_input(RAMP, spec)[:, :, 0], RAMP)
    with pytest.raises(ImageError, match="takes 1 plain channels"):
        prepare(Image.fromarray(RAMP), spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": "RGB", "channels": 4}, r"'RGB' has 3 channel\(s\), but input.channels is 4.*'plain'"),
        ({"color": "LA", "channels": 4}, r"'LA' has 2 channel\(s\)"),
        (
            {"color": "plain", "fit": "digit"},
            "'plain' goes with input.fit 'crop' and input.invert 'never', not 'digit'",
        ),
        ({"color": "plain", "invert": "auto"}, "not 'crop' and 'auto'"),
        ({"color": "plain", "channels": 0}, "input.channels"),
    ],
)
def test_unusable_channels(change: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        replace(RGBA, **change)


def sums(spec: InputSpec) -> Network:
    """A network whose logits are the sums of its channels."""
    channels = spec.channels
    weight = np.tile(np.eye(channels, dtype=np.int8), (1, spec.height * spec.width))
    scale = np.ones(channels, np.float32)
    layer = Dense("fc", weight, np.zeros(channels, np.int32))
    return Network("sums", spec, (layer,), OutputSpec(scale, scale * 0, "values"), tuple(map(str, range(channels))))


@pytest.mark.parametrize("backend", ["reference", "cpu", "kernel"])
@pytest.mark.parametrize("spec", [LA, BGRA, TWO, replace(FOUR, channels=5, mean=(0.0,) * 5, std=(1.0,) * 5)])
def test_every_channel_reaches_the_network(spec: InputSpec, backend: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *spec.shape), dtype=np.uint8)
    with pynq_cnn.Classifier(sums(spec), backend) as classifier:
        assert np.array_equal(classifier.predict(images), images.astype(int).sum((1, 2)))
        answer = classifier.classify(images[0] if spec.color != "BGRA" else images[0][:, :, [2, 1, 0, 3]])
    assert np.array_equal(answer.seen, images[0]) and answer.color == spec.color
    assert np.array_equal(answer.logits, images[0].astype(int).sum((0, 1)))


def shown(seen: np.ndarray, color: str) -> Classification:
    return Classification(np.zeros(2, np.float32), ("a", "b"), "cpu", 0.1, 0.1, seen, color)


def test_what_is_shown_of_it(tmp_path: Path) -> None:
    def picture(seen: np.ndarray, color: str) -> np.ndarray:
        (tmp_path / "seen.png").write_bytes(shown(seen, color).seen_png)
        with Image.open(tmp_path / "seen.png") as image:
            return np.asarray(image)

    assert np.array_equal(picture(CLEAR, "RGBA"), CLEAR)
    assert np.array_equal(picture(CLEAR[:, :, [2, 1, 0, 3]], "BGRA"), CLEAR)
    assert np.array_equal(picture(SHADES, "LA"), SHADES[:, :, [0, 0, 0, 1]])
    assert np.array_equal(picture(CLEAR, "plain"), np.hstack(np.moveaxis(CLEAR, 2, 0)))
    assert 'width="448" height="112"' in shown(CLEAR, "plain")._repr_html_()
    assert 'width="112" height="112"' in shown(CLEAR, "RGBA")._repr_html_()
    assert "4 x 6 RGBA to" in repr(sums(RGBA)) and "4 x 6 4 plain channels to" in repr(sums(FOUR))
