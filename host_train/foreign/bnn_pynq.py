"""Networks of BNN-PYNQ, from their parameter folders (`bnn_pynq_files`): CNV and LFC with one bit for weights and
activations (W1A1).

A row counts the columns in which the bits of input and weight agree, and gives 1 if these are more than its threshold.
The first layer of CNV takes the image in steps of 1 / 128 instead, and its thresholds are in 1 / 256; its last has no
thresholds, and the counts are the answer. The first layer of LFC takes for each pixel whether it is light.
"""

from __future__ import annotations

import os

import numpy as np

from host_train.foreign.bnn_pynq_files import ParameterFolder, Spread
from host_train.quantisation.golden import with_golden
from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import (
    BinaryConv2d,
    Conv2d,
    InputSpec,
    Layer,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Threshold,
    save_package,
)

CNV = (
    Spread(64, 3, 3, 3, 16),
    Spread(64, 3, 64, 32, 32, pooled=True),
    Spread(128, 3, 64, 32, 16),
    Spread(128, 3, 128, 32, 16, pooled=True),
    Spread(256, 3, 128, 32, 4),
    Spread(256, 3, 256, 32, 1),
    Spread(512, 1, 256, 4, 1),
    Spread(512, 1, 512, 8, 1),
    Spread(64, 1, 512, 1, 4),
)
LFC = (
    Spread(1024, 1, 832, 64, 32),  # 784 pixels, filled up to whole words with bits 0
    Spread(1024, 1, 1024, 32, 64),
    Spread(1024, 1, 1024, 64, 32),
    Spread(64, 1, 1024, 8, 16),
)
SIDE = 28  # of LFC's images
LIGHT = 128  # the least byte that LFC takes for +1


def from_bnn_pynq(
    parameters: str | os.PathLike[str],
    *,
    name: str,
    images: np.ndarray | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Network:
    """A network of BNN-PYNQ from its folder of parameters, for any backend.

    Nothing is approximate: rounding of the image, counts and comparisons are those of BNN-PYNQ. The answer of CNV is
    its largest count. That of LFC is the row that exceeds its threshold by most: BNN-PYNQ's answer wherever one row
    alone exceeds it. (Where several do, BNN-PYNQ takes the last of them; where none does, class 0.)

    Parameters
    ----------
    parameters : path
        A folder such as `bnn/params/cifar10/cnvW1A1`, with `classes.txt` and the files of each layer.
    name : str
        The network's.
    images : numpy.ndarray, optional
        uint8 [n, height, width, channels], real ones for the golden vectors; noise if not given.
    folder : path, optional
        Where to write the model package.

    Returns
    -------
    Network
        From 32 x 32 RGB, or 28 x 28 grey with light strokes on dark, to the classes of the folder; with golden vectors.

    Raises
    ------
    ModelPackageError
        If a file is missing, damaged, of another length, or of a network with more bits; names the file.
    ArgumentError
        If there is no such folder, or `images` are of another shape.

    Examples
    --------
    >>> from_bnn_pynq("nowhere", name="mine")
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.ArgumentError: nowhere is no folder; give one with classes.txt in it, as bnn/params/cifar10/cnvW1A1
    """
    files = ParameterFolder(parameters)
    if files.layers not in (len(CNV), len(LFC)):
        raise ModelPackageError(
            f"{files.path} has parameters of {files.layers} layers; CNV has {len(CNV)} and LFC {len(LFC)}, others"
            " cannot be converted"
        )
    classes = files.classes()
    kind, build = ("cnvW1A1", _cnv) if files.layers == len(CNV) else ("lfcW1A1", _lfc)
    spec, layers, output = build(files, len(classes))
    metadata = {"source": "BNN-PYNQ", "topology": kind}
    network = Network(name, spec, tuple(layers), output, classes, metadata=metadata)
    some = np.random.default_rng(1).integers(0, 256, (32, *spec.shape), np.uint8) if images is None else images
    network = with_golden(network, network.check_images(some))
    if folder is not None:
        save_package(network, folder)
    return network


def _cnv(files: ParameterFolder, classes: int) -> tuple[InputSpec, list[Layer], OutputSpec]:
    """Six convolutions without padding, the first over bytes, and three fully connected layers."""
    spec = InputSpec(32, 32, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    # BNN-PYNQ rounds 128 * (2 p / 255 - 1) to whole numbers up to 127: 128 less than these bytes, of which every one
    # is exact.
    rounded = Requantisation(np.array([32897], np.uint16), np.array([15], np.uint8))
    layers: list[Layer] = [
        Conv2d("rounded", np.ones((3, 1, 1, 1), np.int8), np.zeros(3, np.int32), requantisation=rounded, groups=3)
    ]
    first = files.read(0, CNV[0], threshold_bits=24)
    bias = -128 * first.signs.astype(np.int32).sum((1, 2, 3), dtype=np.int32)
    above = Threshold((first.thresholds // 2 + 1).astype(np.int32))  # 2 * acc > t, in 1 / 256
    layers.append(Conv2d("conv0", first.signs, bias, threshold=above))
    for number, spread in enumerate(CNV[1:-1], 1):
        layers.append(_counting(files, number, spread, "conv" if spread.kernel > 1 else "fc"))
        if spread.pooled:
            layers.append(MaxPool2d(f"pool{number}", (2, 2), (2, 2)))
    last = files.read_last(len(CNV) - 1, CNV[-1], classes, thresholds=False)
    layers.append(BinaryConv2d.from_signs(f"fc{len(CNV) - 1}", last.signs))
    scale = np.full(classes, CNV[-1].columns ** -0.5, np.float32)
    return spec, layers, OutputSpec(scale, np.zeros(classes, np.float32))


def _lfc(files: ParameterFolder, classes: int) -> tuple[InputSpec, list[Layer], OutputSpec]:
    """Four fully connected layers over pixels that are light or dark."""
    spec = InputSpec(SIDE, SIDE, 1, "L", (0.5,), (0.5,), fit="digit", invert="auto")
    # The bit of each pixel, two rows of the image as the channels of one pixel: a pixel takes words of 64 bits, and 56
    # waste little of one.
    pair = np.eye(2 * SIDE, dtype=np.int8).reshape(-1, 2, SIDE, 1)
    least = Threshold(np.full(len(pair), LIGHT, np.int32))
    layers: list[Layer] = [Conv2d("light", pair, np.zeros(len(pair), np.int32), (2, 1), threshold=least)]
    layers.append(_over_light(files))
    layers += [_counting(files, number, spread, "fc") for number, spread in enumerate(LFC[1:-1], 1)]
    last = files.read_last(len(LFC) - 1, LFC[-1], classes, thresholds=True)
    layers.append(BinaryConv2d.from_signs(f"fc{len(LFC) - 1}", last.signs))
    # count - threshold - 1 / 2, which is above 0 where BNN-PYNQ gives 1, in units that make logits of the order of 1.
    columns = LFC[-1].columns
    unit = columns**-0.5
    offset_of = (columns / 2 - last.thresholds - 0.5) * 2 * unit
    return spec, layers, OutputSpec(np.full(classes, unit, np.float32), offset_of.astype(np.float32))


def _counting(files: ParameterFolder, number: int, spread: Spread, kind: str) -> BinaryConv2d:
    """A hidden layer over bits: count > t is acc >= 2 (t + 1) - n, of acc = 2 count - n."""
    read = files.read(number, spread)
    value = 2 * (read.thresholds + 1) - spread.columns
    return BinaryConv2d.from_signs(f"{kind}{number}", read.signs, threshold=Threshold(value.astype(np.int32)))


def _over_light(files: ParameterFolder) -> BinaryConv2d:
    """The first layer of LFC; the bits behind its pixels are 0, so that each of their weights -1 counts."""
    read = files.read(0, LFC[0])
    signs = read.signs.reshape(len(read.signs), -1)
    pixels, behind = signs[:, : SIDE * SIDE], signs[:, SIDE * SIDE :]
    value = 2 * (read.thresholds + 1 - (behind < 0).sum(1)) - SIDE * SIDE
    rows = pixels.reshape(-1, SIDE // 2, 1, 2 * SIDE)
    return BinaryConv2d.from_signs("fc0", rows, threshold=Threshold(value.astype(np.int32)))
