"""ResNet-20 for CIFAR-10, of the paper on residual networks.

A convolution and nine residual blocks, three each of 16, 32 and 64 channels; where a stage halves the image, the
shortcut is a convolution 1x1 with batch norm (the paper's option B). [He et al. 2016, "Deep Residual Learning for Image
Recognition", arXiv 1512.03385, section 4.2]
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
    if stride == 1:
        return Residual(body)
    conv, norm = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    return Residual(body, nn.Sequential(OrderedDict(conv=conv, norm=norm)))


def build_resnet20(classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 3, 32, 32] to [n, classes].

    Examples
    --------
    >>> sum(p.numel() for p in build_resnet20().parameters())
    272474
    """
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(3, 16, 3, padding=1, bias=False)),
        ("norm", nn.BatchNorm2d(16)),
        ("relu", nn.ReLU()),
    ]
    channels = 16
    for stage, outputs in enumerate((16, 32, 64), start=1):
        for i in range(1, 4):
            stride = 2 if i == 1 and stage > 1 else 1
            layers.append((f"block{stage}_{i}", _block(channels, outputs, stride)))
            channels = outputs
    layers += [("pool", nn.AvgPool2d(8)), ("flatten", nn.Flatten()), ("fc", nn.Linear(64, classes))]
    return nn.Sequential(OrderedDict(layers))


_SCHEDULE = Schedule(
    epochs=180,
    batch=256,
    learning_rate=0.2,
    weight_decay=3e-4,
    optimiser="sgd",
    distillation=0.9,
    augmentation=Augmentation(crop=4, flip=True),
    bfloat16=True,
    compiled=True,
)

RESNET20 = Recipe(
    name="resnet20",
    about="He et al.'s ResNet, conv 16 3x3, 3 residual blocks each of 16, 32, 64, fc 64-10, on CIFAR-10",
    dataset="cifar10",
    build=build_resnet20,
    teacher="vgg",
    schedule=_SCHEDULE,
    whole=replace(_SCHEDULE, epochs=18, learning_rate=0.02),
)
