"""A model walked in the order of its computation, as a flat nn.Sequential; what cannot be one is refused with its
source line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from host_train.layers.binary import BinaryLayer
from host_train.reason import reason_of
from host_train.tracing.operations import FUNCTIONS, LEARNED, TENSOR_METHODS, advice, module_layers
from host_train.tracing.places import located
from host_train.tracing.recording import TensorShape, operation_of, record, where_of
from host_train.tracing.sequence import Layers
from pynq_cnn.errors import NetworkError


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a flat sequence.

    Parameters
    ----------
    layers : torch.nn.Sequential
        In evaluation mode, on the CPU, with weights of its own; gives the logits.
    ending : torch.nn.Module
        Softmax, LogSoftmax or Sigmoid that the model puts behind its logits; Identity if none.
    places : dict
        Name of each layer to where it is computed, for messages.
    unused : tuple of str
        Layers with weights that the model has but does not compute.
    """

    layers: nn.Sequential
    ending: nn.Module
    places: dict[str, str]
    unused: tuple[str, ...] = ()

    def located(self, error: NetworkError) -> NetworkError:
        """`error` with the place of the layer that it is about."""
        return located(error, self.places)


def trace(model: nn.Module, inputs: torch.Tensor) -> Traced:
    """`model` as a flat nn.Sequential of the layers that `host_train.quantisation` takes.

    Parameters
    ----------
    model : torch.nn.Module
        Any; it is evaluated in evaluation mode and left as it was.
    inputs : torch.Tensor
        float32 [n, channels, height, width], at least two images, on the model's device.

    Returns
    -------
    Traced

    Raises
    ------
    NetworkError
        Names the first operation that cannot be mapped, with its source line, and what to use instead.

    Examples
    --------
    >>> block = [nn.Conv2d(1, 2, 3), nn.Dropout(), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    >>> model = nn.Sequential(*block, nn.Flatten(), nn.Linear(2, 3))
    >>> [type(layer).__name__ for layer in trace(model, torch.zeros(2, 1, 8, 8)).layers]
    ['Conv2d', 'ReLU', 'AvgPool2d', 'Flatten', 'Linear']
    >>> trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh()), torch.zeros(2, 1, 8, 8))
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: 1: a Tanh cannot be mapped; use ReLU and train it again
    """
    whole, graph, recorder = record(model, inputs)
    values = recorder.values
    called = {whole.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    found = Layers(any(isinstance(module, BinaryLayer) for module in called))
    constants: set[fx.Node] = set()  # weights, and what is computed from them alone: what takes them is looked at
    current: fx.Node | None = None  # the operation whose result the next one takes
    for node in graph.nodes:
        if node not in values and recorder.failure is not None:
            raise NetworkError(recorder.reason) from recorder.failure
        value = values.get(node)
        if node.op == "output":
            if node.args[0] is not current:
                raise NetworkError(
                    f"{type(model).__name__}.forward must return one tensor, the logits, not {_returned(node.args[0])}"
                )
        elif node.op == "placeholder":
            current = node
        elif not _has_tensor(value):
            continue  # a size
        elif node.op == "get_attr" or (node.op != "call_module" and not set(_sources(node, values)) - constants):
            constants.add(node)
        else:
            assert current is not None
            try:
                made = _map(node, current, constants, whole, values)
            except NetworkError as error:
                raise NetworkError(f"{where_of(node)}: {error}") from error
            wanted = str(node.target).removeprefix("model.") if node.op == "call_module" else node.name
            for layer in made:
                found.append(wanted, layer, node.meta.get("place", ""), values[node].shape)
            current = node
    layers, ending = found.finish()
    unused = tuple(name for name, one in model.named_modules() if isinstance(one, LEARNED) and one not in called)
    return Traced(layers, ending, found.places, unused)


def _has_tensor(value: Any) -> bool:
    return isinstance(value, (TensorShape, torch.Tensor)) or (
        isinstance(value, (tuple, list)) and any(_has_tensor(v) for v in value)
    )


def _sources(node: fx.Node, values: dict[fx.Node, Any]) -> list[fx.Node]:
    """The operations whose tensors an operation takes."""
    return [n for n in node.all_input_nodes if _has_tensor(values.get(n))]


def _returned(value: Any) -> str:
    return (
        f"the result of {value.name}, which is not the last operation"
        if isinstance(value, fx.Node)
        else f"a {type(value).__name__}"
    )


def _map(
    node: fx.Node, current: fx.Node, constants: set[fx.Node], whole: nn.Module, values: dict[fx.Node, Any]
) -> list[nn.Module]:
    """The layers of one operation, which must take the tensor of `current` and no other that is computed from the
    images.
    """
    operation = operation_of(node)
    after = values[node]
    sources = [n for n in _sources(node, values) if n not in constants]
    if len(sources) > 1:
        raise NetworkError(
            f"{len(sources)} tensors go into one operation, which cannot be mapped; {advice(operation, len(sources))}"
        )
    if not isinstance(after, TensorShape):
        raise NetworkError(f"it gives several tensors, which cannot be mapped; {advice(operation)}")
    if sources != [current]:
        raise NetworkError(
            f"it does not take the result of the operation before it ({current.name}): the model branches here, or a"
            " result is not used; use one straight line of layers"
        )
    if not node.users:
        raise NetworkError("its result is not used; write x = ... or remove it")
    before = values[current].shape
    last = len(before) == 2 and all(user.op == "output" for user in node.users)
    if node.op == "call_module":
        return module_layers(whole.get_submodule(str(node.target)), before, after.shape, last)
    handler = TENSOR_METHODS.get(operation) if node.op == "call_method" else FUNCTIONS.get(node.target)
    if handler is None:
        raise NetworkError(f"it cannot be mapped; {advice(operation, last=last)}")
    arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
    arguments = tuple(arguments)
    if arguments:
        arguments = arguments[1:]
    else:
        options = {name: option for name, option in options.items() if name not in ("input", "self")}
    try:
        return handler(before, after.shape, *arguments, **options)
    except TypeError as error:
        raise NetworkError(
            f"its arguments cannot be mapped ({reason_of(error)}); use the module of torch.nn instead"
        ) from error
