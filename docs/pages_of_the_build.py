"""The build's additions to Sphinx: a page for each package, the order of the pages, and a look at what came out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "docs" / "reference"


def package_page(init: Path, root: Path = ROOT) -> tuple[str, str]:
    """Name of the page of a package, by its `__init__.py`, and its text: the package, then each of its modules."""
    package = ".".join(init.parent.relative_to(root).parts)
    modules = sorted(path.stem for path in init.parent.glob("*.py") if not path.stem.startswith("__"))
    titles = [(package, "="), *((f"{package}.{name}", "-") for name in modules)]
    parts = [f"{name}\n{line * len(name)}\n\n.. automodule:: {name}\n" for name, line in titles]
    return f"{package}.rst", "\n".join(parts)


def write_api(app: Sphinx) -> None:
    """Write the pages of all packages into `docs/reference`, which git ignores: their source is the docstrings."""
    packages = [init for top in ("pynq_cnn", "host_train") for init in (ROOT / top).rglob("__init__.py")]
    texts = dict(package_page(init) for init in packages if "tests" not in init.parts)
    API.mkdir(exist_ok=True)
    for path in API.glob("*.rst"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = API / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # an unchanged page is not built again
            path.write_text(text, encoding="utf-8")


def toctrees(index: str) -> str:
    """The pages that an index links to under each of its headings, as Sphinx wants them told.

    >>> print(toctrees("## Guide\\n\\n| [driver](guide/driver.md) | ... |\\n"))
    <BLANKLINE>
    ```{toctree}
    :hidden:
    :glob:
    :caption: Guide
    <BLANKLINE>
    guide/driver
    ```
    <BLANKLINE>
    """
    found = []
    for title, shelf in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL):
        pages = dict.fromkeys(re.findall(r"\]\(([^)#:]+)\.(?:md|ipynb)\)", shelf))
        if title == "API":
            pages = {"reference/*": None}
        found.append(
            f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {title}\n\n" + "".join(f"{p}\n" for p in pages) + "```\n"
        )
    return "".join(found)


def add_toctrees(app: Sphinx, page: str, content: list[str]) -> None:
    """Give the index its tables of contents, so that it names each page once and reads well on a code host too."""
    if page == app.config.root_doc:
        content[0] += toctrees(content[0])


class Fetched(HTMLParser):
    """Addresses that a browser asks for by itself when it shows a page."""

    LINKS = ("stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "prefetch", "manifest", "modulepreload")

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag loads."""
        given = dict(attrs)
        if tag != "a":
            self.addresses += [given[name] or "" for name in ("src", "srcset", "data", "poster") if name in given]
        if tag == "link" and any(word in self.LINKS for word in (given.get("rel") or "").split()):
            self.addresses.append(given.get("href") or "")


def fetched_from_elsewhere(text: str, kind: str) -> list[str]:
    """Addresses on other hosts that a built file makes a browser fetch.

    Parameters
    ----------
    text : str
        Contents of the file.
    kind : str
        Its suffix: ".html" or ".css".

    >>> fetched_from_elsewhere('<script src="//example.org/x.js"></script><a href="//example.org">x</a>', ".html")
    ['//example.org/x.js']
    """
    if kind == ".html":
        parser = Fetched()
        parser.feed(text)
        addresses = parser.addresses
        text = "".join(re.findall(r"<style.*?</style>|style=\"[^\"]*\"", text, re.DOTALL))
    else:
        addresses = []
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    addresses += re.findall(r"url\(\s*[\"']?([^\"')]+)", text) + re.findall(r"@import\s+[\"']([^\"']+)", text)
    return [address for address in addresses if re.match(r"(https?:)?//", address.strip())]


def check_nothing_is_fetched(app: Sphinx, exception: Exception | None) -> None:
    """Stop the build where a page would not be whole without a network."""
    if exception is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            found = fetched_from_elsewhere(path.read_text(encoding="utf-8"), path.suffix)
            if found:
                raise ExtensionError(f"{path.relative_to(app.outdir)} fetches {found[0]}")
