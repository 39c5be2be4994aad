"""Every kind of layer has its place in every room: a kind that one of them forgets fails here, with the room's name."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, settings
from strategies import binary_networks, graphs, networks

import pynq_cnn
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import compile_network
from pynq_cnn.model import (
    AvgPool2d,
    BinaryConv2d,
    Concat,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    TensorType,
    Threshold,
    load_package,
    save_package,
)
from pynq_cnn.model.description import Description
from pynq_cnn.model.graph import connect
from pynq_cnn.model.layers import LAYERS
from pynq_cnn.model.package.forms import FORMS
from pynq_cnn.model.package.sizes import stored_bytes

pytestmark = pytest.mark.once

SIDE = 4
SPEC = InputSpec(SIDE, SIDE, 1, "L", (128 / 255,), (128 / 255,))
BITS = Conv2d(
    "bits", np.ones((2, 1, 1, 1), np.int8), np.zeros(2, np.int32), threshold=Threshold(np.full(2, 99, np.int32))
)
ZEROS = np.zeros(2, np.int32)
DENSE = Dense("dense", np.ones((2, 4), np.int8), np.zeros(2, np.int32))

# The smallest networks that have them.
LAYERS_WITH: dict[type, tuple[Any, ...]] = {
    Conv2d: (Conv2d("conv", np.ones((2, SIDE, SIDE, 1), np.int8), np.zeros(2, np.int32)),),
    Dense: (MaxPool2d("pool", 2, 2), DENSE),
    BinaryConv2d: (BITS, BinaryConv2d.from_signs("binary", np.ones((2, SIDE, SIDE, 2)))),
    MaxPool2d: (MaxPool2d("pool", 2, 2), DENSE),
    AvgPool2d: (AvgPool2d("average", (SIDE, SIDE), (1, 1)),),
    Concat: (
        MaxPool2d("pool", 2, 2),
        Concat("both", ("pool", "pool")),
        Dense("dense", np.ones((2, 8), np.int8), ZEROS),
    ),
}


def network_with(kind: type) -> Network:
    layers = LAYERS_WITH[kind]
    assert kind in map(type, layers)
    shape = connect(SPEC.tensor, layers)[-1].gives.shape
    output = OutputSpec(np.ones(shape[2], np.float32), np.zeros(shape[2], np.float32), "values")
    return Network("small", SPEC, layers, output, tuple(map(str, range(shape[2]))))


def module_with(kind: type) -> Any:
    """A PyTorch model of which one layer becomes `kind`."""
    from torch import nn

    from host_train.layers import binary, join
    from host_train.quantisation.graph import LayerGraph

    plain = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3))
    bits = (binary.BinaryConv2d(1, 8, 3, input_step=1 / 128), nn.Hardtanh(), nn.Flatten(), binary.BinaryLinear(32, 3))
    averaged = (nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    if kind is Concat:
        branches = {"a": nn.Conv2d(1, 2, 3), "b": nn.ReLU(), "c": nn.MaxPool2d(3, 1, 1), "d": join.Concat()}
        end = {"e": nn.Flatten(), "f": nn.Linear(16, 3)}
        return LayerGraph({**branches, **end}, {"d": ("b", "c")}).eval()
    layers = {Conv2d: plain, Dense: plain, MaxPool2d: plain, BinaryConv2d: bits, AvgPool2d: averaged}[kind]
    return nn.Sequential(*layers).eval()


def converted(kind: type) -> tuple[Any, Network]:
    """Such a model, and what it becomes in integers."""
    torch = pytest.importorskip("torch")
    from host_train import from_torch

    torch.manual_seed(0)
    model = module_with(kind)
    images = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 1), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noise is no image
        return model, from_torch(model, images, name="small", spec=SPEC, min_agreement=0)


def model(kind: type) -> None:
    network = network_with(kind)
    assert network.nodes[-1].gives.shape[:2] == (1, 1) and all(node.macs >= 0 for node in network.nodes)
    assert all(layer.parameter_count >= layer.weight_count >= 0 for layer in network.layers)
    assert kind.__name__ in str(network)


def package(kind: type, tmp_path: Any) -> None:
    assert sum(form.layer is kind for form in FORMS.values()) == 1
    network = network_with(kind)
    save_package(network, tmp_path / "small")
    assert load_package(tmp_path / "small") == network
    assert stored_bytes(tmp_path / "small")[-1].name == "output"


def reference(kind: type) -> None:
    network = network_with(kind)
    images = np.zeros((3, *SPEC.shape), np.uint8)
    assert ReferenceBackend(network).run(images).shape == (3, network.output.outputs)


def cpu(kind: type) -> None:
    network = network_with(kind)
    images = np.random.default_rng(0).integers(0, 256, (3, *SPEC.shape), dtype=np.uint8)
    np.testing.assert_array_equal(CpuBackend(network).run(images), ReferenceBackend(network).run(images))


def compiler(kind: type) -> None:
    network = network_with(kind)
    assert network.layers[-1].name in compile_network(network).instruction_names[-1]


def strategies(kind: type) -> None:
    """The random networks of the property tests have it."""
    some = settings(max_examples=500, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    any_network = networks() | binary_networks() | graphs()
    found = find(any_network, lambda network: kind in map(type, network.layers), settings=some)
    assert kind in map(type, found.layers)


def tracing(kind: type) -> None:
    torch = pytest.importorskip("torch")
    from host_train.tracing.trace import trace

    module = module_with(kind)
    found = trace(module, torch.zeros(2, 1, SIDE, SIDE)).layers
    assert {*map(type, found), torch.nn.Flatten} == {
        *map(type, module),
        torch.nn.Flatten,
    }  # one at the end adds nothing


def quantisation(kind: type) -> None:
    assert kind in map(type, converted(kind)[1].layers)


def profile(kind: type) -> None:
    module, network = converted(kind)
    from host_train.networks.profile import profile

    assert [layer.name for layer in profile(module, "small", (1, SIDE, SIDE)).layers] == [
        layer.name for layer in network.layers
    ]


ROOMS: tuple[Callable[..., None], ...] = (
    model,
    package,
    reference,
    cpu,
    compiler,
    strategies,
    tracing,
    quantisation,
    profile,
)


def demand(room: Callable[..., None], kind: type, tmp_path: Any) -> None:
    try:
        room(kind, tmp_path) if room is package else room(kind)
    except Exception as error:
        pytest.fail(f"{kind.__name__} has no place in the room {room.__name__!r}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_room_has_every_kind(room, kind, tmp_path):
    demand(room, kind, tmp_path)


@dataclass(frozen=True, eq=False, repr=False)
class Negative(Description):
    """A kind that the network takes and nobody else knows."""

    name: str
    inputs: tuple[str, ...] = ()

    def output(self, *given: TensorType) -> TensorType:
        return given[0]

    def macs(self, *given: TensorType) -> int:
        return 0


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_a_forgotten_kind_is_told_with_the_room(room, tmp_path):
    if room in (tracing, quantisation, profile):
        pytest.importorskip("torch")
    layers = {Negative: (Negative("new"), MaxPool2d("pool", 2, 2), DENSE)}
    with (
        patch("pynq_cnn.model.network.LAYERS", (*LAYERS, Negative)),
        patch.dict(LAYERS_WITH, layers),
        pytest.raises(pytest.fail.Exception, match=f"Negative has no place in the room '{room.__name__}'"),
    ):
        demand(room, Negative, tmp_path)


def asked_for(text: str, names: set[str]) -> list[tuple[int, str]]:
    """Lines that ask for the type of a layer, and for which."""
    found = []
    for node in ast.walk(ast.parse(text)):
        where: ast.AST | None = node if isinstance(node, ast.Compare) else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            where = node if node.func.id in ("isinstance", "issubclass") else None
        elif isinstance(node, ast.match_case):
            where = node.pattern
        kinds = {n.id for n in ast.walk(where) if isinstance(n, ast.Name)} & names if where is not None else set()
        found += [(where.lineno, kind) for kind in sorted(kinds)]  # type: ignore[union-attr]
    return found


def test_no_kind_is_asked_for_outside_its_files():
    """`isinstance(layer, Conv2d)`, `type(layer) is Conv2d` and `case Conv2d()` are what the next kind is forgotten in;
    in `host_train`, which has layers of these names of its own, where the kind is the model's.
    """
    names, root = {kind.__name__ for kind in LAYERS}, Path(pynq_cnn.__file__).parents[1]
    rooms = {Path(sys.modules[kind.__module__].__file__).name for kind in LAYERS}
    assert rooms == {"conv2d.py", "dense.py", "binary.py", "maxpool.py", "avgpool.py", "concat.py"}
    asked = []
    for path in [*sorted((root / "pynq_cnn").rglob("*.py")), *sorted((root / "host_train").rglob("*.py"))]:
        if path.name in rooms:
            continue
        text = path.read_text(encoding="utf-8")
        kinds = names
        if path.is_relative_to(root / "host_train"):
            imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)]
            theirs = [n for n in imports if (n.module or "").startswith("pynq_cnn.model")]
            kinds = names & {alias.asname or alias.name for n in theirs for alias in n.names}
        asked += [f"{path.relative_to(root)}:{line}: {kind}" for line, kind in asked_for(text, kinds)]
    assert asked == []


@pytest.mark.parametrize(
    "text", ["isinstance(x, (Dense, int))", "type(x) is Dense", "match x:\n case Dense():\n  pass"]
)
def test_asking_for_a_kind_is_found(text):
    assert [kind for _, kind in asked_for(text, {"Dense", "Conv2d"})] == ["Dense"]
