"""The network of the Deep Compression experiment: 6,576,522 parameters, 26.3 MB of float32, to be made small."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def build_deepnet(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 1, 28, 28] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_deepnet().parameters())
    6576522
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 64, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(64, 256, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(12544, 512),
            relu3=nn.ReLU(),
            fc2=nn.Linear(512, classes),
        )
    )


DEEPNET = Recipe(
    name="deepnet",
    about="conv 1-64-256 3x3, fc 12544-512-10, on MNIST",
    dataset="mnist",
    build=build_deepnet,
    schedule=Schedule(
        epochs=12,
        batch=128,
        learning_rate=1e-3,
        weight_decay=1e-2,
        augmentation=Augmentation(shift=2.0, rotation=10.0, scale=0.1, shear=0.1),
        bfloat16=True,
        compiled=True,
    ),
    fit="digit",
    invert="auto",
)
