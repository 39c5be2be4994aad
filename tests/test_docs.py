"""Every code block of every Markdown page does what it says: Python pasted into a fresh interpreter in an empty
folder.
"""

from __future__ import annotations

import argparse
import doctest
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks, commands, paste
from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED

import host_train.cli
import pynq_cnn.cli
from pynq_cnn.backends.kernel.native import load_engine
from pynq_cnn.errors import BackendError
from pynq_cnn.zoo import load_sample, models

pytestmark = pytest.mark.once

LANGUAGES = {"python", "sh", "json", "text"}
QUICK = {"demo", "doctor", "models", "selftest", "estimate"}  # commands of pynq-cnn that a test can run


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def needs(text: str) -> None:
    """Skip where what a page's code imports is not installed."""
    signs = {
        "torch": r"\bimport .*\btorch\b|host_train import",
        "pynq": r"\bimport pynq$|virtual_board",
        "onnx2torch": r"\bfrom_onnx\b",
    }
    for library, sign in signs.items():
        if re.search(sign, text, re.MULTILINE) and find_spec(library) is None:
            pytest.skip(NO_PYNQ if library == "pynq" else f"{library} is not installed")
    if "EmbeddedBoard" in text and not ALIGNED:
        pytest.skip(NOT_ALIGNED)
    if re.search("kernel|virtual_board", text):
        try:
            load_engine()
        except BackendError as error:
            pytest.skip(str(error))


def test_the_pages_are_found() -> None:
    assert {
        "README.md",
        "docs/guide/your-own-network.md",
        "benchmarks/README.md",
        "hls_src/build.md",
        "overlays/pynq_cnn.md",
    } <= set(map(name, PAGES))


def links(page: Path) -> list[str]:
    """Targets of a page's links to files of the project, and to headings of itself."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(blocks(page)[1])) if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    for target in links(page):
        path, _, heading = target.partition("#")
        there = page.parent / path if path else page
        assert there.is_file(), f"{name(page)} links to {target}, which is not there"
        if heading:
            titles = [line.lstrip("# ") for line in blocks(there)[1] if line.startswith("#")]
            assert heading in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}, target


def test_the_index_names_every_page_of_the_docs() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in links(index)}
    assert {page for page in PAGES if page.is_relative_to(index.parent) and page != index} <= linked
    assert set((ROOT / "notebooks").glob("*.ipynb")) <= linked


def test_every_picture_is_shown_and_has_the_command_that_draws_it() -> None:
    """The index's table: a picture that nobody can draw again says what once was."""
    index = ROOT / "docs" / "README.md"
    rows = [line.split("|") for line in blocks(index)[1] if re.match(r"\| \[.*\.(png|svg)\)", line)]
    drawn = {target: row[2] for row in rows for target in re.findall(r"\]\(([^)]+)\)", row[1])}
    there = {path for kind in ("png", "svg", "jpg") for path in (ROOT / "docs").rglob(f"*.{kind}")}
    assert {(index.parent / target).resolve() for target in drawn} == there
    assert all(re.search(r"`(make|pynq-cnn|python) [^`]+`", command) for command in drawn.values())
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^]]*\]\(([^)\s]+)\)", "\n".join(blocks(page)[1]))
    }
    assert there <= shown


@pytest.mark.parametrize("path", [*(ROOT / "pynq_cnn").rglob("*.py"), *(ROOT / "host_train").rglob("*.py")], ids=name)
def test_pages_that_the_code_quotes_are_there(path: Path) -> None:
    for quoted in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8")):
        assert (ROOT / quoted).is_file(), f"{name(path)} quotes {quoted}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_stands_in_fences_with_their_language(page: Path) -> None:
    """Indented blocks are for diagrams; a command there would be checked by nobody."""
    found, outside = blocks(page)
    assert {block.language for block in found} <= LANGUAGES
    for line in outside:
        words = line.split() if line.startswith("    ") else []
        assert not words or words[0] not in COMMANDS, f"give it a fence with its language: {line}"


WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page)[0])]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_runs(page: Path, tmp_path: Path) -> None:
    needs("".join(block.text for block in blocks(page)[0] if block.language == "python"))
    paste(page, tmp_path)


def test_the_first_cell_on_a_board_prints_what_its_page_says() -> None:
    images, _ = load_sample()
    page = (ROOT / "docs" / "guide" / "first-hour-on-a-board.md").read_text(encoding="utf-8")
    assert f"`{pynq_cnn.classify(images[0]).label} by overlay`" in page


def test_the_results_are_those_of_the_shipped_networks() -> None:
    page = (ROOT / "docs" / "lab" / "results.md").read_text(encoding="utf-8")
    for network, info in models().items():
        assert f"{network} {info.bytes:,}" in page and f"{100 * info.accuracy:.2f} %" in page, network


def subcommand(parser: argparse.ArgumentParser, word: str) -> argparse.ArgumentParser:
    """The parser of a sub-command."""
    (choices,) = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    assert word in choices, f"there is no command {word}"
    return choices[word]


def parses(parser: argparse.ArgumentParser, words: list[str]) -> None:
    try:
        parser.parse_args(words)
    except SystemExit as error:
        assert not error.code, f"{parser.prog} refuses {words}"


def check_python(words: list[str]) -> None:
    """`python -m MODULE ...` or `python SCRIPT ...`."""
    if words[0] != "-m":
        done = subprocess.run([sys.executable, ROOT / words[0], *words[1:], "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif words[1] in ("pynq_cnn", "host_train"):
        parses({"pynq_cnn": pynq_cnn.cli, "host_train": host_train.cli}[words[1]].make_parser(), words[2:])
    else:
        assert find_spec(words[1]) is not None, f"there is no module {words[1]}"


@cache
def help_of_pip(command: str) -> str:
    return subprocess.run([sys.executable, "-m", "pip", command, "--help"], capture_output=True, text=True).stdout


def check_pip(words: list[str]) -> None:
    """Extras that it names exist; it knows its options."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for extra in (extra for word in words for group in re.findall(r"\[(.*)\]", word) for extra in group.split(",")):
        assert re.search(rf'"{extra}": ', setup), f"there is no extra {extra}"
    helped = help_of_pip(words[0])
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(^|[\s,]){option}\b", helped), f"pip {words[0]} has no {option}"


def check_make(words: list[str]) -> None:
    """There is such a target, in the project's Makefile or, as `build.md` stands beside it, in that of `hls_src`."""
    here = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    where = [] if "-C" in words or here >= {word for word in words if "=" not in word} else ["-C", "hls_src"]
    done = subprocess.run(["make", "--dry-run", *where, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_pynq(words: list[str]) -> None:
    assert words[0] == "get-notebooks"
    if find_spec("pynq"):
        from pynq._cli.get_notebooks import _get_notebooks_parser

        parses(_get_notebooks_parser(), words[1:])


def check_script(path: str) -> Callable[[list[str]], None]:
    def check(words: list[str]) -> None:
        assert os.access(ROOT / path, os.X_OK)

    return check


def nothing(words: list[str]) -> None:
    """A command of the system, which is not ours to check."""


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "pynq-cnn": lambda words: parses(pynq_cnn.cli.make_parser(), words),
    "python": check_python,
    "python3": check_python,
    "torchrun": lambda words: check_python(words[words.index("-m") :]),
    "pip": check_pip,
    "make": check_make,
    "pynq": check_pynq,
    ".ci/run": check_script(".ci/run"),
    ".ci/run-board": check_script(".ci/run-board"),
    ".ci/run-32-bit": check_script(".ci/run-32-bit"),
    ".ci/run-pythons": check_script(".ci/run-pythons"),
    "apt-get": nothing,
    "scp": nothing,
    "ssh": nothing,
    "source": nothing,
    "sudo": nothing,
}


def split(command: str) -> tuple[str, list[str]]:
    """A command's program, without its folder and the variables before it, and its arguments."""
    words = shlex.split(command)
    while re.match(r"\w+=", words[0]):
        del words[0]
    program = words[0] if words[0].startswith(".ci/") else words[0].rpartition("/")[2]
    return program, words[1:]


SHELL = [
    (f"{name(page)}:{block.line}", command)
    for page in PAGES
    for block in blocks(page)[0]
    if block.language == "sh"
    for command in commands(block.text)
]


@pytest.mark.parametrize("command", [pytest.param(command, id=f"{place}: {command}") for place, command in SHELL])
def test_commands_exist_and_know_their_options(command: str) -> None:
    program, words = split(command)
    assert program in COMMANDS, f"{program} is not known here: say in COMMANDS how it is checked"
    if program == "make" and shutil.which("make") is None:
        pytest.skip("there is no make")
    COMMANDS[program](words)


@pytest.mark.parametrize(
    "command",
    sorted({split(command)[1][0] for _, command in SHELL if split(command) in [("pynq-cnn", [q]) for q in QUICK]}),
)
def test_quick_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pynq_cnn.cli.main([command]) == 0


# Within the text of pages; words in capitals stand for something.
INLINE = [
    (name(page), command)
    for page in PAGES
    for command in sorted(
        set(re.findall(r"`((?:pynq-cnn|pynq get-notebooks|python -m host_train) ?[^`]*)`", "\n".join(blocks(page)[1])))
    )
]


@pytest.mark.parametrize("command", [pytest.param(command, id=f"{place}: {command}") for place, command in INLINE])
def test_commands_in_the_text_exist_and_know_their_options(command: str) -> None:
    words = command.removeprefix("python -m ").split()
    if words[0] == "pynq":
        check_pynq(words[1:])
        return
    if len(words) == 1:
        return
    parser = {"pynq-cnn": pynq_cnn.cli, "host_train": host_train.cli}[words[0]].make_parser()
    if not words[1].startswith("-"):
        parser = subcommand(parser, words[1])
    known = {option for action in parser._actions for option in action.option_strings}
    assert {word.partition("=")[0] for word in words[1:] if word.startswith("-")} <= known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_in_the_text_are_there(page: Path) -> None:
    """Each `pynq_cnn.part.name` and `host_train.part.name` is a module or something in one."""
    if find_spec("torch") is None or find_spec("pynq") is None:
        pytest.skip("modules that need torch or pynq cannot be looked into")
    for dotted in sorted(set(re.findall(r"`((?:pynq_cnn|host_train)(?:\.[A-Za-z_]\w*)+)", "\n".join(blocks(page)[1])))):
        if not re.search(r"\.(bit|hwh|md|py)$", dotted):
            pkgutil.resolve_name(dotted)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_json_is_json(page: Path) -> None:
    for block in blocks(page)[0]:
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "pynq_cnn").rglob("*.py"))], ids=name)
def test_examples_print_alike_on_machines_of_32_bits(path: Path) -> None:
    """NumPy leaves out the type of an array where it is the machine's own integer: int64 on most, int32 on the
    board.
    """
    for example in doctest.DocTestParser().get_examples(path.read_text(encoding="utf-8")):
        assert not re.search(r"dtype=int(32|64)\b|array\([\[\]\d\s,-]+\)", example.want), example.want
