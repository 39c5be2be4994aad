"""How Sphinx makes the pages: `make docs`.

The source is the project's folder, so that a link to any page, file or notebook of the project is the same link on a
code host and in the built pages, and is checked. Sphinx and not MkDocs, because it reads NumPy's style of docstrings by
itself, makes a search that works from a folder of files, and fetches nothing from elsewhere when a page is looked at.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "pynq_cnn"
release = re.findall('^__version__ = "(.+)"$', (ROOT / "pynq_cnn/__init__.py").read_text(encoding="utf-8"), re.M)[0]
author = "the authors of pynq_cnn"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**",
    "benchmarks/README.md",
    "hls_src/build.md",
    "overlays/*.md",
    "notebooks/*.ipynb",
]
exclude_patterns = ["docs/templates"]
templates_path = [str(ROOT / "docs" / "templates")]
html_theme = "furo"
html_title = f"pynq_cnn {release}"
html_additional_pages = {"index": "to_the_index.html"}  # the index is docs/README.html, beside the pages it names
html_copy_source = False

# Pages are Markdown as a code host shows it; headings have the anchors that a code host gives them.
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tests run the notebooks

# Docstrings: words between single backquotes are code; a type is what its author wrote.
default_role = "code"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections of a docstring say them, with shapes
# What a package offers from its modules is described where it is written, once.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
# All that modules import must be there (pip install -e '.[test,docs]') but pynq, which Python 3.13 cannot have.
autodoc_mock_imports = [library for library in ("pynq", "pynqmetadata") if find_spec(library) is None]
autodoc_inherit_docstrings = False
# A type in a docstring is words for people; the same word may be the name of a class in two packages.
suppress_warnings = ["ref.python"]

sys.path.insert(0, str(ROOT / "docs"))
from pages_of_the_build import add_toctrees, check_nothing_is_fetched, write_api  # noqa: E402


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_api)
    app.connect("source-read", add_toctrees)
    app.connect("build-finished", check_nothing_is_fetched)
