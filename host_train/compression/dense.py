"""The trained network that a compression starts from."""

from __future__ import annotations

from torch import nn

from host_train.compression.prune import weighted_layers
from host_train.layers.binary import BinaryLayer
from host_train.quantisation.fold import fold
from host_train.runs.run import Run
from pynq_cnn.errors import ArgumentError


def dense_model(run: Run) -> nn.Sequential:
    """The run's network in floating point, folded; `ArgumentError` for one of binary layers."""
    model = run.float_model()
    if any(isinstance(module, BinaryLayer) for module in model.modules()):
        raise ArgumentError(
            f"{run.recipe.name} has binary weights, of one bit each already; compress a network of real weights"
        )
    return fold(model)


def layer_sizes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """(weights, biases) of every layer."""
    layers = weighted_layers(model).items()
    return {name: (layer.weight.numel(), 0 if layer.bias is None else layer.bias.numel()) for name, layer in layers}
