"""The built pages: made by the command that people use, without a warning, whole, and without anything from elsewhere.

Needs what the extra `docs` brings.
"""

from __future__ import annotations

import doctest
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("sphinx", reason="sphinx is not installed: pip install -e '.[docs]'")
pytest.importorskip("myst_nb", reason="myst-nb is not installed: pip install -e '.[docs]'")
sys.path.insert(0, str(ROOT / "docs"))

import pages_of_the_build  # noqa: E402

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make docs` fills."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    folder = tmp_path_factory.mktemp("docs") / "html"
    command = ["make", "docs", f"OUT={folder}", f"PYTHON={sys.executable}", "JOBS=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder


def test_the_first_page_leads_to_the_index(built: Path) -> None:
    (target,) = set(re.findall(r'url=([^"]+)"', (built / "index.html").read_text(encoding="utf-8")))
    assert "The docs" in (built / target).read_text(encoding="utf-8")


def test_every_page_and_notebook_is_there(built: Path) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md"]
    assert len(sources) > 18
    assert [path for path in sources if not (built / path.relative_to(ROOT)).with_suffix(".html").is_file()] == []


@pytest.mark.parametrize(
    "name",
    ["pynq_cnn.api.classify", "pynq_cnn.classifier.Classifier.predict", "pynq_cnn.errors.DeviceError"]
    + ["pynq_cnn.model.package.load_package", "host_train.tracing.convert.from_torch"],
)
def test_the_api_is_described(built: Path, name: str) -> None:
    pages = [path for path in (built / "docs" / "reference").glob("*.html") if name.startswith(path.stem)]
    ids = {found for page in pages for found in re.findall(r'<dt[^>]* id="([^"]+)"', page.read_text(encoding="utf-8"))}
    assert name in ids or any(found.endswith("." + name.rpartition(".")[2]) for found in ids)


def test_a_search_for_each_message_finds_its_page(built: Path) -> None:
    """By the index that the built pages' own search reads, and by its rules: every word of the query must be there."""
    from sphinx.search.en import SearchEnglish

    english = SearchEnglish({})
    script = (built / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    number = index["docnames"].index("docs/guide/troubleshooting")

    def found(stem: str) -> bool:
        """Whether the page has the word, or, where no page has, a word with that in it."""
        words = [index[kind] for kind in ("terms", "titleterms")]
        pages = [of[one] for of in words for one in ([stem] if stem in of else [word for word in of if stem in word])]
        return any(number == one or (isinstance(one, list) and number in one) for one in pages)

    page = (ROOT / "docs" / "guide" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\* `+(.+?)`+$", page, re.MULTILINE)
    assert len(messages) > 500
    for message in messages:
        words = {word for word in re.findall(r"\w+", message.lower()) if not word.isdigit()} - english.stopwords
        stems = {stem for stem in map(english.stem, words) if len(stem) > 2}  # shorter ones do not count
        assert [stem for stem in stems if not found(stem)] == [], message


def test_tables_of_contents_and_the_look_for_other_hosts() -> None:
    assert doctest.testmod(pages_of_the_build).failed == 0
    fetched = pages_of_the_build.fetched_from_elsewhere
    for text in (
        '<img src="//example.org/x.png">',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        '<p style="background: url(https://example.org/x.png)">',
        "<style>@import 'https://example.org/x.css';</style>",
    ):
        assert len(fetched(text, ".html")) == 1, text
    assert len(fetched("@font-face {src: url(https://example.org/x.woff)}", ".css")) == 1
    assert fetched('<a href="https://example.org">x</a><img src="_images/x.png">', ".html") == []


def test_every_package_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "p" / "q").mkdir(parents=True)
    for name in ("__init__", "a", "__main__"):
        (tmp_path / "p" / "q" / f"{name}.py").touch()
    name, text = pages_of_the_build.package_page(tmp_path / "p" / "q" / "__init__.py", tmp_path)
    assert name == "p.q.rst"
    assert re.findall("automodule:: (.+)", text) == ["p.q", "p.q.a"]
