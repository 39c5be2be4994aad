"""A VGG-style network of binary weights and activations for CIFAR-10, in full and in half width.

Three pairs of 3x3 convolutions, each pair followed by 2x2 max pooling, and one fully connected layer; batch norm and
hardtanh behind every convolution. The first layer's weights are binary too, its inputs are the image's bytes.

Pooling comes before batch norm, as in BinaryNet (arXiv 1602.02830): of four random signs the maximum is +1 fifteen
times in sixteen, so bits that are pooled behind the batch norm say little, while sums that are pooled before it are
centred afterwards.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import partial

from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear
from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule

# The byte 128 is exactly 0 to the network, so that padding with zeros in training is padding with a byte on the engine.
CENTRE = 128 / 255


def build_vgg_bnn(width: int, stochastic: bool = False, classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 3, 32, 32] to [n, classes].

    Parameters
    ----------
    width : int
        Channels of the first pair; the second and third have two and four times as many.
    stochastic : bool
        Draw binary weights at random while training.
    classes : int
        Its outputs.

    Examples
    --------
    >>> sum(p.numel() for p in build_vgg_bnn(128).parameters())
    4660106
    """
    layers: list[tuple[str, nn.Module]] = []
    channels = 3
    for i, outputs in enumerate((width, width, 2 * width, 2 * width, 4 * width, 4 * width), start=1):
        step = 1 / 128 if i == 1 else None
        layers.append(
            (f"conv{i}", BinaryConv2d(channels, outputs, 3, padding=1, input_step=step, stochastic=stochastic))
        )
        if i % 2 == 0:
            layers.append((f"pool{i // 2}", nn.MaxPool2d(2)))
        layers.append((f"norm{i}", nn.BatchNorm2d(outputs)))
        layers.append((f"act{i}", nn.Hardtanh()))
        channels = outputs
    layers += [("flatten", nn.Flatten()), ("fc", BinaryLinear(channels * 16, classes, stochastic=stochastic))]
    return nn.Sequential(OrderedDict(layers))


def _recipe(name: str, width: int, epochs: int) -> Recipe:
    widths = "-".join(str(width * k) for k in (1, 1, 2, 2, 4, 4))
    schedule = Schedule(
        epochs=epochs,
        batch=128,
        learning_rate=2e-3,
        weight_decay=0.0,
        clean_images=5000,
        augmentation=Augmentation(crop=4, reflect=True, flip=True),
        bfloat16=True,
        compiled=True,
    )
    return Recipe(
        name=name,
        about=f"binary VGG, conv {widths} 3x3, fc {width * 64}-10, on CIFAR-10",
        dataset="cifar10",
        build=partial(build_vgg_bnn, width),
        build_stochastic=partial(build_vgg_bnn, width, stochastic=True),
        schedule=schedule,
        whole=replace(schedule, epochs=epochs // 10, learning_rate=2e-4),
        mean=(CENTRE,) * 3,
        std=(CENTRE,) * 3,
    )


VGG_BNN = _recipe("vgg_bnn", 128, epochs=260)
VGG_BNN_HALF = _recipe("vgg_bnn_half", 64, epochs=240)
