"""Imports between packages point one way: none imports another that imports it, however long the way round."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def room_of(module: str, top: str) -> str | None:
    """The part of `top` that holds `module`, a dotted name; None for `top` itself and for what is elsewhere."""
    parts = module.split(".")
    return parts[1] if parts[0] == top and len(parts) > 1 else None


def imports(top: str) -> dict[str, set[str]]:
    """Each package and module directly in `top`, with those that its files import anywhere, in functions too."""
    arrows: dict[str, set[str]] = {}
    for path in sorted((ROOT / top).rglob("*.py")):
        own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts), top)
        if own in (None, "__init__", "__main__"):  # what gives the public names, and what starts the command
            continue
        found = arrows.setdefault(own, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports by a relative name, which this test does not follow"
                names = [f"{node.module}.{alias.name}" for alias in node.names]  # `from top import room` too
            found |= {room for name in names if (room := room_of(name, top)) is not None and room != own}
    return arrows


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Rooms that import each other in a ring, the first again at the end; empty if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_the_imports_of_host_train_are_read():
    arrows = imports("host_train")
    assert {"layers", "data"} <= arrows["training"]  # at the top of a file
    assert "tracing" in arrows["commands"]  # within functions


@pytest.mark.parametrize("top", ["host_train", "pynq_cnn"])
def test_imports_point_one_way(top: str):
    assert circle(imports(top)) == []


def test_nothing_of_pynq_cnn_imports_host_train():
    for path in (ROOT / "pynq_cnn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "host_train" for name in names), f"{path}:{node.lineno}"
