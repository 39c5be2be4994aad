"""How well photos of handwritten digits are read, measured on photos made from the shipped test digits.

Each digit is drawn in ink on a larger sheet, turned, moved, lit unevenly, blurred, made noisy and saved as JPEG; then
it goes through `pynq_cnn.classify` as a user's photo does. The table says what each difficulty costs against the
original 28 x 28 images. These are synthetic photos: nothing here was taken with a camera.

    python benchmarks/photos.py [--digits N] [--held-out] [--seed S] [--kinds KIND ...] [--sheet FILE]
    python benchmarks/photos.py --sizes     the same photos, cut square around the digit and scaled down
    python benchmarks/photos.py --doubts    how often what is not one digit is doubted, and what is
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from PIL import Image, ImageFilter

from pynq_cnn import Classifier, ImageError, ImageWarning
from pynq_cnn.zoo import load_sample

FORMATS = ((480, 640), (640, 480), (600, 600), (360, 480), (768, 1024))  # height, width
SQUARE, CLOSE = (
    ((448, 448),),
    (0.6, 0.95),
)  # photos that are cut to the digit: their format, and the digit's frame against their side
SIZES = (28, 29, 40, 64, 112, 280)
BILINEAR, BICUBIC = (getattr(getattr(Image, "Resampling", Image), name) for name in ("BILINEAR", "BICUBIC"))
NEAREST = getattr(Image, "Resampling", Image).NEAREST


@dataclass(frozen=True)
class Difficulty:
    """One kind of photo. Ranges are drawn from uniformly.

    Parameters
    ----------
    what : str
        For people.
    size : tuple of float
        Side of the digit's 28 x 28 frame against the photo's shorter side.
    paper, ink : tuple of float
        Brightness, 0..255.
    pen : float
        Width of the pen in pixels of 28; 0 leaves the strokes as they are, which is 2 to 4.
    noise : tuple of float
        Standard deviation of the sensor's noise, of 255.
    turn : float
        Largest rotation, degrees.
    shadow, ruled, specks, table : bool
        A hard shadow across the sheet; lines on it; dots of ink; the sheet lies on something dark.
    """

    what: str
    size: tuple[float, float] = (0.35, 0.95)
    paper: tuple[float, float] = (180, 245)
    ink: tuple[float, float] = (20, 90)
    pen: float = 0.0
    noise: tuple[float, float] = (2, 8)
    turn: float = 12.0
    shadow: bool = False
    ruled: bool = False
    specks: bool = False
    table: bool = False


DIFFICULTIES = {
    "straight": Difficulty("uneven light, noise, off-centre", turn=0),
    "plain": Difficulty("the same, turned up to 12 degrees"),
    "small": Difficulty("the digit 1/10 to 1/5 of the photo", size=(0.15, 0.3)),
    "thin": Difficulty("a ball pen, a third as wide as MNIST's strokes", pen=0.75),
    "marker": Difficulty("a marker, twice as wide", pen=5.25),
    "pencil": Difficulty("faint strokes", paper=(190, 245), ink=(125, 165)),
    "chalk": Difficulty("light on a blackboard", paper=(25, 70), ink=(180, 240)),
    "shadow": Difficulty("a hard shadow across", shadow=True),
    "noisy": Difficulty("taken in the dark", noise=(15, 25)),
    "specks": Difficulty("a dozen dots of ink", specks=True),
    "ruled": Difficulty("lined paper", ruled=True),
    "table": Difficulty("the sheet on a dark table", table=True),
}


def photograph(
    digit: np.ndarray, rng: np.random.Generator, difficulty: Difficulty, formats: tuple[tuple[int, int], ...] = FORMATS
) -> bytes:
    """A JPEG file's content that shows `digit`, uint8 [28, 28], light on black, in dark ink on a sheet."""
    height, width = formats[rng.integers(len(formats))]
    side = int(min(height, width) * rng.uniform(*difficulty.size))
    drawn = Image.fromarray(_written_with(difficulty.pen, digit) if difficulty.pen else digit)
    drawn = drawn.resize((side, side), BICUBIC).rotate(rng.uniform(-difficulty.turn, difficulty.turn), BICUBIC)
    coverage = np.zeros((height, width), np.float32)
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    coverage[top : top + side, left : left + side] = np.clip(
        (np.asarray(drawn, np.float32) / 255 - 0.35) / 0.3, 0, 1
    )  # ink has sharp edges
    if difficulty.specks:
        for _ in range(12):
            size = rng.integers(1, 5)
            y, x = rng.integers(0, height - size), rng.integers(0, width - size)
            coverage[y : y + size, x : x + size] = 1
    paper, ink = rng.uniform(*difficulty.paper), rng.uniform(*difficulty.ink)
    scene = paper + (ink - paper) * coverage
    if difficulty.ruled:
        scene[rng.integers(20, 50) :: rng.integers(50, 90)] *= 0.8
    scene = _shrunk_onto_a_table(scene, rng) if difficulty.table else scene
    scene = scene * _light(height, width, rng, difficulty.shadow)
    lens = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0))
    )
    sensor = np.asarray(lens, np.float32) + rng.normal(0, rng.uniform(*difficulty.noise), (height, width))
    file = io.BytesIO()
    Image.fromarray(np.clip(sensor, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(60, 92)))
    return file.getvalue()


def _written_with(pen: float, digit: np.ndarray) -> np.ndarray:
    """The same digit in strokes `pen` pixels wide, uint8 [112, 112], by its skeleton."""
    line = _skeleton(np.asarray(Image.fromarray(digit).resize((112, 112), BICUBIC)) > 127)
    return np.asarray(
        Image.fromarray(line.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * round(2 * pen - 0.5) + 1))
    )


def _skeleton(mask: np.ndarray) -> np.ndarray:
    """Thin bool [h, w] to lines (Zhang and Suen, "A Fast Parallel Algorithm for Thinning Digital Patterns", 1984)."""
    mask = np.pad(mask, 1)
    changed = True
    while changed:
        changed = False
        for step in (0, 1):
            # The eight neighbours, clockwise from above: P2 to P9 of the paper.
            shifts = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            around = np.stack([np.roll(mask, shift, (0, 1)) for shift in shifts]).astype(int)
            rises = ((around == 0) & (np.roll(around, -1, 0) == 1)).sum(0)
            up, right, down, left = around[0], around[2], around[4], around[6]
            sides = (up * right * down, right * down * left) if step == 0 else (up * right * left, up * down * left)
            gone = mask & (rises == 1) & (around.sum(0) >= 2) & (around.sum(0) <= 6) & (sides[0] == 0) & (sides[1] == 0)
            mask = mask & ~gone
            changed |= bool(gone.any())
    return mask[1:-1, 1:-1]


def _light(height: int, width: int, rng: np.random.Generator, shadow: bool) -> np.ndarray:
    """Part of the light that arrives: more on one side than on the other, less in the corners, and less where a hand is
    before the lamp.
    """
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, height), np.linspace(-0.5, 0.5, width), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    light = (
        1
        - rng.uniform(0.1, 0.45) * (np.cos(angle) * x + np.sin(angle) * y + 0.5)
        - rng.uniform(0, 0.3) * (x * x + y * y)
    )
    if shadow:
        angle = rng.uniform(0, 2 * np.pi)
        light *= 1 - 0.4 / (1 + np.exp(-(np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.25, 0.25)) / 0.02))
    return light


def _shrunk_onto_a_table(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = scene.shape
    edge = int(0.12 * min(height, width))
    table = rng.normal(60, 6, scene.shape)
    sheet = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)).resize(
        (width - 2 * edge, height - 2 * edge), BILINEAR
    )
    table[edge : height - edge, edge : width - edge] = np.asarray(sheet)
    return table


@dataclass(frozen=True)
class Score:
    """Of all photos of one difficulty: parts read right, refused and doubted, seconds a photo, what the network saw of
    the first ones.
    """

    right: float
    refused: float
    doubted: float
    seconds: float
    seen: list[tuple[bytes, np.ndarray]]


def measure(classifier: Classifier, images: np.ndarray, labels: np.ndarray, difficulty: Difficulty, seed: int) -> Score:
    """Photograph all of `images`, uint8 [n, 28, 28], and classify the photos."""
    rng = np.random.default_rng(seed)
    right, refused, doubted, seconds, seen = 0, 0, 0, 0.0, []
    for image, label in zip(images, labels):
        photo = photograph(image, rng, difficulty)
        start = perf_counter()
        try:
            answer = classifier.classify(photo)
        except ImageError:
            refused += 1
        else:
            right += answer.index == label
            doubted += bool(answer.warnings)
            if len(seen) < 12:
                seen.append((photo, answer.seen[:, :, 0]))
        seconds += perf_counter() - start
    return Score(right / len(images), refused / len(images), doubted / len(images), seconds / len(images), seen)


def measure_sizes(
    classifier: Classifier, images: np.ndarray, labels: np.ndarray, difficulty: Difficulty, seed: int
) -> list[float]:
    """Part read right of the same photos at each of `SIZES`; cut square around the digit, since of the rest too few
    pixels are left.
    """
    rng = np.random.default_rng(seed)
    close = replace(difficulty, size=CLOSE)
    right = np.zeros(len(SIZES))
    for image, label in zip(images, labels):
        photo = Image.open(io.BytesIO(photograph(image, rng, close, SQUARE))).convert("L")
        for i, size in enumerate(SIZES):
            with suppress(ImageError):  # not read right
                right[i] += classifier.classify(photo.resize((size, size), BICUBIC)).index == label
    return (right / len(images)).tolist()


def two_digits(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two digits side by side or one above the other, in dark ink on light paper, uint8."""
    page = np.concatenate(list(images[rng.integers(len(images), size=2)]), axis=int(rng.random() < 0.7))
    return 240 - np.asarray(Image.fromarray(page).resize((page.shape[1] * 5, page.shape[0] * 5), BICUBIC)) // 5 * 4


def blocks(rng: np.random.Generator) -> np.ndarray:
    """A few rectangles of colours at random that fill the picture, uint8 [200, 200, 3]."""
    colours = rng.integers(0, 256, (rng.integers(1, 4), rng.integers(2, 5), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(colours).resize((200, 200), NEAREST))


def doubts(classifier: Classifier, pictures: Iterable[np.ndarray]) -> str:
    """How many are refused and doubted, for people."""
    refused, doubted, count = 0, 0, 0
    for picture in pictures:
        count += 1
        try:
            doubted += bool(classifier.prepare(picture).warnings)
        except ImageError:
            refused += 1
    return f"{count:6} {100 * refused / count:6.1f} % {100 * doubted / count:6.1f} %"


def print_doubts(classifier: Classifier, digits: int, seed: int) -> None:
    """False alarms on digits as they are and on drawings of them, and what is doubted of what is not one digit."""
    from host_train.data import load_dataset

    images = load_dataset("mnist").test.images[:, :, :, 0]
    chosen = images[np.random.default_rng(seed).permutation(len(images))[:digits]]
    rng = np.random.default_rng(seed)
    drawn = (255 - np.asarray(Image.fromarray(image).resize((140, 140), BICUBIC)) for image in chosen)
    print(f"{'pictures':34} {'':6} {'refused':>8} {'doubted':>8}")
    for what, pictures in (
        ("MNIST's test images as they are", iter(images)),
        ("the same drawn at 140 x 140", drawn),
        ("two digits", (two_digits(images, rng) for _ in range(digits))),
        ("blocks of colour", (blocks(rng) for _ in range(digits))),
        ("CIFAR-10", iter(load_dataset("cifar10").test.images[:digits])),
        ("Fashion-MNIST", iter(load_dataset("fashion_mnist").test.images[:digits])),
    ):
        print(f"{what:34} {doubts(classifier, pictures)}", flush=True)


def sheet(scores: list[Score]) -> Image.Image:
    """The first photos of each difficulty, each above what the network saw of it."""
    side = 120
    page = Image.new("L", (12 * side, 2 * side * len(scores)))
    for row, score in enumerate(scores):
        for column, (photo, seen) in enumerate(score.seen):
            picture = Image.open(io.BytesIO(photo))
            picture.thumbnail((side - 4, side - 4))
            page.paste(picture, (column * side, 2 * row * side))
            page.paste(
                Image.fromarray(seen).resize((side - 4, side - 4), BILINEAR), (column * side, (2 * row + 1) * side)
            )
    return page


def held_out() -> tuple[np.ndarray, np.ndarray]:
    """The images of the MNIST test set that are not among the shipped ones, uint8 [n, 28, 28], and their labels."""
    from host_train.data import load_dataset

    test = load_dataset("mnist").test
    shipped = {image.tobytes() for image in load_sample()[0]}
    others = np.array([image.tobytes() not in shipped for image in test.images])
    return test.images[others, :, :, 0], test.labels[others]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=500, metavar="N", help="how many digits (500)")
    parser.add_argument(
        "--held-out", action="store_true", help="digits of the MNIST test set that the pipeline was not tuned on"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn at random (0)")
    parser.add_argument(
        "--kinds", nargs="+", choices=DIFFICULTIES, default=list(DIFFICULTIES), metavar="KIND", help="some kinds only"
    )
    parser.add_argument("--sheet", metavar="FILE", help="save some photos and what the network saw of them")
    parser.add_argument("--sizes", action="store_true", help="how the size of a photo that is cut to the digit matters")
    parser.add_argument("--doubts", action="store_true", help="how often warnings are right, and wrong")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ImageWarning)  # they are counted
    images, labels = held_out() if args.held_out else load_sample()
    chosen = np.random.default_rng(args.seed).permutation(len(images))[: args.digits]
    images, labels = images[chosen], labels[chosen]
    with Classifier("lenet", backend="reference") as classifier:
        if args.doubts:
            print_doubts(classifier, args.digits, args.seed)
        elif args.sizes:
            print_sizes(classifier, images, labels, args.seed, args.kinds)
        else:
            print_photos(classifier, images, labels, args.seed, args.kinds, args.sheet)


def print_sizes(classifier: Classifier, images: np.ndarray, labels: np.ndarray, seed: int, kinds: list[str]) -> None:
    """The table of `--sizes`, and how much each size loses against the largest."""
    print(f"{len(images)} digits, % right at each number of pixels a side\n")
    print(f"{'photo':10} " + " ".join(f"{size:>6}" for size in SIZES))
    rows = []
    for name in kinds:
        rows.append(measure_sizes(classifier, images, labels, DIFFICULTIES[name], seed))
        print(f"{name:10} " + " ".join(f"{100 * part:6.1f}" for part in rows[-1]), flush=True)
    means = np.mean(rows, 0)
    print(f"{'mean':10} " + " ".join(f"{100 * part:6.1f}" for part in means))
    worst = np.max(np.array(rows)[:, -1:] - rows, 0)
    print(f"{'most lost':10} " + " ".join(f"{100 * part:6.1f}" for part in worst))


def print_photos(
    classifier: Classifier, images: np.ndarray, labels: np.ndarray, seed: int, kinds: list[str], file: str | None
) -> None:
    """The table of the kinds of photos."""
    scores = []
    print(f"{len(images)} digits as they are: {100 * (classifier.predict(images) == labels).mean():.1f} % right\n")
    print(f"{'photo':10} {'right':>8} {'refused':>8} {'doubted':>8} {'time':>9}  what is difficult")
    for name in kinds:
        difficulty = DIFFICULTIES[name]
        score = measure(classifier, images, labels, difficulty, seed)
        parts = " ".join(f"{100 * part:6.1f} %" for part in (score.right, score.refused, score.doubted))
        print(f"{name:10} {parts} {1000 * score.seconds:6.1f} ms  {difficulty.what}", flush=True)
        scores.append(score)
    if file:
        sheet(scores).save(file)


if __name__ == "__main__":
    main()
