"""Runs notebooks from top to bottom, each in a folder and a kernel of its own.

    python tests/notebooks.py [NAME ...]     run notebooks (all, or those whose names begin so) and store their outputs

What is stored is what the tests compare (`test_notebooks.py`): text without the machine's paths, pictures, no times of
cells. A cell whose text is another one on every machine, as it has times, has the tag `varies`; one that does something
else where a library is missing has the library's name as its tag.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 300  # of a cell
VARIES = "varies"


@contextmanager
def kernel_on(board: Path | None) -> Iterator[str]:
    """The name of a kernel with the sources of this checkout: here, or on the emulated board in the folder `board`."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("JUPYTER_PATH", folder)
        environment.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        command = [sys.executable]
        command += [] if board is None else ["-m", "pynq_cnn.virtual_board.embedded", str(board)]
        command += ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": "pynq_cnn", "language": "python"}
        path = Path(folder) / "kernels" / "pynq_cnn" / "kernel.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(spec), encoding="utf-8")
        yield "pynq_cnn"


def execute(notebook: Any, folder: Path, board: Path | None = None) -> None:
    """Run all cells of a notebook in `folder`; their outputs are in it then."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    with kernel_on(board) as name:
        nbclient.NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name=name,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = list(tidied(cell.outputs))


def tidied(outputs: list[Any]) -> Iterator[Any]:
    """Outputs as they are shown in the end: of a progress bar its last state, and what was printed in pieces in one."""
    last: Any = None
    for output in outputs:
        output.pop("execution_count", None)
        if set(output.get("data", ())) == {"application/javascript"}:
            continue  # of pynq, for its own widgets
        if output.output_type == "execute_result":
            output.output_type = "display_data"  # so a cell that is run twice differs in nothing
        if output.output_type == "display_data":
            output.metadata = {}
            output.pop("transient", None)
            pictures = [kind for kind in ("image/png", "image/jpeg") if kind in output.data]
            for kind in sorted(pictures, key=lambda kind: len(output.data[kind]))[1:]:
                del output.data[kind]  # Pillow gives both: of a photo the JPEG is a tenth of the PNG
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
            continue
        last = output
        yield output
    for output in outputs:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n\r]*\r(?!\n)", "", output.text).replace(f"{ROOT}/", "")
            output.text = re.sub(r"\S*ipykernel_\d+\S*\.py", "a cell", output.text)


def missing(notebook: Any) -> list[str]:
    """The libraries that a notebook says it needs and that are not installed."""
    return [name for name in notebook.metadata["pynq_cnn"]["needs"] if find_spec(name) is None]


def text(cell: Any) -> str:
    """Text that a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def shown(cell: Any, kind: str) -> list[str]:
    """A cell's displays, as `kind`."""
    return [
        output.data[kind] for output in cell.outputs if output.output_type == "display_data" and kind in output.data
    ]


def store(path: Path) -> None:
    """Run a notebook and write it with its outputs."""
    import nbformat

    notebook, start = nbformat.read(path, as_version=4), perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
    nbformat.write(notebook, path)
    print(f"{path.name}: {perf_counter() - start:.1f} s, {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    for notebook_path in NOTEBOOKS:
        if not sys.argv[1:] or any(notebook_path.name.startswith(name) for name in sys.argv[1:]):
            store(notebook_path)
