"""The shape of `vgg_bnn` in floating point, for CIFAR-10: what smaller and binary networks are taught by."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def build_vgg(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 3, 32, 32] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_vgg().parameters())
    4660106
    """
    layers: list[tuple[str, nn.Module]] = []
    channels = 3
    for i, outputs in enumerate((128, 128, 256, 256, 512, 512), start=1):
        layers += [
            (f"conv{i}", nn.Conv2d(channels, outputs, 3, padding=1, bias=False)),
            (f"norm{i}", nn.BatchNorm2d(outputs)),
            (f"relu{i}", nn.ReLU()),
        ]
        if i % 2 == 0:
            layers.append((f"pool{i // 2}", nn.MaxPool2d(2)))
        channels = outputs
    layers += [("flatten", nn.Flatten()), ("dropout", nn.Dropout(0.5)), ("fc", nn.Linear(channels * 16, classes))]
    return nn.Sequential(OrderedDict(layers))


VGG = Recipe(
    name="vgg",
    about="VGG, conv 128-128-256-256-512-512 3x3, fc 8192-10, on CIFAR-10; the teacher of others",
    dataset="cifar10",
    build=build_vgg,
    schedule=Schedule(
        epochs=50,
        batch=128,
        learning_rate=0.05,
        weight_decay=5e-4,
        optimiser="sgd",
        label_smoothing=0.1,
        augmentation=Augmentation(crop=4, flip=True, erase=12),
        bfloat16=True,
        compiled=True,
    ),
)
