"""The LeNet of the deep learning on FPGA course: two small convolutions, two fully connected layers, 13,242
parameters.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def build_lenet(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 1, 28, 28] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_lenet().parameters())
    13242
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 4, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(4, 8, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(392, 32),
            relu3=nn.ReLU(),
            fc2=nn.Linear(32, classes),
        )
    )


# Digits survive a little of everything but mirroring; a network this small needs many distorted views rather than
# weight decay.
_DISTORTION = Augmentation(shift=2.0, rotation=10.0, scale=0.1, shear=0.1)

LENET = Recipe(
    name="lenet",
    about="conv 1-4-8 3x3, fc 392-32-10, on MNIST",
    dataset="mnist",
    build=build_lenet,
    schedule=Schedule(epochs=120, batch=128, learning_rate=1e-2, weight_decay=1e-4, augmentation=_DISTORTION),
    qat=Schedule(epochs=20, batch=128, learning_rate=1e-3, weight_decay=1e-4, augmentation=_DISTORTION),
    fit="digit",
    invert="auto",
)
