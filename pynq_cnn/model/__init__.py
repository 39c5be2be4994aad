"""The description of a network: its layers in integers, and the package it is stored in.

Nothing here computes with activations; that is the backends' work. See docs/contract/numerics.md and
docs/contract/model-package.md.
"""

from pynq_cnn.model.datatype import BIT, INT8, INT32, UINT8, DataType
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.graph import Node
from pynq_cnn.model.layers import (
    AvgPool2d,
    BinaryConv2d,
    Concat,
    Conv2d,
    Dense,
    Layer,
    MaxPool2d,
    Requantisation,
    Skip,
    Threshold,
)
from pynq_cnn.model.network import Golden, InputSpec, Network
from pynq_cnn.model.output import OutputSpec
from pynq_cnn.model.package import load_package, save_package, stored_bytes
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.model.tensor import Shape, TensorType

__all__ = [
    "BIT",
    "INT8",
    "INT32",
    "UINT8",
    "AvgPool2d",
    "BinaryConv2d",
    "Concat",
    "Conv2d",
    "DataType",
    "Dense",
    "FrequencyWeight",
    "Golden",
    "InputSpec",
    "Layer",
    "MaxPool2d",
    "Network",
    "Node",
    "OutputSpec",
    "Requantisation",
    "Shape",
    "SharedWeight",
    "Skip",
    "TensorType",
    "Threshold",
    "load_package",
    "save_package",
    "stored_bytes",
]
