"""Every kind of layer has a file of its name in quantisation, and is asked for nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

import host_train.quantisation
from host_train.quantisation.fold import check_layer
from host_train.quantisation.layers.rules import add_to_blocks, integer_layer, quantised, role, shape_behind
from host_train.tracing.operations import module_layers
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import LAYERS

FOLDER = Path(host_train.quantisation.__file__).parent
KINDS = {kind.__name__ for rule in (role, integer_layer, add_to_blocks) for kind in rule.registry} - {"object"}


def test_every_kind_has_a_file_of_its_name():
    rooms = {kind.__module__.rpartition(".")[2] for kind in LAYERS}
    assert rooms <= {path.stem for path in (FOLDER / "layers").glob("*.py")}


def test_no_kind_is_asked_for_outside_its_file():
    """`isinstance(layer, nn.Conv2d)` is what the next kind is forgotten in."""
    asked = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                names = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node.args[1])} & KINDS
                asked += [f"{path.relative_to(FOLDER)}:{node.lineno}: {', '.join(sorted(names))}"] if names else []
    own = ("layers/avgpool.py", "layers/binary.py")  # of two kinds each
    assert [one for one in asked if not one.startswith(own)] == []


def test_what_is_taken_and_what_is_advised_are_the_same():
    with pytest.raises(NetworkError, match="use AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, .* and ReLU$") as refused:
        check_layer(nn.Fold(4, 2), "a")
    taken = str(refused.value).rpartition("use ")[2]
    with pytest.raises(NetworkError) as advised:
        module_layers(nn.Fold(4, 2), (1, 1, 4, 4), (1, 1, 4, 4))
    assert taken in str(advised.value)
    folded = {kind.__name__ for kind in quantised.registry if kind.__module__.startswith("torch")}
    assert folded and folded <= set(taken.replace(" and ", ", ").split(", "))


def test_a_layer_may_have_several_inputs():
    class Join(nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left + right

    assert shape_behind(Join(), "join", (2, 4, 4), (2, 4, 4)) == (2, 4, 4)
    with pytest.raises(NetworkError, match=r"join does not take an input of shape \(2, 4, 4\) and \(2, 3, 4\)"):
        shape_behind(Join(), "join", (2, 4, 4), (2, 3, 4))
