"""How close integers come to the floating-point model, beside ONNX Runtime's static quantisation of the same model.

Models of the usual families with random weights, batch-norm statistics made by forward passes over images, and images
that nobody has calibrated with. The error is that of the logits in units of how far they differ from image to image
(root mean squares, each class less its mean); agreement is how often the largest logit is the same. ONNX Runtime
quantises in 8 bits (QDQ, a step for each channel of the weights) by each of its calibrations, of which the best counts.
The last column is the error of the model itself, in floating point, for images that are off by up to half a grey level
at random: what a network makes of that it makes of every rounding within it too, so that integers can hardly be closer.

    python benchmarks/conversion.py [--networks NAME ...] [--side N] [--images N] [--seeds N ...] [--steps N]

With `--steps` models are trained for so many batches of 32 images of CIFAR-10, enlarged, before they are converted, and
are asked about its test images.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from onnxruntime import quantization
from torch import nn

from host_train import from_torch
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import NetworkError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "host_train"))

from families import FAMILIES, family, settled, smooth_images  # noqa: E402

from host_train.data import Split, load_dataset  # noqa: E402

CALIBRATIONS = ("MinMax", "Entropy", "Percentile")
TORCHVISION = tuple(f"torchvision.{name}" for name in ("resnet18", "mobilenet_v2", "squeezenet1_1", "googlenet"))


def make(name: str, side: int, seed: int) -> nn.Module:
    """A model of a family, or of torchvision."""
    if name in FAMILIES:
        return family(name, seed)
    import torchvision

    torch.manual_seed(seed)
    options = {"init_weights": True, "aux_logits": False} if name.endswith("googlenet") else {}
    model = getattr(torchvision.models, name.removeprefix("torchvision."))(num_classes=10, **options)
    return settled(model, smooth_images(32, side))


def enlarged(split: Split, places: np.ndarray, side: int) -> torch.Tensor:
    """Images of CIFAR-10, float32 [n, 3, side, side] on the grid of bytes."""
    images = torch.from_numpy(split.images[places]).permute(0, 3, 1, 2) / 255
    return (F.interpolate(images, side, mode="bilinear", align_corners=False) * 255).round() / 255


def trained(model: nn.Module, split: Split, side: int, steps: int) -> nn.Module:
    """The model after so many batches of 32 images."""
    draw, model = np.random.default_rng(0), model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        places = draw.integers(0, len(split), 32)
        optimiser.zero_grad()
        labels = torch.from_numpy(split.labels[places]).long()
        F.cross_entropy(model(enlarged(split, places, side)), labels).backward()
        optimiser.step()
    return model.eval()


def error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of logits [n, classes], to the differences from image to image."""
    difference = ours - theirs
    return float(np.sqrt(np.mean(difference**2) / np.mean((theirs - theirs.mean(0)) ** 2)))


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float((ours.argmax(1) == theirs.argmax(1)).mean())


class Images(quantization.CalibrationDataReader):
    """Calibration images in batches."""

    def __init__(self, images: torch.Tensor) -> None:
        self.batches: Iterator[torch.Tensor] = iter(images.split(16))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"image": batch.numpy()}


def by_onnx_runtime(model: nn.Module, seen: torch.Tensor, images: torch.Tensor, folder: Path) -> dict[str, np.ndarray]:
    """Logits of the model in the integers of ONNX Runtime, by each calibration that works."""
    path, found = folder / "model.onnx", {}
    sizes = {"input_names": ["image"], "dynamic_axes": {"image": {0: "n"}}}
    torch.onnx.export(model, (seen[:2],), str(path), dynamo=False, opset_version=17, **sizes)
    for name in CALIBRATIONS:
        quantised = folder / f"{name}.onnx"
        with contextlib.redirect_stdout(None):  # it tells of its histograms
            quantization.quantize_static(
                str(path),
                str(quantised),
                Images(seen),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=getattr(quantization.CalibrationMethod, name),
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(str(quantised), options, providers=["CPUExecutionProvider"])
        found[name] = np.concatenate([session.run(None, {"image": part.numpy()})[0] for part in images.split(16)])
    return found


def logits_of(model: nn.Module, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([model(part).numpy() for part in images.split(16)])


def measure(name: str, side: int, count: int, seed: int = 0, steps: int = 0) -> str:
    """A row of the table."""
    model, seen, images = make(name, side, seed), smooth_images(count, side), smooth_images(count, side, seed=5)
    if steps:
        data, first = load_dataset("cifar10"), np.arange(count)
        model = trained(model, data.train, side, steps)
        seen, images = (enlarged(split, first, side) for split in (data.train, data.test))
    theirs = logits_of(model, images)
    beginning = f"| {name} | {side} |"
    try:
        network = from_torch(model, seen, name=name, min_agreement=0)
    except NetworkError as refused:
        return f"{beginning} refused: {str(refused).rpartition(': ')[2]} | | | | |"
    octets = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with Classifier(network, "cpu") as classifier:
        ours = classifier.logits(octets)
    with tempfile.TemporaryDirectory() as folder:
        found = by_onnx_runtime(model, seen, images, Path(folder))
    best = min(found, key=lambda one: error(found[one], theirs))
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(3)) - 0.5
    itself = error(logits_of(model, images + noise / 255), theirs)
    here = f"{error(ours, theirs):.3f} | {agreement(ours, theirs):.3f}"
    there = f"{error(found[best], theirs):.3f} ({best}) | {agreement(found[best], theirs):.3f}"
    return f"{beginning} {here} | {there} | {itself:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="families and torchvision's (default: all)")
    parser.add_argument("--side", type=int, default=64, metavar="N", help="of torchvision's images (default: 64)")
    parser.add_argument("--images", type=int, default=64, metavar="N", help="to calibrate and to measure (default: 64)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="of the weights (default: 0)")
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="to train for, on CIFAR-10 (default: 0)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("| network | side | error here | agreement | error, ONNX Runtime | agreement | images off by half a level |")
    print("|---|---|---|---|---|---|---|")
    for name in args.networks or (*FAMILIES, *TORCHVISION):
        for seed in args.seeds:
            print(measure(name, 32 if name in FAMILIES else args.side, args.images, seed, args.steps), flush=True)


if __name__ == "__main__":
    main()
