"""A graph of layers that is being changed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from host_train.quantisation.graph import LayerGraph
from pynq_cnn.model.layers import INPUT
from pynq_cnn.model.layers.base import check_name


class Draft:
    """Layers and what they take, as `LayerGraph`, in any order.

    Parameters
    ----------
    layers : dict of str to torch.nn.Module
        By name.
    inputs : dict of str to tuple of str
        What each takes.
    output : str
        The layer that gives the output.
    """

    def __init__(self, layers: dict[str, nn.Module], inputs: dict[str, tuple[str, ...]], output: str) -> None:
        self.layers, self.inputs, self.output = layers, inputs, output

    def users(self, name: str) -> list[str]:
        """The layers that take what `name` gives, one that takes it twice twice."""
        return [user for user, taken in self.inputs.items() for one in taken if one == name]

    def only_user(self, name: str) -> str:
        """The layer that alone takes what `name` gives, once; empty if it is another number of
        them, or the output.
        """
        users = self.users(name)
        return users[0] if len(users) == 1 and name != self.output else ""

    def source(self, name: str) -> str:
        """The first layer that `name` takes, or "input"."""
        return self.inputs[name][0]

    def new_name(self, wanted: str) -> str:
        """A name that no layer has."""
        name, count = wanted[-60:], 1
        while name in self.layers or name == INPUT or hasattr(LayerGraph, name):
            count += 1
            name = f"{wanted[-60:]}_{count}"
        check_name(name)
        return name

    def put(self, wanted: str, layer: nn.Module, behind: str, users: Sequence[str] | None = None) -> str:
        """Put `layer` behind another, so that `users` take it instead: all of them, if none are named.

        Returns
        -------
        str
            Its name.
        """
        name = self.new_name(wanted)
        for user in self.users(behind) if users is None else users:
            self.inputs[user] = tuple(name if one == behind else one for one in self.inputs[user])
        if users is None and behind == self.output:
            self.output = name
        self.layers[name], self.inputs[name] = layer, (behind,)
        return name

    def remove(self, name: str) -> None:
        """Remove a layer; its users take what it took."""
        source = self.source(name)
        for user in set(self.users(name)):
            self.inputs[user] = tuple(source if one == name else one for one in self.inputs[user])
        if self.output == name:
            self.output = source
        del self.layers[name], self.inputs[name]

    def move(self, name: str, behind: str) -> None:
        """Put a layer of one input elsewhere: behind another, before all its users."""
        layer = self.layers[name]
        self.remove(name)
        assert self.put(name, layer, behind) == name

    def graph(self) -> LayerGraph:
        """The layers in an order in which they can be computed, that of the dictionary as far as possible."""
        waiting, ready = dict(self.inputs), {INPUT}
        order: list[str] = []
        while waiting:
            # Depth first: what was put behind a layer comes there, and a chain stays one.
            name = next(
                n
                for n in [*self.users(order[-1] if order else INPUT), *waiting]
                if n in waiting and ready >= {*waiting[n]}
            )
            ready.add(name)
            order.append(name)
            del waiting[name]
        return LayerGraph({name: self.layers[name] for name in order}, self.inputs)
