"""Network in Network for Fashion-MNIST, with two 1x1 layers in each block, and with one to compare.

Four blocks of a convolution and 1x1 convolutions, 3x3/2 max pooling between them, and global average pooling instead of
fully connected layers. Batch norm behind every convolution, which is folded into it.
[Lin, Chen and Yan 2014, "Network In Network", arXiv 1312.4400]
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from host_train.networks.recipe import Recipe
from host_train.training.augment import Augmentation
from host_train.training.schedule import Schedule

# (channels, kernel, stride, padding) of the convolution that opens each block; the last has a channel a class, and the
# third's kernel.
BLOCKS = ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1))

# Four times Fashion-MNIST's 28: the first layer's stride of 4 is then one pixel of the data set.
SIDE = 112


def build_nin(pointwise: int, norm: bool = True, classes: int = 10) -> nn.Sequential:
    """The untrained network, float32 [n, 1, 112, 112] to [n, classes].

    Parameters
    ----------
    pointwise : int
        1x1 layers in each block.
    norm : bool
        Batch norm behind every convolution; without, convolutions have biases, as in the paper.
    classes : int
        Its outputs.

    Examples
    --------
    >>> [sum(p.numel() for p in build_nin(pointwise).parameters()) for pointwise in (2, 1)]
    [1994404, 1770604]
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 1
    blocks = (*BLOCKS, (classes, 3, 1, 1))
    for i, (channels, kernel, stride, padding) in enumerate(blocks, start=1):
        if i == len(blocks):
            layers.append(("dropout", nn.Dropout(0.5)))
        convolutions = [("conv", nn.Conv2d(inputs, channels, kernel, stride, padding, bias=not norm))]
        convolutions += [(f"cccp{k}", nn.Conv2d(channels, channels, 1, bias=not norm)) for k in range(1, pointwise + 1)]
        for name, convolution in convolutions:
            layers.append((f"{name}_{i}", convolution))
            layers += [(f"norm_{name}_{i}", nn.BatchNorm2d(channels))] if norm else []
            layers.append((f"relu_{name}_{i}", nn.ReLU()))
        if i < len(blocks):
            layers.append((f"pool_{i}", nn.MaxPool2d(3, 2)))
        inputs = channels
    layers += [("average", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    return nn.Sequential(OrderedDict(layers))


def _recipe(name: str, pointwise: int, norm: bool = True) -> Recipe:
    return Recipe(
        name=name,
        about=(
            f"NiN blocks 96 11x11/4, 256 5x5, 384 3x3, 10 3x3 with {pointwise} 1x1 each"
            f"{'' if norm else ', no batch norm'}, on Fashion-MNIST at {SIDE} x {SIDE}"
        ),
        dataset="fashion_mnist",
        build=partial(build_nin, pointwise, norm),
        schedule=Schedule(
            epochs=20,
            batch=128,
            learning_rate=4e-3,
            weight_decay=2e-2,
            augmentation=Augmentation(crop=8, flip=True),
            bfloat16=True,
            compiled=True,
        ),
        size=(SIDE, SIDE),
        invert="auto",  # the data set was made from pictures on white, as their negatives
    )


NIN = _recipe("nin", 2)
NIN_ONE = _recipe("nin_one", 1)
NIN_PLAIN = _recipe("nin_plain", 2, norm=False)
