"""The audit passes today's engine, and counts its units beside synthesis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from audited import ROOT, Audit, Pipeline, beside, tables

pytestmark = pytest.mark.once


def test_the_engine_has_no_fault_that_is_not_known(engine: Audit) -> None:
    assert engine.unknown_faults == [], tables.text(engine)


def test_the_page_shows_what_the_audit_counts_today(engine: Audit) -> None:
    page = next((ROOT / "docs").rglob("engine.md"))
    assert tables.page_part(engine) in page.read_text(encoding="utf-8"), "make -C hls_src audit-docs"


def test_every_pipeline_of_the_engine_was_looked_at(engine: Audit) -> None:
    written = {loop.name for loop in engine.source.loops if loop.pipelined}
    assert written and {schedule.name for schedule in engine.fabric.schedules} == written
    for memory in engine.memories.all:
        if memory.array.static:
            assert memory.used and memory.most_reads and memory.most_writes, memory.array.name


def test_each_memory_of_the_engine_needs_its_partition(engine: Audit, tmp_path: Path) -> None:
    """Without any the audit names each of those memories, as more is asked of it than its ports give."""
    needed = {m.array.name: m.array.find("array_partition") for m in engine.memories.used if not m.registers}
    needed = {name: pragmas for name, pragmas in needed.items() if pragmas}
    assert len(needed) >= 3
    lines_of = {path: text.splitlines() for path, text in engine.source.texts.items()}
    for pragmas in needed.values():
        for pragma in pragmas:
            lines_of[pragma.file][pragma.line - 1] = ""
    for path, lines in lines_of.items():
        target = tmp_path / path.relative_to(engine.source.path.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines))
    faults = Audit(tmp_path / engine.source.path.name, engine.source.top).memories.faults
    not_named = [name for name in needed if not any(f"of a bank of `{name}`" in fault for fault in faults)]
    assert not_named == []


# The engine's own units (hls_src/units.cpp): LUTs for logic and DSPs of yosys 0.70 by `python -m audit.beside`, whose
# table is in the engine's page.
BESIDE = {
    "unit_bits": (355, 0),
    "unit_requantise": (276, 2),
    "unit_bytes": (714, 16),
    "unit_read": (975, 0),
    "unit_write": (821, 0),
    "unit_select": (1015, 0),
    "unit_step": (3036, 0),
}


def test_the_units_beside_synthesis_are_all_that_there_are() -> None:
    assert list(BESIDE) == beside.units()


@pytest.mark.parametrize("name", BESIDE)
def test_units_of_the_engine_are_not_counted_far_below_synthesis(name: str) -> None:
    audit = Audit(beside.UNITS, name)
    ((unit, loop),) = beside.pipelines(audit)
    count, (lut, dsp) = beside.counted(audit, unit, loop), BESIDE[name]
    assert count.dsp == dsp
    assert 0.85 * lut <= count.lut <= 1.5 * lut
    text = Pipeline(audit.fabric, unit, loop).text
    assert text.startswith("module unit(") and "None" not in text
    assert text.count("$signed(") >= dsp


def test_the_main_loop_is_counted_as_synthesis_has_it(engine: Audit) -> None:
    """LUTs not below it, and not far above; registers of sums once, not for each round of the schedule."""
    ((unit, loop),) = [(u, one) for u, one in beside.pipelines(engine) if one.name == "TAPS"]
    count = beside.counted(engine, unit, loop)
    assert count.dsp == 178
    assert 29_336 <= count.lut <= 1.15 * 29_336
    assert 0.9 * 19_898 <= count.ff <= 1.15 * 19_898


def test_every_pipeline_of_the_engine_can_be_written_as_verilog(engine: Audit) -> None:
    for unit, loop in beside.pipelines(engine):
        text = Pipeline(engine.fabric, unit, loop).text
        names = set(re.findall(r"\b[virocm]\d+\b", text))
        made = set(re.findall(r"(?:wire|reg|input|output) (?:\[\d+:0\] )?([virocm]\d+)\b", text))
        assert names and names == made, loop.name
