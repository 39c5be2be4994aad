"""The notebooks run from top to bottom, on the CPU, in a folder of their own; and are stored without outputs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(notebook, folder):
    """Run all cells of a notebook in `folder`, with the sources of this checkout."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(ROOT))
        nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The first notebook, executed."""
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    execute(notebook, tmp_path_factory.mktemp("notebook"))
    return {cell.id: cell for cell in notebook.cells}


def text(cell) -> str:
    """Text that a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def shown(cell, kind: str) -> list[str]:
    """Outputs that a cell displayed, as `kind`."""
    return [output.data[kind] for output in cell.outputs if output.output_type in ("execute_result", "display_data")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_stored_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    pytest.importorskip("nbformat").validate(notebook)


def test_the_answer_shows_itself(executed):
    (page,) = shown(executed["classify"], "text/html")
    assert 'alt="what the network saw"' in page
    assert "<b>7</b>" in page
    assert "7" in text(executed["look-inside"])


def test_the_networks_show_themselves(executed):
    assert "lenet" in shown(executed["models"], "text/html")[0]


def test_the_sample(executed):
    right, _, total, *_ = text(executed["predict"]).splitlines()[-1].split()
    assert int(total) == 500
    assert int(right) >= 485
    assert len(shown(executed["show-mistakes"], "text/html")) == 500 - int(right)
    assert text(executed["show-mistakes"]).count("this should be a") == 500 - int(right)


def test_all_backends_agree(executed):
    lines = text(executed["compare"]).splitlines()
    assert len(lines) == (3 if find_spec("pynq") else 2)
    for line in lines:
        assert " identical " in f" {line} "
    assert len({line.partition("first image")[2] for line in lines}) == 1
    assert ("no virtual board" in text(executed["run-virtual"])) == (find_spec("pynq") is None)


def test_the_photo(executed):
    (page,) = shown(executed["classify-photo"], "text/html")
    assert "<b>7</b>" in page
    assert "no digit was found" in text(executed["blank"])


def test_the_estimate(executed):
    assert "ESTIMATE for lenet" in text(executed["run-estimate"])


def test_a_cell_may_await_a_prediction(tmp_path):
    """In a kernel, whose event loop is running already: it goes on meanwhile."""
    cells = [
        "import asyncio, pynq_cnn\nfrom pynq_cnn.zoo import load_sample\nimages, labels = load_sample()",
        "ticks = []\nasync def tick():\n    while True:\n        ticks.append(1)\n        await asyncio.sleep(0)",
        "ticking = asyncio.ensure_future(tick())\n"
        "classes = await pynq_cnn.Classifier('lenet', 'reference').predict_async(images)\n"
        "ticking.cancel()\n"
        "print(len(ticks) > 10, (classes == labels).mean() > 0.97)",
    ]
    v4 = pytest.importorskip("nbformat").v4
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    execute(notebook, tmp_path)
    assert text(notebook.cells[-1]) == "True True\n"
