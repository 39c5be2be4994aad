"""`hls_src/check_synthesis.tcl` on reports of Vitis HLS, in a plain tclsh."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from csynth import HLS, csynth, pipelines

tclsh = shutil.which("tclsh") or ""
pytestmark = [pytest.mark.once, pytest.mark.skipif(not tclsh, reason="needs tclsh")]

LIMITS = "DSP 212 BRAM_18K 272 LUT 47000 FF 85000"
SOURCES = [*sorted(HLS.glob("*.hpp")), HLS / "engine.cpp"]


def run(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "run.tcl"
    script.write_text(f"source {{{HLS / 'check_synthesis.tcl'}}}\n{command}\n")
    return subprocess.run([tclsh, str(script)], capture_output=True, text=True)


def check(tmp_path: Path, report: str, sources: list[Path] = SOURCES) -> subprocess.CompletedProcess[str]:
    (tmp_path / "csynth.xml").write_text(report)
    files = " ".join(f"{{{path}}}" for path in sources)
    return run(tmp_path, f"check_synthesis {{{tmp_path / 'csynth.xml'}}} [list {files}] {{{LIMITS}}}")


def fault(tmp_path: Path, report: str, sources: list[Path] = SOURCES) -> str:
    done = check(tmp_path, report, sources)
    assert done.returncode != 0
    return done.stderr


def test_every_pipeline_of_the_sources_is_known_with_its_ii(tmp_path: Path) -> None:
    files = " ".join(f"{{{path}}}" for path in SOURCES)
    words = run(tmp_path, f"puts [pipelines_of [list {files}]]").stdout.split()
    assert len(pipelines()) >= 2 and dict(zip(words[::2], words[1::2])) == dict.fromkeys(pipelines(), "1")


def test_a_report_as_it_was_meant_passes(tmp_path: Path) -> None:
    done = check(tmp_path, csynth())
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize("label", pipelines())
def test_a_missed_ii_is_told_with_its_loop_and_module(tmp_path: Path, label: str) -> None:
    message = fault(tmp_path, csynth({label: "3"}))
    assert f"loop {label} in {pipelines()[label]}_Pipeline_{label} has an II of 3; it was to be 1" in message


def test_a_loop_that_is_no_pipeline_is_told(tmp_path: Path) -> None:
    label = next(iter(pipelines()))
    assert f"loop {label} in {pipelines()[label]}_Pipeline_{label} is not pipelined" in fault(
        tmp_path, csynth({label: ""})
    )


@pytest.mark.parametrize(
    "used, message",
    [
        ({"DSP": 213}, "213 DSP, and the limit is 212"),
        ({"BRAM_18K": 273}, "273 BRAM_18K, and the limit is 272"),
        ({"LUT": 47_001}, "47001 LUT, and the limit is 47000"),
        ({"FF": 90_000}, "90000 FF, and the limit is 85000"),
    ],
)
def test_a_design_that_is_too_large_is_told(tmp_path: Path, used: dict[str, int], message: str) -> None:
    assert message in fault(tmp_path, csynth(used=used))


def test_at_the_limit_it_passes(tmp_path: Path) -> None:
    assert check(tmp_path, csynth(used={"DSP": 212, "BRAM_18K": 272, "LUT": 47_000, "FF": 85_000})).returncode == 0


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    label = next(iter(pipelines()))
    message = fault(tmp_path, csynth({label: "2"}, {"DSP": 300, "LUT": 60_000}))
    assert f"loop {label}" in message and "300 DSP" in message and "60000 LUT" in message


SOURCE = """
void f() {
ROWS:
    for (uint32_t row = 0; row < 8;
         ++row) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 8
    COLUMNS:  // the inner one
        for (uint32_t column = 0; column < 8; ++column) {
// a comment
#pragma HLS loop_tripcount min = 1 max = 8
#pragma HLS pipeline II=2
            g();
        }
    }
PLAIN:
    for (uint32_t i = 0; i < 8; ++i) {
        g();
#pragma HLS INLINE
    }
OFF:
    for (uint32_t i = 0; i < 8; ++i) {
#pragma HLS PIPELINE off
    }
REWIND:
    for (uint32_t i = 0; i < 8; ++i) {
#pragma HLS PIPELINE rewind
    }
}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source.cpp").write_text(SOURCE)
    return tmp_path / "source.cpp"


def test_the_ii_is_read_from_the_pragma(tmp_path: Path, source: Path) -> None:
    assert run(tmp_path, f"puts [pipelines_of {{{source}}}]").stdout.split() == ["COLUMNS", "2", "REWIND", "1"]


def test_flattened_loops_are_known_by_the_innermost(tmp_path: Path, source: Path) -> None:
    loops = {"ROWS_COLUMNS": "f", "REWIND": "f"}
    assert check(tmp_path, csynth({"ROWS_COLUMNS": "2"}, loops=loops), [source]).returncode == 0
    message = fault(tmp_path, csynth({"ROWS_COLUMNS": "3"}, loops=loops), [source])
    assert "loop ROWS_COLUMNS in f_Pipeline_ROWS_COLUMNS has an II of 3; it was to be 2" in message


def test_loops_that_vitis_pipelines_by_itself_have_no_target(tmp_path: Path, source: Path) -> None:
    loops = {"COLUMNS": "f", "REWIND": "f", "PLAIN": "f"}
    assert check(tmp_path, csynth({"PLAIN": "4"}, loops=loops), [source]).returncode == 0


def test_a_loop_that_is_not_in_the_report_is_said(tmp_path: Path, source: Path) -> None:
    done = check(tmp_path, csynth(loops={"REWIND": "f"}), [source])
    assert done.returncode == 0 and "WARNING: the report has no loop COLUMNS" in done.stdout
    assert "the report has none of the loops" in fault(tmp_path, csynth(loops={"OTHER": "f"}), [source])


@pytest.mark.parametrize(
    "broken, message",
    [
        (csynth().replace("<DSP>200</DSP>", ""), "does not say how much DSP"),
        (csynth()[:-60], "the report is damaged"),
        (csynth().replace("</ModuleInformation>", ""), "the report is damaged"),
        ("", "the report has none of the loops"),
    ],
)
def test_a_report_that_is_not_whole_is_no_pass(tmp_path: Path, broken: str, message: str) -> None:
    assert message in fault(tmp_path, broken)


def test_no_report_is_no_pass(tmp_path: Path) -> None:
    done = run(tmp_path, f"check_synthesis {{{tmp_path / 'none.xml'}}} {{{HLS / 'engine.cpp'}}} {{{LIMITS}}}")
    assert done.returncode != 0 and "csynth_design wrote no" in done.stderr


def test_sources_without_pipelines_are_no_pass(tmp_path: Path) -> None:
    (tmp_path / "empty.cpp").write_text("void f() {}\n")
    assert "no pipelined loop was found" in fault(tmp_path, csynth(), [tmp_path / "empty.cpp"])
