"""A drawing or photo of one handwritten digit, made into what MNIST's digits look like.

MNIST's digits were cut out, scaled with antialiasing to fit 20 x 20 pixels, and placed by their centre of mass in 28 x
28 (LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, section III.A). A photo needs more
before that: light is uneven, ink is darker or lighter than what it is on, there is dirt, the sheet lies on a table, and
pens write thinner or bolder. `benchmarks/photos.py` measures what each of these costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from pynq_cnn.errors import ImageError
from pynq_cnn.images.components import components
from pynq_cnn.images.crop import PLAIN, RESAMPLING
from pynq_cnn.images.doubt import doubts, stroke_width
from pynq_cnn.images.paper import WIDEST_STROKE, otsu, paper_under
from pynq_cnn.images.prepared import Notes

LARGEST = 1024  # pixels along the longer side; more show no more of a digit
SMALLEST = 112  # a smaller picture is enlarged to this first: what follows is made for strokes some pixels wide
COARSE = 96  # pixels along the longer side where paper and table are looked for
SEARCH = 256  # pixels along the longer side where the digit is looked for
FINE = 7  # pixels per pixel of the network where the digit is cut out
LEAST_CONTRAST = 0.05  # of the full range, between a digit and what is around it; less is a blank page
# Dark or light ink: with less than this part of the other's contrast it is no rival; with this part of its box inside
# it is enclosed.
RIVAL, ENCLOSED = 0.75, 0.9
SPECK = 0.1  # a component with less than this part of the ink of the largest is dirt
# Width of strokes in pixels of the network; nine tenths of MNIST's are 1.7 to 4.2. Ball pens and markers are brought
# into this range.
THINNEST, BOLDEST = 2.2, 4.0
# An image that is placed as MNIST's are already: strokes reach `BRIGHT`, half of it is at most `BLACK`, up to `FAINT`
# may be JPEG's noise.
BRIGHT, FAINT, BLACK = 200, 48, 16
FEW_PIXELS = 8  # fewer along its longer side, and of a digit too little is left
MUCH_ELSE = 0.03  # part of the picture, away from the strokes, that is half as dark as they are
TOO_BROAD = (
    "a filled shape on the picture is too broad for a stroke: write with a thinner pen, or cut the picture to the digit"
)


def fit_digit(
    grey: np.ndarray, height: int, width: int, invert: str = "auto", notes: Notes | None = None
) -> np.ndarray:
    """Find the digit, and place it as MNIST places its digits.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8 [H, W]. Of the size wanted already and placed as MNIST's digits are, it is taken as it is, inverted at
        most.
    height, width : int
        Size wanted.
    invert : {"auto", "never"}
        "auto": light strokes on black, whatever the picture has. "never": dark strokes on white where the picture has
        dark strokes.
    notes : Notes, optional
        What is done, and what is in doubt, is written down here.

    Returns
    -------
    numpy.ndarray
        uint8 [height, width], a copy.

    Raises
    ------
    ImageError
        If nothing stands out from the background.
    """
    notes = Notes() if notes is None else notes
    side = max(1, round(min(height, width) * 20 / 28))
    if grey.shape == (height, width):
        for own in (grey, 255 - grey):
            if _is_placed(own, side):
                notes.warn_all(doubts(components(own > FAINT), own.shape))
                if own is not grey and invert == "auto":
                    notes.step("inverted, as its strokes are dark; otherwise taken as it is")
                return own.copy() if invert == "auto" else grey.copy()
    whole = _enlarged(_scaled_to(Image.fromarray(grey), LARGEST))
    picture, at = _without_table(whole, whole.width / grey.shape[1])
    dark, light = _find(picture), _find(ImageOps.invert(picture))  # dark ink, or light ink
    found = _clearer(dark, light)
    if found.contrast < LEAST_CONTRAST:
        if _solid(picture):
            raise ImageError(f"no digit was found: {TOO_BROAD}")
        low, high = int(grey.min()), int(grey.max())
        raise _nothing_found(
            f"; its bytes are from {low} to {high} of 255: if they were scaled, scale them back"
            if 0 < high - low < PLAIN
            else ""
        )
    digit = _place(_cut_out(found, side), side, height, width)
    _note(notes, found, whole, at, grey.shape)
    notes.step(
        f"{'dark strokes on a lighter' if found is dark else 'light strokes on a darker'} ground were taken for the"
        " digit"
    )
    if found is dark and invert == "auto":
        notes.step("inverted")
    notes.step(
        f"scaled to {side} pixels, strokes to the width that MNIST's have, and placed by its centre of mass in {width}"
        f" x {height}"
    )
    return 255 - digit if invert == "never" and found is dark else digit


def _is_placed(light: np.ndarray, side: int) -> bool:
    """Whether an image of the network's size looks like one of MNIST's: bright strokes of the right size around the
    middle of pure black.

    All 70,000 of MNIST do, as JPEG files too; a photo's paper, however dark, is not black.
    """
    if light.max() < BRIGHT or np.median(light) > BLACK:
        return False
    ink = light * (light > FAINT)
    left, top, right, bottom = _box(np.argwhere(ink))
    if not 0.85 * side <= max(right - left, bottom - top) <= 1.2 * side:
        return False
    mass = ink / ink.sum(dtype=np.float64)
    centres = [mass.sum(1 - axis) @ np.arange(n) - n / 2 for axis, n in enumerate(light.shape)]
    return max(map(abs, centres)) <= max(1.0, 0.075 * side)


def _note(notes: Notes, found: _Found, whole: Image.Image, at: tuple[int, int], shape: tuple[int, ...]) -> None:
    """Where the digit was found, in pixels of the picture as it came, uint8 [H, W] of `shape`; and whether it looks
    like one.
    """
    scale = shape[1] / whole.width  # as it came : as it was looked at
    coarse = found.picture.width / found.strokes.shape[1] * scale
    left, top, right, bottom = (round(v * coarse) for v in _box(np.argwhere(found.strokes)))
    if at != (0, 0):
        notes.step(
            f"the sheet of paper was cut out of what it lies on, at ({round(at[0] * scale)}, {round(at[1] * scale)})"
        )
    x, y, w, h = left + round(at[0] * scale), top + round(at[1] * scale), max(1, right - left), max(1, bottom - top)
    notes.step(f"cropped to {w} x {h} pixels at ({x}, {y}) of {shape[1]} x {shape[0]}")
    notes.warn_all(doubts(found.parts, found.strokes.shape))
    if max(w, h) < FEW_PIXELS:
        notes.warn(
            f"the digit has fewer than {FEW_PIXELS} pixels a side, too few to be read safely: take it closer, or do not"
            " scale it down"
        )
    if _solid(found.picture):
        notes.warn(TOO_BROAD)
    near = np.asarray(_bytes(found.strokes).filter(ImageFilter.BoxBlur(4))) > 0  # any stroke within four pixels
    depth = found.ink[found.strokes]
    if (found.ink[~near] > depth.mean() / 2).sum() > MUCH_ELSE * near.size or depth.std() > 0.6 * depth.mean():
        notes.warn(
            "the picture shows more than a digit on plain paper, the answer is for one part of it: cut the picture to"
            " the digit"
        )


def _solid(picture: Image.Image) -> bool:
    """Whether something dark is broad both ways, filled, and clear of the picture's edge: neither strokes, nor shade,
    nor a table.

    Where that is broader than strokes can be, `paper_under` takes it for paper, and what is found is its outline.
    """
    small = _floats(_scaled_to(picture, COARSE)) / 255
    threshold, low, high = otsu(small)
    if low > 0.6 * high:
        return False
    last = np.array(small.shape) - 1
    for part in components(small <= threshold):
        left, top, right, bottom = _box(part)
        if (
            part.min() == 0
            or (part.max(0) == last).any()
            or min(right - left, bottom - top) < WIDEST_STROKE * min(small.shape)
        ):
            continue
        if len(part) > 0.75 * (right - left) * (bottom - top):
            return True
    return False


def _nothing_found(more: str = "") -> ImageError:
    return ImageError(
        "no digit was found: nothing on the picture stands out from its background; "
        f"write with a dark pen on plain light paper, and take the photo closer and in even light{more}"
    )


def _scaled_to(picture: Image.Image, longest: int) -> Image.Image:
    """Scaled down so that no side is longer than `longest`."""
    scale = min(1.0, longest / max(picture.size))
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), RESAMPLING.BOX)


def _enlarged(picture: Image.Image) -> Image.Image:
    """Scaled up so that the longer side has `SMALLEST` pixels."""
    scale = max(1.0, SMALLEST / max(picture.size))
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), RESAMPLING.BICUBIC)


def _floats(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32)


def _bytes(values: np.ndarray) -> Image.Image:
    """A grey image of values in 0..1."""
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) around [n, 2] rows and columns."""
    (top, left), (bottom, right) = pixels.min(0), pixels.max(0) + 1
    return int(left), int(top), int(right), int(bottom)


def _without_table(picture: Image.Image, enlarged: float) -> tuple[Image.Image, tuple[int, int]]:
    """The sheet of paper alone, where one lies on something much darker and is seen nearly whole; and its left
    and top. The picture was `enlarged` this many times, which blurs the sheet's edge.
    """
    small = _floats(_scaled_to(picture, COARSE)) / 255
    threshold, low, high = otsu(small)
    light = small > threshold
    ring = np.ones_like(light)
    ring[1:-1, 1:-1] = False
    if (
        low > 0.55 * high or light[ring].mean() > 0.25
    ):  # even a hard shadow leaves more light than that, and crosses the border
        return picture, (0, 0)
    sheet = max(components(light), key=len)
    left, top, right, bottom = _box(sheet)
    x, y = picture.width / small.shape[1], picture.height / small.shape[0]
    edge = max(2, ceil(enlarged / x))  # where sheet and table mix
    if min(right - left, bottom - top) < max(0.4 * min(small.shape), 4 * edge) or len(sheet) < 0.75 * (right - left) * (
        bottom - top
    ):
        return picture, (0, 0)  # strokes are narrow, or fill little of their box
    at = int((left + edge) * x), int((top + edge) * y)
    return picture.crop((*at, int((right - edge) * x), int((bottom - edge) * y))), at


@dataclass(frozen=True, eq=False)
class _Found:
    """Strokes darker than the paper: their `contrast` to what is around them in 0..1; in a picture scaled to `SEARCH`,
    the `ink` in 0..1, float32 [h, w], the `strokes`, bool [h, w], and their `parts`, int [n, 2] each.
    """

    contrast: float
    picture: Image.Image
    paper: np.ndarray
    ink: np.ndarray
    strokes: np.ndarray
    parts: list[np.ndarray]


def _under(picture: Image.Image, paper: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The paper's brightness for each pixel of a picture, float32 [h, w]; `box` is the part of `paper` that the picture
    shows.
    """
    return _floats(Image.fromarray(paper).resize(picture.size, RESAMPLING.BILINEAR, box=box))


def _find(picture: Image.Image) -> _Found:
    """Look for dark strokes."""
    paper = paper_under(_floats(_scaled_to(picture, COARSE)))
    small = _scaled_to(picture, SEARCH)
    grey, under = _floats(small), _under(small, paper, (0, 0, paper.shape[1], paper.shape[0]))
    ink = _floats(_bytes(np.clip(1 - grey / under, 0, 1)).filter(ImageFilter.GaussianBlur(1))) / 255
    parts = _largest(ink, ink > otsu(ink)[0])
    strokes = np.zeros(ink.shape, bool)
    if not parts:
        return _Found(0.0, picture, paper, ink, strokes, parts)
    strokes[tuple(np.concatenate(parts).T)] = True
    left, top, right, bottom = _box(np.argwhere(strokes))
    margin = 2 + max(right - left, bottom - top) // 6
    left, top = max(0, left - margin), max(0, top - margin)
    right, bottom = min(small.width, right + margin), min(small.height, bottom + margin)
    # To what is around the strokes, not to what is between them: seen as light ink on dark, the inside of a 0 is a
    # stroke too, but one that is as bright as the paper around. And less than the paper, or a change of the light over
    # a blank page is a contrast too.
    contrasts = []
    for values in (grey, grey - under):
        around = np.concatenate(
            [values[[top, bottom - 1], left:right].ravel(), values[top:bottom, [left, right - 1]].ravel()]
        )
        contrasts.append(float(np.median(around) - values[strokes].mean()) / 255)
    return _Found(min(contrasts), picture, paper, ink, strokes, parts)


def _clearer(dark: _Found, light: _Found) -> _Found:
    """Which of the two is the digit: the one with more contrast; but of two that differ little in it, the one that
    encloses the other.

    Bold strokes leave paper between them that is as narrow as strokes, and stands out from them as they do from the
    paper.
    """
    more, less = (dark, light) if dark.contrast >= light.contrast else (light, dark)
    if less.contrast < max(LEAST_CONTRAST, RIVAL * more.contrast):
        return more
    inner, outer = (
        np.array(_box(np.argwhere(found.strokes))).reshape(2, 2) for found in (more, less)
    )  # first or last, x or y
    shared = np.maximum(0, np.minimum(inner[1], outer[1]) - np.maximum(inner[0], outer[0])).prod()
    area, area_around = (inner[1] - inner[0]).prod(), (outer[1] - outer[0]).prod()
    return less if area < area_around and shared >= ENCLOSED * area else more


def _largest(ink: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The components of `mask` that are not dirt, nor the dark edge of the picture where there is anything else."""
    found = components(mask)
    if not found:
        return []
    mass = np.array([ink[c[:, 0], c[:, 1]].sum() for c in found])
    last = np.array(mask.shape) - 1
    inner = np.array([c.min() > 0 and bool((c.max(0) < last).all()) for c in found])
    if (mass * inner).max() > 0.2 * mass.max():
        mass = mass * inner
    return [c for c, m in zip(found, mass) if m >= SPECK * mass.max()]


def _cut_out(found: _Found, side: int) -> Image.Image:
    """The strokes' coverage, 0..255, cropped to them, `FINE` times as large as `side` or a little more."""
    h, w = found.strokes.shape
    left, top, right, bottom = _box(np.argwhere(found.strokes))
    longest = max(right - left, bottom - top)
    margin = 1 + 0.15 * longest
    window = (
        max(0, left - margin) / w,
        max(0, top - margin) / h,
        min(w, right + margin) / w,
        min(h, bottom + margin) / h,
    )
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
    ramp = (
        max(high - low, 1e-3) / 4
    )  # ink on both sides of the threshold becomes a soft edge, as antialiasing makes one
    coverage = np.clip((ink - threshold) / (2 * ramp) + 0.5, 0, 1)
    drawn = _bytes(coverage)
    width = stroke_width(coverage > 0.5)
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
    small = np.asarray(
        drawn.resize((max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))), RESAMPLING.BICUBIC)
    )
    offsets = []
    for axis, room in ((0, height), (1, width)):
        mass = small.sum(1 - axis, dtype=np.float64)
        centre = mass @ (np.arange(len(mass)) + 0.5) / mass.sum()
        offsets.append(min(max(0, room // 2 - int(centre)), room - len(mass)))
    placed = np.zeros((height, width), np.uint8)
    placed[offsets[0] : offsets[0] + small.shape[0], offsets[1] : offsets[1] + small.shape[1]] = small
    return placed
