"""The drawings are those that `make pictures` makes of what is there now."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
import warnings
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from test_one_way import all_arrows

ROOT = Path(__file__).parent.parent
PIXELS = re.compile(r"data:image/png;base64,([\w+/=]+)")


@pytest.fixture(scope="module")
def drawn() -> ModuleType:
    """`docs/pictures.py`, which is not in a package."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(svg: str) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in PIXELS.findall(svg)]


def test_they_are_as_they_are_made(drawn: ModuleType) -> None:
    """The picture is as stored, but for another zlib's bytes of the same pixels. The README's answers are so what the
    networks say now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = drawn.pictures()
    assert {path.name for path in drawn.FOLDER.glob("*.svg")} == set(made)
    for name, svg in made.items():
        stored = (drawn.FOLDER / name).read_text(encoding="utf-8")
        ElementTree.fromstring(stored)
        assert PIXELS.sub("", stored) == PIXELS.sub("", svg), f"make pictures draws {name} anew"
        assert all(map(np.array_equal, pixels(stored), pixels(svg)))
        assert not re.search(r"(href|src)=\"https?:", stored)
    assert len(pixels(made["answers.svg"])) == 6


def test_the_readme_begins_with_an_answer() -> None:
    shown = re.search(r"!\[.+\]\((.+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown is not None and shown[1] == "docs/images/answers.svg"


@pytest.mark.once
def test_drawn_arrows_are_imports(drawn: ModuleType) -> None:
    def imports(source: str, target: str) -> bool:
        return any(
            f"{module}.".startswith(f"{source}.") and f"{one}.".startswith(f"{target}.")
            for module, ones in all_arrows().items()
            for one in ones
        )

    assert [arrow for arrow in drawn.ARROWS if not imports(*arrow)] == []
    assert [arrow for arrow in drawn.ARROWS if imports(*reversed(arrow))] == []
