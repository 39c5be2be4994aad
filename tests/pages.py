"""Markdown pages: their code blocks, and an interpreter into which a page's blocks are pasted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "benchmarks", "hls_src", "overlays")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])

# Runs in the fresh interpreter: a page's Python blocks one after the other, in one namespace. Examples with prompts are
# compared with what the page says that they give, as doctest does.
PASTE = """
import doctest, json, sys
page, blocks = json.load(sys.stdin)
namespace = {"__name__": "__main__"}
for line, text in blocks:
    if ">>>" not in text:
        exec(compile("\\n" * line + text, page, "exec"), namespace)
        continue
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, line)
    test.globs = namespace
    if doctest.DocTestRunner(optionflags=flags).run(test, clear_globs=False).failed:
        sys.exit(f"{page}: the block at line {line} gives something else")
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: the line of its fence, its language, its text."""

    line: int
    language: str
    text: str


def blocks(page: Path) -> tuple[list[Block], list[str]]:
    """A page's fenced blocks, and the lines outside them."""
    found, outside, fence = [], [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            if fence is None:
                fence = (number, line.strip().removeprefix("```"), [])
            else:
                found.append(Block(fence[0], fence[1], "".join(f"{text}\n" for text in fence[2])))
                fence = None
        elif fence is None:
            outside.append(line)
        else:
            fence[2].append(line)
    assert fence is None, f"{page}: the block of line {fence} has no end"
    return found, outside


def commands(text: str) -> list[str]:
    """The commands of a shell block, one by one, without comments; of a loop those of its first round."""
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        for part in re.split(r"&&|\|\||;|\|", re.sub(r"(^|\s)#.*", "", line)):
            loop = re.fullmatch(r"for (\w+) in (\S+).*", part.strip())
            if loop:
                text = text.replace(f"${loop[1]}", loop[2])
                return commands(re.sub(r"\bfor \w+ in [^;\n]*[;\n]|\bdo\b|\bdone\b", "", text, count=3))
            if part.strip():
                found.append(part.strip())
    return found


def paste(page: Path, folder: Path) -> None:
    """Run a page's Python blocks in order, in a fresh interpreter in `folder`."""
    texts = [(block.line, block.text) for block in blocks(page)[0] if block.language == "python"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "PYNQ_CNN_DATA": str(folder / ".cache"),
        "OMP_NUM_THREADS": "1",  # PyTorch's threads would wait for each other, as other tests may run beside this one
    }
    done = subprocess.run(
        [sys.executable, "-c", PASTE],
        input=json.dumps([page.relative_to(ROOT).as_posix(), texts]),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
