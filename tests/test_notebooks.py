"""The notebooks run from top to bottom, each in a folder and a kernel of its own, on this machine and on the emulated
board; and their stored outputs are what they give.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED

from notebooks import NOTEBOOKS, VARIES, execute, missing, shown, text

pytestmark = pytest.mark.once

BYTES = 300_000
MACHINE = re.compile(r"/(?:home|root|tmp|work|usr|opt|var|Users)/|\\Users\\|object at 0x")

nbformat = pytest.importorskip("nbformat")


@cache
def stored(path):
    """A notebook as it is in the checkout."""
    return nbformat.read(path, as_version=4)


def executed(path, folder, board=None):
    """The cells of a notebook by id, executed in `folder`; skips where a library is missing."""
    notebook = nbformat.read(path, as_version=4)
    if missing(notebook):
        pytest.skip(f"{' and '.join(missing(notebook))} not installed")
    execute(notebook, folder, board)
    return {cell.id: cell for cell in notebook.cells}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Executes the notebook whose name begins so, each once."""
    once = cache(lambda path: executed(path, tmp_path_factory.mktemp(path.stem)))
    return lambda name: once(next(path for path in NOTEBOOKS if path.name.startswith(name)))


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_stored(path):
    """Whole, small, with outputs of a run from top to bottom, and nothing of the machine that they come from."""
    notebook = stored(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert path.stat().st_size <= BYTES
    assert set(notebook.metadata["pynq_cnn"]) == {"needs", "board"}
    assert "**Needs** " in notebook.cells[0].source and notebook.cells[0].source.startswith("# ")
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type == "display_data" or (output.output_type, output.name) == ("stream", "stdout")
            said = output.text if output.output_type == "stream" else str({**output.data, "image/png": ""})
            assert not MACHINE.search(said), said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_links_lead_to_a_notebook(path):
    """pynq delivers all of them into one folder, and nothing else of the project."""
    source = "\n".join(cell.source for cell in stored(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)\s]+)\)", source):
        assert (path.parent / target).is_file(), target
    index = stored(NOTEBOOKS[0]).cells[-1].source
    assert path == NOTEBOOKS[0] or f"]({path.name})" in index


PICTURES = {"image/png", "image/jpeg"}  # of a photo the smaller, where Pillow gives both: from 9.5 on


def said(cell):
    """A cell's outputs, but for pixels: their kinds, text and tables."""
    return text(cell), [
        (sorted(set(output.data) - PICTURES - {"text/plain"}), bool(PICTURES & set(output.data)),
         re.sub(r'src="data:[^"]*"', "", output.data.get("text/html", "")))
        for output in cell.outputs if output.output_type == "display_data"
    ]  # fmt: skip


def compared(cell):
    """Whether what a cell gives is the same here: not where it has times, or tells that a library is missing."""
    tags = set(cell.metadata.get("tags", ()))
    return VARIES not in tags and all(find_spec(library) for library in tags)


def test_a_photo_is_one_whatever_pillow_shows_it_as():
    def photo(kind):
        return nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", {kind: ""})])

    assert said(photo("image/png")) == said(photo("image/jpeg")) != said(photo("text/html"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_gives_what_is_stored(path, run):
    cells = run(path.name)
    for cell in code(stored(path)):
        if compared(cell):
            assert said(cells[cell.id]) == said(cell), (
                f"{cell.id}; if that is right: python tests/notebooks.py {path.name}"
            )
        elif VARIES in cell.metadata.tags:
            assert bool(cells[cell.id].outputs) == bool(cell.outputs), cell.id


BOARD = [path for path in NOTEBOOKS if stored(path).metadata["pynq_cnn"]["board"]]


@pytest.fixture
def run_on_board(tmp_path):
    """Executes a notebook in a kernel on the emulated board."""
    pytest.importorskip("pynq", reason=NO_PYNQ)
    if not ALIGNED:
        pytest.skip(NOT_ALIGNED)
    from pynq_cnn.virtual_board.embedded import EmbeddedBoard

    def run(path):
        with EmbeddedBoard() as board:
            cells = executed(path, tmp_path, board.folder)
            assert board.complaints == []
        return cells

    return run


@pytest.mark.parametrize("path", BOARD, ids=lambda path: path.name)
def test_on_the_emulated_board(path, run_on_board):
    """There `auto` takes the overlay; all that does not vary is what it is elsewhere."""
    cells = run_on_board(path)
    everything = "".join(text(cell) + "".join(shown(cell, "text/html")) for cell in cells.values() if "outputs" in cell)
    assert re.search(r"\boverlay[:,]|'overlay'|^a board$", everything, re.MULTILINE)
    for cell in code(stored(path)):
        if compared(cell):
            assert said(cells[cell.id]) == said(cell), cell.id


def test_the_answer_shows_itself(run):
    cells = run("01")
    (page,) = shown(cells["classify"], "text/html")
    assert 'alt="what the network saw"' in page
    assert "<b>7</b>" in page
    assert "7" in text(cells["look-inside"])


def test_the_networks_show_themselves(run):
    assert "lenet" in shown(run("01")["models"], "text/html")[0]


def test_the_sample(run):
    cells = run("01")
    right, _, total, *_ = text(cells["predict"]).splitlines()[-1].split()
    assert int(total) == 500
    assert int(right) >= 485
    assert len(shown(cells["show-mistakes"], "text/html")) == 500 - int(right)
    assert text(cells["show-mistakes"]).count("this should be a") == 500 - int(right)


@pytest.mark.parametrize("name", ["01", "03"])
def test_all_backends_agree(name, run):
    cells = run(name)
    lines = [line for line in text(cells["compare"]).splitlines() if "not here: " not in line]
    assert len(lines) == 3 + (find_spec("pynq") is not None)
    for line in lines:
        assert " identical " in f" {line} "


def test_the_photo(run):
    cells = run("01")
    (page,) = shown(cells["classify-photo"], "text/html")
    assert "<b>7</b>" in page
    assert "no digit was found" in text(cells["blank"])


def test_the_estimate(run):
    assert "ESTIMATE for lenet" in text(run("01")["run-estimate"])


def test_the_film(run):
    """The clip, or whatever a camera here sees: every frame has an answer, or that there is no digit."""
    cells = run("02")
    assert len([output for output in cells["film"].outputs if output.output_type == "display_data"]) == 1
    assert "ms a frame" in text(cells["speed"])


@pytest.mark.parametrize("pictures", [0, 2])
def test_a_camera_that_gives_nothing_or_no_digit(pictures, tmp_path, monkeypatch):
    """Where it gives nothing, the clip is played; where no frame has a digit, the cells behind say so."""
    pytest.importorskip("matplotlib").use("agg")

    class Camera:  # of OpenCV
        left = pictures

        def read(self):
            self.left -= 1
            return self.left >= 0, np.full((240, 320, 3), 200, np.uint8)

        def release(self):
            released.append(self)

    released, printed, shown_frames = [], [], []
    camera = SimpleNamespace(VideoCapture=lambda number: Camera(), cvtColor=lambda frame, code: frame, COLOR_BGR2RGB=4)
    camera.__spec__ = ModuleSpec("cv2", None)
    monkeypatch.setitem(sys.modules, "cv2", camera)
    glob = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda path, name: iter([path / "video0"]) if name == "video*" else glob(path, name)
    )
    monkeypatch.chdir(tmp_path)
    clip = [Image.new("L", (320, 240), grey) for grey in (200, 190, 180)]  # of two alike Pillow 9.0 writes one
    clip[0].save("clip.png", save_all=True, append_images=clip[1:])
    cells = {cell.id: cell.source for cell in stored(next(p for p in NOTEBOOKS if p.name.startswith("02"))).cells}
    screen = SimpleNamespace(update=shown_frames.append)
    names = {"display": lambda **options: screen, "print": printed.append}
    for name in ("setup", "frames", "film", "strip", "speed", "close"):
        exec(cells[name], names)
    assert len(shown_frames) == (pictures or 3) and len(released) == 1
    assert "no frame had a digit" in printed[-1]


@pytest.mark.parametrize("name", ["07", "09", "10", "11", "12"])
def test_what_is_done_by_hand_is_what_the_package_does(name, run):
    cells = run(name)
    printed = "".join(text(cell) for cell in cells.values() if cell.cell_type == "code")
    assert "DIFFERENT" not in printed
    assert re.search("identical|the tiles are the network's weights", printed)


def test_a_forgotten_flush_shows(run):
    """On the virtual board the engine sees the old images then."""
    cells = run("12")
    before, after = (re.findall(r"answers.*(\[.*\])", text(cells[cell])) for cell in ("results", "forgotten"))
    assert len(before) == 1 and after == before


def test_cycles_are_counted_as_estimated(run):
    counted, estimated = re.findall(r": +([\d,]+) cycles", text(run("11")["count"]))
    assert counted == estimated


@pytest.mark.parametrize(("name", "cell", "least"), [("05", "measure", 80), ("06", "dense", 80)])
def test_a_short_training_learns(name, cell, least, run):
    assert float(re.search(r"([\d.]+) % of (the )?", text(run(name)[cell]))[1]) > least


def test_a_residual_network_comes_through(run):
    """Its additions are in the table, and its integers answer as its floats do, on pictures that were not calibrated
    with.
    """
    cells = run("10")
    assert len(re.findall(r"of \w+, \w+</td>", shown(cells["convert"], "text/html")[0])) == 3
    floats, integers = (float(found) for found in re.findall(r"([\d.]+) % of \d+ test", text(cells["good"])))
    assert floats > 60 and abs(floats - integers) < 2
    assert "use ReLU" in text(cells["refused"])


def test_the_compressed_network_is_small(run):
    cells = run("06")
    (table,) = shown(cells["table"], "text/markdown")
    assert float(table.splitlines()[-1].split("|")[-2].strip(" x")) > 25


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
    v4 = nbformat.v4
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    execute(notebook, tmp_path)
    assert text(notebook.cells[-1]) == "True True\n"
