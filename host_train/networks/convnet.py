"""The network of the FFT variance study: two unpadded convolutions and one fully connected layer, 13,066 parameters."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def build_convnet(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 1, 28, 28] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_convnet().parameters())
    13066
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(800, classes),
        )
    )


# As for the lenet, which is as small: many distorted views.
_DISTORTION = Augmentation(shift=2.0, rotation=10.0, scale=0.1, shear=0.1)

CONVNET = Recipe(
    name="convnet",
    about="conv 1-16 5x5, 16-32 3x3, fc 800-10, on MNIST",
    dataset="mnist",
    build=build_convnet,
    schedule=Schedule(epochs=60, batch=128, learning_rate=1e-2, weight_decay=1e-4, augmentation=_DISTORTION),
    qat=Schedule(epochs=10, batch=128, learning_rate=1e-3, weight_decay=1e-4, augmentation=_DISTORTION),
    fit="digit",
    invert="auto",
)
