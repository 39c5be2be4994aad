"""Layers as frozen descriptions with their integer arrays, checked when they are made.

conv2d, dense, binary, maxpool, avgpool   the kinds
base          name, shapes and data types
weighted      layers with weights, and convolutions among them
pooling       layers without
finish        from accumulators on: requantisation, threshold
accumulator   the bound on it
window        how a window slides over an image

Shapes are of one image, height x width x channel (HWC).
"""

from typing import get_args

from pynq_cnn.model.layers.avgpool import AvgPool2d
from pynq_cnn.model.layers.base import MAX_DIMENSION, Shape, check_name
from pynq_cnn.model.layers.binary import BinaryConv2d
from pynq_cnn.model.layers.conv2d import Conv2d
from pynq_cnn.model.layers.dense import Dense
from pynq_cnn.model.layers.finish import Requantisation, Threshold
from pynq_cnn.model.layers.maxpool import MaxPool2d

Layer = Conv2d | Dense | BinaryConv2d | MaxPool2d | AvgPool2d
LAYERS: tuple[type, ...] = get_args(Layer)

__all__ = [
    "LAYERS",
    "MAX_DIMENSION",
    "AvgPool2d",
    "BinaryConv2d",
    "Conv2d",
    "Dense",
    "Layer",
    "MaxPool2d",
    "Requantisation",
    "Shape",
    "Threshold",
    "check_name",
]
