"""Imports point one way: on every floor, no circle between modules and packages, and no arrow from `pynq_cnn` up to
`host_train`.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
# Names of all modules, packages without their `__init__`.
FILES = {
    ".".join((path.parent if path.name == "__init__.py" else path.with_suffix("")).relative_to(ROOT).parts): path
    for top in ("pynq_cnn", "host_train")
    for path in (ROOT / top).rglob("*.py")
}
PACKAGES = sorted(name for name, path in FILES.items() if path.name == "__init__.py")


def imported(tree: ast.AST) -> set[str]:
    """Modules of these packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {member if member in FILES else node.module for member in members}
    return found & set(FILES)


@cache
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


@cache
def all_arrows() -> dict[str, set[str]]:
    return {name: imported(tree) for name, tree in trees().items()}


def floor(package: str, arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Imports of each module or package directly within `package` from the others."""

    def child(name: str) -> str | None:
        return name.removeprefix(f"{package}.").split(".")[0] if name.startswith(f"{package}.") else None

    found: dict[str, set[str]] = {}
    for name, targets in arrows.items():
        here = child(name)
        if here is not None:
            found.setdefault(here, set()).update(
                {there for target in targets if (there := child(target)) not in (None, here)}
            )
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle(package):
    try:
        TopologicalSorter(floor(package, all_arrows())).prepare()
    except CycleError as error:
        pytest.fail(f"imports in {package} go in a circle: {' <- '.join(error.args[1])}")


def test_no_arrow_up():
    up = [
        f"{name} imports {target}"
        for name, targets in all_arrows().items()
        for target in targets
        if target.startswith("host_train")
    ]
    assert [line for line in up if line.startswith("pynq_cnn")] == []
    order = (
        "pynq_cnn.errors",
        "pynq_cnn.model",
        "pynq_cnn.compiler",
        "pynq_cnn.backends",
        "pynq_cnn.classifier",
        "pynq_cnn.api",
        "pynq_cnn.cli",
    )
    for name, targets in all_arrows().items():
        mine = next((i for i, one in enumerate(order) if f"{name}.".startswith(f"{one}.")), len(order))
        higher = [target for target in targets for one in order[mine + 1 :] if f"{target}.".startswith(f"{one}.")]
        assert higher == [], name


def test_scikit_learn_is_loaded_where_it_is_used():
    """It takes nearly as long as PyTorch, and only k-means needs it."""
    for name, tree in trees().items():
        first = [ast.unparse(one) for one in tree.body if isinstance(one, (ast.Import, ast.ImportFrom))]
        assert not [line for line in first if "sklearn" in line], name


def test_a_circle_is_found():
    arrows = {"p.a": {"p.b.c"}, "p.b.c": {"p.d"}, "p.b": set(), "p.d": {"p.a"}, "q": {"p.a"}}
    with pytest.raises(CycleError):
        TopologicalSorter(floor("p", arrows)).prepare()
    TopologicalSorter(floor("p", {**arrows, "p.d": {"q"}})).prepare()
