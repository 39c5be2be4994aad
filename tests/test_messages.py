"""The page of messages has every one that the package can say, as people meet them."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pynq_cnn
from pynq_cnn.backends.overlay.bitstream import find_bitfile
from pynq_cnn.compiler import Hardware, compile_network
from pynq_cnn.model import InputSpec, OutputSpec, load_package
from pynq_cnn.zoo import load_model, load_sample

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def messages() -> ModuleType:
    """`docs/messages.py`, which is not in a package."""
    spec = importlib.util.spec_from_file_location("messages", ROOT / "docs" / "messages.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["messages"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(messages: ModuleType) -> list:
    return messages.messages()


@pytest.fixture(scope="module")
def page(messages: ModuleType) -> str:
    return messages.PAGE.read_text(encoding="utf-8")


def listed(page: str) -> dict[str, list[str]]:
    """Messages of a page by their class."""
    lists: dict[str, list[str]] = {}
    for kind, text in re.findall(r"<!-- messages: (\w+).*? -->\n(.*?)<!-- end of messages -->", page, re.DOTALL):
        lists.setdefault(kind, []).extend(re.findall(r"^\* (?:`` (.*) ``|`(.*)`)$", text, re.MULTILINE))
    return {kind: ["".join(pair) for pair in pairs] for kind, pairs in lists.items()}


def test_the_page_is_that_of_the_sources(messages: ModuleType, found: list, page: str) -> None:
    now = messages.updated(page, found)
    missing = sorted(set(now.splitlines()) - set(page.splitlines()))
    assert now == page, f"make messages writes the page anew; new are {missing}"


def test_every_class_has_its_messages(messages: ModuleType, found: list, page: str) -> None:
    bases = {"PynqCnnWarning"}
    assert set(messages.kinds()) - bases <= set(listed(page))
    for kind in messages.kinds():
        if kind not in bases:
            assert any(one.kind == kind for one in found) and listed(page)[kind]


def test_every_piece_of_a_message_is_on_the_page(messages: ModuleType, page: str) -> None:
    """Looked at more simply than the page's own reader does: the longest piece without a value of whatever makes an
    error.
    """
    kinds, looked_at = set(messages.kinds()), 0
    for path in [*(ROOT / "pynq_cnn").rglob("*.py"), *(ROOT / "host_train").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or getattr(node.func, "id", "") not in kinds:
                continue
            first = node.args[0]
            values = first.values if isinstance(first, ast.JoinedStr) else [first]
            pieces = [one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            piece = " ".join(max(pieces, key=len, default="").split())
            if len(piece) > 12:
                looked_at += 1
                assert piece in page, f"{path.relative_to(ROOT)}: {piece!r}: make messages"
    assert looked_at > 400


def image(array: object) -> Callable[[], object]:
    return lambda: pynq_cnn.classify(array, backend="reference")


DIGIT = load_sample()[0][0]
REAL: dict[str, Callable[[], object]] = {
    "a backend's name": lambda: pynq_cnn.classify(DIGIT, backend="gpu"),
    "a network's name": lambda: pynq_cnn.Classifier("lenett"),
    "a file that is not there": image("no such file.png"),
    "an address": image("http://example.org/x.png"),
    "bytes that are no picture": image(b"text"),
    "a blank page": image(np.full((100, 100), 255, np.uint8)),
    "floats beyond 1": image(np.full((28, 28), 300.0)),
    "none": image(None),
    "no bitstream": lambda: find_bitfile("nowhere.bit"),
    "a closed backend": lambda: closed().predict(DIGIT[None]),
    "no package": lambda: load_package(ROOT / "tests"),
    "a colour": lambda: InputSpec(28, 28, 1, color="CMYK", mean=(0.5,), std=(0.5,)),
    "an output": lambda: OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "softmaxx"),
    "a batch": lambda: pynq_cnn.Classifier("lenet", backend="reference", batch=0),
}


def closed() -> pynq_cnn.Classifier:
    with pynq_cnn.Classifier("lenet", backend="reference") as classifier:
        return classifier


def is_listed(text: str, patterns: list[str]) -> bool:
    """Whether one of a page's messages, `…` standing for anything, is a text or a part of it."""
    text = " ".join(text.split())
    telling = [one for one in patterns if len(re.findall("[a-z]{2,}", one)) > 2]
    return any(re.search(re.escape(one).replace("…", ".*"), text) for one in telling)


@pytest.mark.parametrize("what", REAL)
def test_what_people_meet_is_on_the_page(page: str, what: str) -> None:
    with pytest.raises(pynq_cnn.PynqCnnError) as error:
        REAL[what]()
    assert is_listed(str(error.value), listed(page)[type(error.value).__name__]), error.value


def test_a_warning_is_on_the_page(page: str) -> None:
    two = np.full((60, 120), 255, np.uint8)
    two[10:50, 30:36] = two[10:50, 84:90] = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pynq_cnn.classify(two, backend="reference")
    assert told and all(is_listed(str(one.message), listed(page)["ImageWarning"]) for one in told)
    assert not is_listed("something that nobody says", listed(page)["ImageWarning"])


def test_a_network_that_does_not_fit_is_on_the_page(page: str) -> None:
    with pytest.raises(pynq_cnn.CompileError) as error:
        compile_network(load_model("lenet"), hardware=Hardware(feature_map_bytes=16), capacity=1)
    assert is_listed(str(error.value), listed(page)["CompileError"])


def test_texts_are_followed_to_where_they_are_written(messages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pynq_cnn").mkdir()
    (tmp_path / "host_train").mkdir()
    (tmp_path / "pynq_cnn" / "errors.py").write_text("class PynqCnnError(Exception): pass\n", encoding="utf-8")
    (tmp_path / "pynq_cnn" / "a.py").write_text(
        "REMEDY = 'be {who} and try again'\n"
        "def fault(field, problem):\n"
        "    return PynqCnnError(f'{field}: {problem}')\n"
        "def check(x):\n"
        "    raise PynqCnnError(f'{x} is too ' + ('large' if x > 1 else 'small') + ' to be used')\n",
        encoding="utf-8",
    )
    (tmp_path / "pynq_cnn" / "b.py").write_text(
        "from pynq_cnn.a import REMEDY, fault\n"
        "def f(name):\n"
        "    raise fault(name, f'must not be {name}, as is well known')\n"
        "def g():\n"
        "    raise PynqCnnError(REMEDY.format(who='root'))\n",
        encoding="utf-8",
    )
    texts = {message.text for message in messages.messages(tmp_path)}
    assert texts == {
        "…: must not be …, as is well known",
        "… is too large to be used",
        "… is too small to be used",
        "be … and try again",
    }


def test_messages_go_to_the_nearest_mark(messages: ModuleType) -> None:
    marks = "".join(f"<!-- messages: {mark} -->\n<!-- end of messages -->\n" for mark in ("E", "E p.q", "E p p.q.r"))
    given = [messages.Message("E", module, f"said by {module}") for module in ("x", "p", "p.q", "p.q.r", "pq")]
    parts = messages.updated(marks, given).split("<!-- end of messages -->")
    assert [re.findall("said by ([a-z.]+)", part) for part in parts[:3]] == [["pq", "x"], ["p.q"], ["p.q.r", "p"]]
    with pytest.raises(ValueError, match="no section takes F from p"):
        messages.updated(marks, [messages.Message("F", "p", "some words")])
