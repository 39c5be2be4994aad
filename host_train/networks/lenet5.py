"""Caffe's LeNet-5, on which Deep Compression was measured: 431,080 parameters, nearly all in the first fully connected
layer.

Here ReLU follows the convolutions too, whose outputs are bytes on the accelerator; Caffe has it behind the first fully
connected layer only. [Han, Mao and Dally 2016, "Deep Compression", arXiv 1510.00149, table 3]
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def build_lenet5(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 1, 28, 28] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_lenet5().parameters())
    431080
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(800, 500),
            relu3=nn.ReLU(),
            fc2=nn.Linear(500, classes),
        )
    )


_DISTORTION = Augmentation(shift=2.0, rotation=10.0, scale=0.1, shear=0.1)

LENET5 = Recipe(
    name="lenet5",
    about="Caffe's: conv 1-20-50 5x5, fc 800-500-10, on MNIST",
    dataset="mnist",
    build=build_lenet5,
    schedule=Schedule(epochs=40, batch=128, learning_rate=3e-3, weight_decay=1e-3, augmentation=_DISTORTION),
    fit="digit",
    invert="auto",
)
