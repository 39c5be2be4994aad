"""A drawing or photo of one handwritten digit, made into what MNIST's digits look like.

MNIST's digits were cut out, scaled with antialiasing to fit 20 x 20 pixels, and placed by their centre of mass in 28 x 28
(LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, section III.A). A photo needs more before that:
light is uneven, ink is darker or lighter than what it is on, there is dirt, the sheet lies on a table, and pens write thinner or bolder.
`benchmarks/photos.py` measures what each of these costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from pynq_cnn.errors import ImageError
from pynq_cnn.images.components import components
from pynq_cnn.images.crop import RESAMPLING, is_light
from pynq_cnn.images.paper import otsu, paper_under

LARGEST = 1024  # pixels along the longer side; more show no more of a digit
COARSE = 96  # pixels along the longer side where paper and table are looked for
SEARCH = 256  # pixels along the longer side where the digit is looked for
FINE = 7  # pixels per pixel of the network where the digit is cut out
LEAST_CONTRAST = 0.05  # of the full range, between a digit and what is around it; less is a blank page
SPECK = 0.1  # a component with less than this part of the ink of the largest is dirt
# Width of strokes in pixels of the network; nine tenths of MNIST's are 1.7 to 4.2. Ball pens and markers are brought into this range.
THINNEST, BOLDEST = 2.2, 4.0


def fit_digit(grey: np.ndarray, height: int, width: int, invert: str = "auto") -> np.ndarray:
    """Find the digit, and place it as MNIST places its digits.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8 [H, W]. Of the size wanted already, it is taken as it is, and inverted only if `invert` is "auto" and its border light.
    height, width : int
        Size wanted.
    invert : {"auto", "never"}
        "auto": light strokes on black, whatever the picture has. "never": dark strokes on white where the picture has dark strokes.

    Returns
    -------
    numpy.ndarray
        uint8 [height, width], a copy.

    Raises
    ------
    ImageError
        If nothing stands out from the background.
    """
    if grey.shape == (height, width):
        return 255 - grey if invert == "auto" and is_light(grey) else grey.copy()
    picture = _without_table(_scaled_to(Image.fromarray(grey), LARGEST))
    dark, light = _find(picture), _find(ImageOps.invert(picture))  # dark ink, or light ink
    found = dark if dark.contrast >= light.contrast else light
    if found.contrast < LEAST_CONTRAST:
        raise _nothing_found()
    side = max(1, round(min(height, width) * 20 / 28))
    digit = _place(_cut_out(found, side), side, height, width)
    return 255 - digit if invert == "never" and found is dark else digit


def _nothing_found() -> ImageError:
    return ImageError(
        "no digit was found: nothing on the picture stands out from its background; "
        "write with a dark pen on plain light paper, and take the photo closer and in even light"
    )


def _scaled_to(picture: Image.Image, longest: int) -> Image.Image:
    """Scaled down so that no side is longer than `longest`."""
    scale = min(1.0, longest / max(picture.size))
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), RESAMPLING.BOX)


def _floats(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32)


def _bytes(values: np.ndarray) -> Image.Image:
    """A grey image of values in 0..1."""
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) around [n, 2] rows and columns."""
    (top, left), (bottom, right) = pixels.min(0), pixels.max(0) + 1
    return int(left), int(top), int(right), int(bottom)


def _without_table(picture: Image.Image) -> Image.Image:
    """The sheet of paper alone, where one lies on something much darker and is seen nearly whole."""
    small = _floats(_scaled_to(picture, COARSE)) / 255
    threshold, low, high = otsu(small)
    light = small > threshold
    ring = np.ones_like(light)
    ring[1:-1, 1:-1] = False
    if low > 0.55 * high or light[ring].mean() > 0.25:  # even a hard shadow leaves more light than that, and crosses the border
        return picture
    sheet = max(components(light), key=len)
    left, top, right, bottom = _box(sheet)
    edge = 2  # where sheet and table mix
    if min(right - left, bottom - top) < max(0.4 * min(small.shape), 4 * edge) or len(sheet) < 0.75 * (right - left) * (bottom - top):
        return picture  # strokes are narrow, or fill little of their box
    x, y = picture.width / small.shape[1], picture.height / small.shape[0]
    return picture.crop((int((left + edge) * x), int((top + edge) * y), int((right - edge) * x), int((bottom - edge) * y)))


@dataclass(frozen=True, eq=False)
class _Found:
    """What is darker than the paper: `contrast` to what is around it in 0..1, `strokes` bool [h, w] in a picture scaled to `SEARCH`."""

    contrast: float
    picture: Image.Image
    paper: np.ndarray
    strokes: np.ndarray


def _under(picture: Image.Image, paper: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The paper's brightness for each pixel of a picture, float32 [h, w]; `box` is the part of `paper` that the picture shows."""
    return _floats(Image.fromarray(paper).resize(picture.size, RESAMPLING.BILINEAR, box=box))


def _find(picture: Image.Image) -> _Found:
    """Look for dark strokes."""
    paper = paper_under(_floats(_scaled_to(picture, COARSE)))
    small = _scaled_to(picture, SEARCH)
    grey, under = _floats(small), _under(small, paper, (0, 0, paper.shape[1], paper.shape[0]))
    ink = _floats(_bytes(np.clip(1 - grey / under, 0, 1)).filter(ImageFilter.GaussianBlur(1))) / 255
    strokes = _largest(ink, ink > otsu(ink)[0])
    if not strokes.any():
        return _Found(0.0, picture, paper, strokes)
    left, top, right, bottom = _box(np.argwhere(strokes))
    margin = 2 + max(right - left, bottom - top) // 6
    left, top = max(0, left - margin), max(0, top - margin)
    right, bottom = min(small.width, right + margin), min(small.height, bottom + margin)
    # To what is around the strokes, not to what is between them: seen as light ink on dark, the inside of a 0 is a stroke too, but one
    # that is as bright as the paper around. And less than the paper, or a change of the light over a blank page is a contrast too.
    contrasts = []
    for values in (grey, grey - under):
        around = np.concatenate([values[[top, bottom - 1], left:right].ravel(), values[top:bottom, [left, right - 1]].ravel()])
        contrasts.append(float(np.median(around) - values[strokes].mean()) / 255)
    return _Found(min(contrasts), picture, paper, strokes)


def _largest(ink: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The components of `mask` that are not dirt, nor the dark edge of the picture where there is anything else."""
    kept = np.zeros_like(mask)
    found = components(mask)
    if not found:
        return kept
    mass = np.array([ink[c[:, 0], c[:, 1]].sum() for c in found])
    last = np.array(mask.shape) - 1
    inner = np.array([c.min() > 0 and bool((c.max(0) < last).all()) for c in found])
    if (mass * inner).max() > 0.2 * mass.max():
        mass = mass * inner
    for c, m in zip(found, mass):
        if m >= SPECK * mass.max():
            kept[c[:, 0], c[:, 1]] = True
    return kept


def _stroke_width(mask: np.ndarray) -> float:
    """Width of the strokes of a mask in pixels: twice the area over the perimeter, as a line has two long sides."""
    padded = np.pad(mask, 1).astype(np.int8)
    steps = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    return float(2 * mask.sum() / max(1.0, steps * np.pi / 4))  # stairs are 4 / pi times as long as the line they follow, on average


def _cut_out(found: _Found, side: int) -> Image.Image:
    """The strokes' coverage, 0..255, cropped to them, `FINE` times as large as `side` or a little more."""
    h, w = found.strokes.shape
    left, top, right, bottom = _box(np.argwhere(found.strokes))
    longest = max(right - left, bottom - top)
    margin = 1 + 0.15 * longest
    window = max(0, left - margin) / w, max(0, top - margin) / h, min(w, right + margin) / w, min(h, bottom + margin) / h
    scale = FINE * side / longest
    size = max(1, round((window[2] - window[0]) * w * scale)), max(1, round((window[3] - window[1]) * h * scale))

    def part(width: int, height: int) -> tuple[float, float, float, float]:
        return window[0] * width, window[1] * height, window[2] * width, window[3] * height

    fine = found.picture.resize(size, RESAMPLING.BICUBIC, box=part(*found.picture.size))
    ink = np.clip(1 - _floats(fine) / _under(fine, found.paper, part(*found.paper.shape[::-1])), 0, 1)
    near = Image.fromarray(found.strokes.astype(np.uint8)).filter(ImageFilter.MaxFilter(5))
    ink = ink * np.asarray(near.resize(size, RESAMPLING.NEAREST, box=part(w, h)))
    ink = _floats(_bytes(ink).filter(ImageFilter.GaussianBlur(FINE / 6))) / 255
    threshold, low, high = otsu(ink)
    ramp = max(high - low, 1e-3) / 4  # ink on both sides of the threshold becomes a soft edge, as antialiasing makes one
    coverage = np.clip((ink - threshold) / (2 * ramp) + 0.5, 0, 1)
    drawn = _bytes(coverage)
    width = _stroke_width(coverage > 0.5)
    change = round((min(max(width, THINNEST * FINE), BOLDEST * FINE) - width) / 2)  # pixels on each side
    if change:
        drawn = drawn.filter((ImageFilter.MaxFilter if change > 0 else ImageFilter.MinFilter)(2 * abs(change) + 1))
    inked = np.argwhere(np.asarray(drawn) > 127)
    if not len(inked):
        raise _nothing_found()
    return drawn.crop(_box(inked))


def _place(drawn: Image.Image, side: int, height: int, width: int) -> np.ndarray:
    """Scale to fit `side` x `side`; the pixel that holds the centre of mass becomes the middle one, as in MNIST."""
    scale = side / max(drawn.size)
    small = np.asarray(drawn.resize((max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))), RESAMPLING.BICUBIC))
    offsets = []
    for axis, room in ((0, height), (1, width)):
        mass = small.sum(1 - axis, dtype=np.float64)
        centre = mass @ (np.arange(len(mass)) + 0.5) / mass.sum()
        offsets.append(min(max(0, room // 2 - int(centre)), room - len(mass)))
    placed = np.zeros((height, width), np.uint8)
    placed[offsets[0] : offsets[0] + small.shape[0], offsets[1] : offsets[1] + small.shape[1]] = small
    return placed
