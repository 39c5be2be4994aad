"""ResNet-8 for CIFAR-10, the image classification network of MLPerf Tiny.

A convolution and three residual blocks of 16, 32 and 64 channels; the second and third halve the image, and their
shortcuts are convolutions 1x1. [Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv 2106.07597]
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from torch import nn

from host_train.layers.residual import Residual, basic_body
from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule


def _block(inputs: int, outputs: int, stride: int) -> Residual:
    body = basic_body(inputs, outputs, stride)
    return Residual(body, None if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride))


def build_resnet8(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 3, 32, 32] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_resnet8().parameters())
    77946
    """
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 16, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(16),
            relu=nn.ReLU(),
            block1=_block(16, 16, 1),
            block2=_block(16, 32, 2),
            block3=_block(32, 64, 2),
            pool=nn.AvgPool2d(8),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, classes),
        )
    )


_SCHEDULE = Schedule(
    epochs=360,
    batch=256,
    learning_rate=0.2,
    weight_decay=2e-4,
    optimiser="sgd",
    distillation=0.9,
    augmentation=Augmentation(crop=4, flip=True),
    bfloat16=True,
    compiled=True,
)

RESNET8 = Recipe(
    name="resnet8",
    about="MLPerf Tiny's ResNet, conv 16 3x3, residual blocks 16-32-64, fc 64-10, on CIFAR-10",
    dataset="cifar10",
    build=build_resnet8,
    teacher="vgg",
    schedule=_SCHEDULE,
    whole=replace(_SCHEDULE, epochs=36, learning_rate=0.02),
)
