"""The drawings of docs/guide/concepts.md and the picture of the README, as SVG: `make pictures`.

The picture of the README is what the shipped networks answer, when this runs, for the first images of the samples that
come with the package.
"""

from __future__ import annotations

import base64
import io
import sys
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pynq_cnn.classifier import Classifier  # noqa: E402
from pynq_cnn.zoo import load_sample  # noqa: E402

FOLDER = ROOT / "docs" / "images"
INK, LINE, SOFT = "#1f2933", "#7b8794", "#f2f5f8"
BLUE, GREEN, AMBER = "#d9e8f7", "#dcefdc", "#fbeccb"
BAR, WRONG = "#3b82c4", "#c4643b"


def text(x: float, y: float, words: str, size: int = 13, weight: str = "normal", anchor: str = "start") -> str:
    """A line of text whose base line begins (or has its middle) at a point."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style} fill="{INK}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, title: str, *lines: str, fill: str = SOFT) -> str:
    """A box with a title and lines below it, all in its middle."""
    middle, first = x + width / 2, y + height / 2 + 5 - 8 * len(lines)
    parts = [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="{LINE}"/>',
        text(middle, first, title, 13, "bold", "middle"),
    ]
    parts += [text(middle, first + 16 * (i + 1), line, 11, anchor="middle") for i, line in enumerate(lines)]
    return "".join(parts)


def arrow(*points: tuple[float, float]) -> str:
    """An arrow along some points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#tip)"/>'


def drawing(width: int, height: int, name: str, *parts: str) -> str:
    """An SVG file; `name` is what screen readers say."""
    tip = f'<path d="M0,0 L8,4 L0,8 z" fill="{LINE}"/>'
    marker = f'<marker id="tip" markerWidth="8" markerHeight="8" refX="8" refY="4" orient="auto">{tip}</marker>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" font-family="Helvetica, Arial, sans-serif"><title>{escape(name)}</title><defs>{marker}</defs>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def picture(pixels: np.ndarray, x: float, y: float, side: float) -> str:
    """Pixels, each as a square."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    frame = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"'
    return f'<image {frame} href="{source}" style="image-rendering:pixelated"/>'


def answers() -> str:
    """The first two images of each sample, with what a shipped network says of them."""
    parts = []
    kinds = [
        ("lenet", "mnist", "MNIST", "int8"),
        ("nin", "fashion_mnist", "Fashion-MNIST", "int8"),
        ("vgg_bnn", "cifar10", "CIFAR-10", "1 bit"),
    ]
    for column, (model, sample, title, width) in enumerate(kinds):
        images, labels = load_sample(sample)
        left = 16 + 292 * column
        with Classifier(model, backend="auto") as classifier:
            found = classifier.classify(list(images[:2]))
            classes = classifier.network.classes
        parts.append(text(left, 28, f"{model} on {title}, {width}", 14, "bold"))
        for row, (answer, label) in enumerate(zip(found, labels)):
            top = 44 + 116 * row
            parts.append(picture(images[row], left, top, 96))
            parts.append(text(left + 108, top + 14, f"it is: {classes[label]}", 12))
            for place, (name, chance) in enumerate(answer.top(3)):
                y = top + 26 + 24 * place
                color = BAR if name == classes[label] else WRONG
                bar = (
                    f'<rect x="{left + 108}" y="{y}" width="{max(1, round(160 * chance))}" height="6" fill="{color}"/>'
                )
                parts += [bar, text(left + 108, y + 17, f"{name}", 11)]
                parts.append(text(left + 268, y + 17, f"{100 * chance:.0f} %", 11, anchor="end"))
    return drawing(892, 280, "Six images and what the shipped networks say they are, with probabilities", *parts)


def data_path() -> str:
    """From a PyTorch model and a picture to probabilities."""
    parts = [
        text(20, 28, "Once for each network", 14, "bold"),
        box(20, 44, 130, 64, "PyTorch model", "float32", fill=AMBER),
        arrow((150, 76), (190, 76)),
        box(190, 44, 150, 64, "host_train", "trace, fold, calibrate,", "quantise, compress", fill=AMBER),
        arrow((340, 76), (380, 76)),
        box(380, 44, 150, 64, "model package", "manifest.json", ".npy arrays"),
        arrow((530, 76), (570, 76)),
        box(570, 44, 110, 64, "Network", "layers in integers", fill=BLUE),
        arrow((680, 76), (720, 76)),
        box(720, 44, 150, 64, "Program", "instructions,", "constants", fill=BLUE),
        text(20, 152, "For every image", 14, "bold"),
        box(20, 168, 130, 64, "picture", "file, PIL, NumPy"),
        arrow((150, 200), (190, 200)),
        box(190, 168, 150, 64, "images", "find, crop, scale,", "centre; warnings", fill=BLUE),
        arrow((340, 200), (380, 200)),
        box(380, 168, 150, 64, "bytes", "uint8 [n, h, w, c]"),
        arrow((455, 232), (455, 276)),
        '<rect x="190" y="276" width="680" height="92" rx="6" fill="white" stroke="#7b8794" stroke-dasharray="5 4"/>',
        text(200, 294, "one of four executions, the same int32 sums from each, bit for bit", 12),
        box(200, 304, 120, 54, "reference", "NumPy", fill=GREEN),
        box(330, 304, 150, 54, "cpu", "C++, vector instructions", fill=GREEN),
        box(490, 304, 170, 54, "kernel", "the engine's source by g++", fill=GREEN),
        box(670, 304, 190, 54, "overlay", "the same source in the FPGA", fill=GREEN),
        arrow((625, 108), (625, 140), (260, 140), (260, 164)),
        arrow((795, 108), (795, 276)),
        text(802, 200, "kernel and", 11),
        text(802, 214, "overlay run", 11),
        text(802, 228, "the Program", 11),
        text(268, 158, "size, colours, how to fit", 11),
        arrow((530, 368), (530, 404)),
        box(190, 404, 200, 60, "probabilities, label", "softmax or sigmoid, float64", fill=BLUE),
        arrow((455, 434), (390, 434)),
        box(455, 404, 205, 60, "logits", "float32(sum) * scale + offset", fill=BLUE),
    ]
    return drawing(892, 484, "The way from a PyTorch model and a picture to probabilities", *parts)


# What imports what, as it is drawn: a test looks for each arrow in the sources.
ARROWS = (
    ("host_train", "pynq_cnn.compiler"),
    ("host_train", "pynq_cnn.model"),
    ("pynq_cnn.cli", "pynq_cnn.classifier"),
    ("pynq_cnn.api", "pynq_cnn.classifier"),
    ("pynq_cnn.classifier", "pynq_cnn.backends"),
    ("pynq_cnn.classifier", "pynq_cnn.images"),
    ("pynq_cnn.backends", "pynq_cnn.compiler"),
    ("pynq_cnn.images", "pynq_cnn.model"),
    ("pynq_cnn.compiler", "pynq_cnn.model"),
)


def packages() -> str:
    """The drawing of the packages, and of what imports what."""
    places = {
        "host_train": (20, 44, 200, 74),
        "pynq_cnn.cli": (300, 44, 230, 74),
        "pynq_cnn.api": (600, 44, 230, 74),
        "pynq_cnn.classifier": (300, 164, 530, 54),
        "pynq_cnn.backends": (300, 264, 330, 74),
        "pynq_cnn.images": (680, 264, 150, 74),
        "pynq_cnn.compiler": (300, 384, 330, 74),
        "pynq_cnn.model": (300, 504, 530, 64),
    }
    says = {
        "host_train": ("data, networks, training,", "compression, export, from_torch"),
        "pynq_cnn.cli": ("classify, demo, doctor,", "selftest, bench, estimate"),
        "pynq_cnn.api": ("classify, release", "with what is open already"),
        "pynq_cnn.classifier": ("a network open on a backend: predict, classify, throughput_test",),
        "pynq_cnn.backends": ("reference | cpu | kernel | overlay", "a driver, locks and deadlines in the last"),
        "pynq_cnn.images": ("a picture to", "the network's bytes"),
        "pynq_cnn.compiler": ("lower, segments, tiles, schedule, places,", "encoding; estimate of cycles"),
        "pynq_cnn.model": (
            "layers in integers, shapes, output; model packages; Huffman, shared and frequency weights",
        ),
    }
    fills = {"host_train": AMBER, "pynq_cnn.backends": GREEN}
    parts = [
        text(20, 28, "On the host, with PyTorch", 14, "bold"),
        text(300, 28, "On board and laptop: NumPy and Pillow", 14, "bold"),
    ]
    for source, target in ARROWS:
        (x, y, width, height), (tx, ty, twidth, _) = places[source], places[target]
        if source == "host_train":
            turn = ty + (37 if target == "pynq_cnn.compiler" else 32)
            start = x + (32 if target == "pynq_cnn.compiler" else 15)
            parts.append(arrow((start, y + height), (start, turn), (tx, turn)))
        else:
            middle = min(max(x + width / 2, tx + 20), tx + twidth - 20)
            parts.append(arrow((middle, y + height), (middle, ty)))
    parts += [box(*places[name], name, *says[name], fill=fills.get(name, BLUE)) for name in places]
    parts += [
        box(80, 264, 160, 74, "cpu_src, hls_src", "C++, compiled when", "it is installed", fill=GREEN),
        arrow((240, 301), (300, 301)),
        text(
            20,
            606,
            "An arrow points to what is imported; none goes back. Vitis HLS makes the bitstream of hls_src.",
            12,
        ),
    ]
    return drawing(860, 620, "The packages and what imports what", *parts)


def pictures() -> dict[str, str]:
    """All of them, by file name."""
    return {"answers.svg": answers(), "data-path.svg": data_path(), "packages.svg": packages()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, svg in pictures().items():
        (FOLDER / file).write_text(svg, encoding="utf-8")
        print(f"{(FOLDER / file).relative_to(ROOT)}: {len(svg.encode())} bytes")
