"""A model walked in the order of its computation, as a graph of layers; what cannot be one is refused with its source
line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn

from host_train.layers.binary import BinaryLayer
from host_train.layers.join import Add, Concat
from host_train.layers.scale import ChannelScale
from host_train.quantisation.graph import LayerGraph
from host_train.quantisation.sequential import pair
from host_train.reason import reason_of
from host_train.tracing.flow import Ending, Flow, Shape
from host_train.tracing.operations import (
    LEARNED,
    SumOf,
    Unchanged,
    advice,
    arithmetic,
    handler_of,
    is_single,
    joins,
    module_layers,
    moving,
)
from host_train.tracing.places import located
from host_train.tracing.recording import HELD, TensorShape, Tracer, held, operation_of, record, where_of
from host_train.tracing.sequence import Layers
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import INPUT

ENDINGS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a graph of layers.

    Parameters
    ----------
    layers : LayerGraph
        In evaluation mode, on the CPU, with weights of its own; gives the logits.
    ending : torch.nn.Module
        Softmax, LogSoftmax or Sigmoid that the model puts behind its logits; Identity if none.
    places : dict
        Name of each layer to where it is computed, for messages.
    unused : tuple of str
        Layers with weights that the model has but does not compute.
    """

    layers: LayerGraph
    ending: nn.Module
    places: dict[str, str]
    unused: tuple[str, ...] = ()

    def located(self, error: NetworkError) -> NetworkError:
        """`error` with the place of the layer that it is about."""
        return located(error, self.places)


def trace(model: nn.Module, inputs: torch.Tensor) -> Traced:
    """`model` as a graph of the layers that `host_train.quantisation` takes.

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
    model = held(model)
    whole, graph, tracer = record(model, inputs)
    called = {whole.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    binary = any(isinstance(module, BinaryLayer) for module in called)
    walk = _Walk(model, whole, tracer, Layers(binary, tuple(inputs.shape)))
    nodes = list(graph.nodes)
    live = _live(nodes)
    for node in nodes:
        if node.op != "output" and node not in tracer.values and tracer.failure is not None:
            raise NetworkError(tracer.reason) from tracer.failure
        if node in live:
            walk.visit(node)
    assert walk.result is not None  # a recording that ended early has raised by now
    layers, ending = walk.finish(walk.result)
    unused = tuple(name for name, one in model.named_modules() if isinstance(one, LEARNED) and one not in called)
    return Traced(layers, ending, walk.layers.places, unused)


def _live(nodes: list[fx.Node]) -> set[fx.Node]:
    """The operations that the output depends on; all of them where there is no output."""
    if not nodes or nodes[-1].op != "output":
        return set(nodes)
    live, stack = set(), [nodes[-1]]
    while stack:
        node = stack.pop()
        if node not in live:
            live.add(node)
            stack += node.all_input_nodes
    return live


class _Walk:
    """Goes through the recorded operations, and collects their layers."""

    def __init__(self, model: nn.Module, whole: nn.Module, tracer: Tracer, layers: Layers) -> None:
        self.model, self.whole, self.tracer, self.layers = model, whole, tracer, layers
        self.flows: dict[fx.Node, Any] = {}  # of what depends on the images: a Flow, or a list of them
        self.ones: dict[str, tuple[str, str]] = {}  # averages of single pixels: by layer their names and places
        self.result: Flow | None = None

    def visit(self, node: fx.Node) -> None:
        """Take one operation; `NetworkError` with its place if it cannot be mapped."""
        if node.op == "output":
            self.result = self._returned(node.args[0])
        elif node.op == "placeholder":
            shape = tuple(self.tracer.inputs.shape)
            self.flows[node] = Flow(INPUT, shape[1:], shape)
        elif any(one in self.flows for one in node.all_input_nodes):
            try:
                self.flows[node] = self._operation(node)
            except NetworkError as error:
                if error.layer is not None:
                    raise  # it has its place
                raise NetworkError(f"{where_of(node)}: {error}") from error

    def finish(self, flow: Flow) -> tuple[LayerGraph, nn.Module]:
        """The graph, and the softmax or sigmoid behind it."""
        if flow.name in self.ones and self.layers.ends_in_bytes(flow.name):
            wanted, place = self.ones[flow.name]
            flow = replace(flow, name=self.layers.add(wanted, nn.AvgPool2d(1), place, flow.name))
        return self.layers.finish(flow), nn.Identity() if flow.ending is None else flow.ending.layer

    def _returned(self, value: Any) -> Flow:
        flow = self.flows.get(value) if isinstance(value, fx.Node) else None
        if isinstance(flow, Flow):
            return flow
        several = "; join several with torch.cat(outputs, 1)" if isinstance(value, (tuple, list, dict)) else ""
        kind = next((one.__name__ for one in (dict, list, tuple) if isinstance(value, one)), type(value).__name__)
        what = f"the result of {value.name}" if isinstance(value, fx.Node) else f"a {kind}"
        raise NetworkError(
            f"{type(self.model).__name__}.forward must return one tensor, the logits, not {what}{several}"
        )

    def _argument(self, node: fx.Node) -> Any:
        """An operation's argument: a Flow, or a real value."""
        if node in self.flows:
            return self.flows[node]
        if node.op == "get_attr" and node not in self.tracer.values:
            return attrgetter(str(node.target))(self.tracer.root)
        value = self.tracer.values[node]
        if isinstance(value, TensorShape):
            raise NetworkError("a Python number that depends on what is in the images cannot be mapped; remove it")
        return value

    def _operation(self, node: fx.Node) -> Any:
        args, options = fx.node.map_arg((node.args, node.kwargs), self._argument)
        operation = operation_of(node)
        module = self.whole.get_submodule(str(node.target)) if node.op == "call_module" else None
        if moving.moves(node.target if module is None else module, operation):
            return self._moved(node, module, tuple(args), dict(options))
        flows = _flows([*args, *options.values()])
        what = arithmetic.NAMES.get(operation) if module is None else None
        value = self.tracer.values[node]
        after = value.shape if isinstance(value, TensorShape) else None
        last = len(flows[0].shape) == 2 and all(user.op == "output" for user in node.users)
        if what is not None and len(flows) == 1:
            made = arithmetic.made(what, operation, args, options, flows[0].shape, after)
        elif what in (arithmetic.SUM, arithmetic.DIFFERENCE) and len(flows) == 2:
            first, second = reversed(flows) if operation == "rsub" else flows
            alpha: Any = options.get("alpha", 1)
            factor = float(alpha) if what == arithmetic.SUM else -float(alpha)
            flows = [first, self._behind(node, arithmetic.scaled(second.shape, factor), [second], second.shape)]
            made = [Add()]
        elif module is not None:
            made = module_layers(module, flows[0].shape, after or (), last)
        else:
            made = self._called(node, operation, tuple(args), dict(options), flows, after, last)
        if after is None:
            raise NetworkError(f"it gives several tensors, which cannot be mapped; {advice(operation)}")
        if len(flows) > 1 and made:
            return self._joined(node, made[0], flows, after)
        return self._behind(node, made, flows, after)

    def _moved(self, node: fx.Node, module: nn.Module | None, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The same numbers elsewhere: the operation is done to their places."""
        first = args[0] if args else next(iter(options.values()))
        if isinstance(first, (tuple, list)):
            return first[args[1]]  # one of several tensors
        if not isinstance(first, Flow):
            raise NetworkError("what it moves depends on the images only by what it is told; remove it")

        def move(index: torch.Tensor) -> Any:
            given, named = fx.node.map_aggregate(
                (args, options),
                lambda one: index if one is first else torch.empty(one.shape) if isinstance(one, Flow) else one,
            )
            return moving.apply(node.target if module is None else module, operation_of(node), given, named)

        return first.moved(move, where_of(node))

    def _called(
        self,
        node: fx.Node,
        operation: str,
        args: tuple[Any, ...],
        options: dict[str, Any],
        flows: list[Flow],
        after: Shape | None,
        last: bool,
    ) -> list[nn.Module]:
        """The layers of a function or method."""
        handler = handler_of(node.target, operation)
        if handler is None or (len(flows) > 1 and not joins(handler)):
            raise NetworkError(
                f"{'' if len(flows) > 1 else 'it cannot be mapped; '}{advice(operation, len(flows), last=last)}"
            )
        rest = [one for one in args if not _flows([one])]
        named = {name: one for name, one in options.items() if not _flows([one])}
        try:
            return handler(flows[0].shape, after or (), *rest, **named)
        except TypeError as error:
            raise NetworkError(
                f"its arguments cannot be mapped ({reason_of(error)}); use the module of torch.nn instead"
            ) from error

    def _joined(self, node: fx.Node, layer: nn.Module, flows: list[Flow], after: Shape) -> Flow:
        """Several tensors in one."""
        wanted, place = _wanted(node), node.meta.get("place", "")
        endings = [flow.ending for flow in flows]
        if isinstance(layer, Concat) and all(one is not None and isinstance(one.layer, nn.Sigmoid) for one in endings):
            joined = self._joined(node, layer, [replace(flow, ending=None) for flow in flows], after)
            return replace(joined, ending=endings[0])
        self._refuse_endings(flows)
        first = flows[0]
        if isinstance(layer, Add):
            if any(one.shape != after for one in flows):
                shapes = " and ".join(str(one.shape) for one in flows)
                raise NetworkError(
                    f"tensors of {shapes} are added, which cannot be mapped: nothing here spreads a value over several;"
                    " bring both to one shape before, by layers with weights or pooling"
                )
            alike = all(_alike(one, first) for one in flows)
            if alike and first.all_there:
                name = self.layers.add(wanted, layer, place, *(one.name for one in flows))
                return replace(first, name=name, made={})
        if len(flows) == 1:
            return first
        name = self.layers.add(wanted, layer, place, *(self._source(one) for one in flows))
        return Flow(name, self.layers.shapes[name], after)

    def _behind(self, node: fx.Node, made: list[nn.Module], flows: list[Flow], after: Shape) -> Flow:
        """Layers one behind the other."""
        flow = flows[0]
        wanted, place = _wanted(node), node.meta.get("place", "")
        for layer in made:
            self._refuse_endings([flow])
            if isinstance(layer, ENDINGS):
                flow = replace(flow, ending=Ending(wanted, layer, place, flow.shape[-1]))
            elif isinstance(layer, SumOf):
                parts = [self._behind(node, chain, [flow], flow.shape) for chain in layer.chains]
                flow = self._joined(node, Add(), parts, flow.shape)
            elif isinstance(layer, Unchanged):
                self.ones[flow.name] = wanted, place
            elif isinstance(layer, Concat):
                pass  # of one tensor
            elif is_single([layer]) and flow.all_there:
                flow = replace(flow, name=self.layers.add(wanted, layer, place, flow.name), made={})
            else:
                layer, source = self._over(layer, flow)
                name = self.layers.add(wanted, layer, place, source)
                flow = Flow(name, self.layers.shapes[name], (flow.shape[0], *self.layers.shapes[name]))
        if flow.shape != after:
            flow = replace(flow, shape=after, index=None if flow.index is None else flow.index.reshape(after))
        return flow

    def _over(self, layer: nn.Module, flow: Flow) -> tuple[nn.Module, str]:
        """A layer, and what it takes. To what treats all pixels alike, or takes their mean, it does not matter whether
        they are in rows or one behind the other.
        """
        in_order = (
            flow.index is None and len(flow.given) == 3 and len(flow.shape) > 2 and flow.shape[1] == flow.given[0]
        )
        if in_order and flow.shape[1:] != flow.given:
            if isinstance(layer, nn.AvgPool2d) and pair(layer.kernel_size) == flow.shape[2:] and not layer.padding:
                return nn.AdaptiveAvgPool2d(1), flow.name
            if isinstance(layer, nn.MaxPool2d) and pair(layer.kernel_size) == _window(flow.shape) and not layer.padding:
                height, width = flow.given[1:]
                return nn.MaxPool2d((height, width)), flow.name
            if isinstance(layer, (nn.AdaptiveAvgPool2d, nn.BatchNorm2d, ChannelScale)):
                return layer, flow.name
        return layer, self._source(flow)

    def _source(self, flow: Flow) -> str:
        """The layer that gives the numbers of a tensor, as an image or flat."""
        if len(flow.shape) == 1:
            flow = replace(flow, shape=(*flow.shape, 1), index=None if flow.index is None else flow.index[:, None])
        return self.layers.features(flow) if len(flow.shape) == 2 else self.layers.image(flow)

    def _refuse_endings(self, flows: list[Flow]) -> None:
        for ending in (flow.ending for flow in flows):
            if ending is not None:
                kind = "sigmoid" if isinstance(ending.layer, nn.Sigmoid) else "softmax"
                again = " and train it again" if kind == "sigmoid" else ""
                error = f"{ending.name}: a {kind} can only be the last operation; use ReLU between layers{again}"
                raise NetworkError(": ".join(filter(None, (ending.place, error))), ending.name)


def _window(shape: Shape) -> tuple[int, int]:
    """The window that is all of an image, or of a row."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def _wanted(node: fx.Node) -> str:
    """The name for an operation's layer."""
    return str(node.target).removeprefix("model.").replace(HELD, "") if node.op == "call_module" else node.name


def _flows(values: Any) -> list[Flow]:
    """The tensors among arguments that depend on the images."""
    if isinstance(values, Flow):
        return [values]
    return [flow for one in values for flow in _flows(one)] if isinstance(values, (tuple, list)) else []


def _alike(one: Flow, other: Flow) -> bool:
    """Whether the numbers of two tensors are in the same order."""
    if one.given != other.given or (one.index is None) != (other.index is None):
        return False
    return one.index is None or (other.index is not None and torch.equal(one.index, other.index))
