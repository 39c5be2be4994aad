"""Layers as frozen descriptions with their integer arrays, checked when they are made.

conv2d, dense, binary, maxpool, avgpool, concat   the kinds
base          names, inputs and data types
weighted      layers with weights, those of bytes and convolutions among them
pooling       layers without
skip          residual addition in the accumulator
finish        from accumulators on: requantisation, threshold
accumulator   the bound on it
window        how a window slides over an image

Shapes are of one image, height x width x channel (HWC).
"""

from typing import get_args

from pynq_cnn.model.layers.avgpool import AvgPool2d
from pynq_cnn.model.layers.base import INPUT, MAX_DIMENSION, check_name
from pynq_cnn.model.layers.binary import BinaryConv2d
from pynq_cnn.model.layers.concat import Concat
from pynq_cnn.model.layers.conv2d import Conv2d
from pynq_cnn.model.layers.dense import Dense
from pynq_cnn.model.layers.finish import Requantisation, Threshold
from pynq_cnn.model.layers.maxpool import MaxPool2d
from pynq_cnn.model.layers.skip import Skip

Layer = Conv2d | Dense | BinaryConv2d | MaxPool2d | AvgPool2d | Concat
LAYERS: tuple[type, ...] = get_args(Layer)

__all__ = [
    "INPUT",
    "LAYERS",
    "MAX_DIMENSION",
    "AvgPool2d",
    "BinaryConv2d",
    "Concat",
    "Conv2d",
    "Dense",
    "Layer",
    "MaxPool2d",
    "Requantisation",
    "Skip",
    "Threshold",
    "check_name",
]
