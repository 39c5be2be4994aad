"""The audit as tables in Markdown, printed or put into a page."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from .budget import DEVICE, DEVICE_NAME, LIMIT
from .multipliers import Product
from .report import COLUMNS, Audit
from .toolchain import AuditError


def table(audit: Audit) -> str:
    """The table of resources, in Markdown."""
    lines = ["| part | DSP | BRAM36 | LUT | FF |", "|---|---|---|---|---|"]

    def line(name: str, amounts: dict[str, float], bold: bool = False) -> str:
        mark = "**" if bold else ""
        cells = [f"{amounts.get(c, 0):,.0f}" if amounts.get(c, 0) else "" for c in COLUMNS]
        return "| " + " | ".join(f"{mark}{cell}{mark}" if cell else "" for cell in (name, *cells)) + " |"

    lines += [line(row.name, row.amounts) for row in audit.rows if any(round(a) for a in row.amounts.values())]
    lines.append(line("sum", audit.total, True))
    lines.append(line("limit of this project", dict(LIMIT)))
    lines.append(line(f"{DEVICE_NAME}", dict(DEVICE)))
    return "\n".join(lines)


def loops(audit: Audit) -> str:
    """The pipelined loops, in Markdown: II, estimated stages and tightest recurrence."""
    lines = ["| loop | II | stages | tightest recurrence, ns |", "|---|---|---|---|"]
    for s in sorted(audit.fabric.schedules, key=lambda s: -s.depth):
        lines.append(f"| `{s.name}` | {s.interval} | {s.depth} | {s.recurrence:.1f} |")
    return "\n".join(lines)


def accesses(audit: Audit) -> str:
    """Reads and writes of the busiest bank of each memory in each pipelined loop, in Markdown."""
    lines = ["| memory | loop | cycles | reads | writes |", "|---|---|---|---|---|"]
    for a in sorted(audit.memories.accesses, key=lambda a: (a.memory.array.name, a.loop)):
        lines.append(f"| `{a.memory.array.name}` | `{a.loop}` | {a.interval} | {a.reads} | {a.writes} |")
    return "\n".join(lines)


def multiplications(audit: Audit) -> str:
    """Multiplications by width, in Markdown."""
    counts: dict[bool, Counter[Product]] = defaultdict(Counter)
    for unit in audit.hardware.used:
        for pipelined in (True, False):
            for one in audit.products(unit, pipelined):
                counts[pipelined][one] += unit.copies
    lines = ["| bits, signed | result | where | number | DSP |", "|---|---|---|---|---|"]
    for pipelined in (True, False):
        where = "in pipelines" if pipelined else "outside"
        for one, number in sorted(counts[pipelined].items(), key=lambda item: -item[0].dsp * item[1]):
            lines.append(f"| {one.left} x {one.right} | {one.result} | {where} | {number} | {one.dsp * number} |")
    return "\n".join(lines)


def text(audit: Audit) -> str:
    """All tables, notes and faults."""
    parts = [
        "Resources\n",
        table(audit),
        "\nPipelines\n",
        loops(audit),
        "\nAccesses of the busiest bank\n",
        accesses(audit),
        "\nMultiplications\n",
        multiplications(audit),
        "",
    ]
    parts += [f"note: {note}" for note in audit.notes]
    for fault in audit.faults:
        why = audit.reason(fault)
        parts.append(f"known: {fault} ({why})" if why else f"fault: {fault}")
    parts += [f"fault: {fault}" for fault in audit.unknown_faults if fault not in audit.faults]
    return "\n".join(parts)


BEGIN, END = "<!-- audit: written by `make -C hls_src audit-docs` -->", "<!-- /audit -->"


def write_into(page: Path, audit: Audit) -> None:
    """Put the tables between the marks of a page.

    Raises
    ------
    AuditError
        The page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise AuditError(f"{page} needs the lines {BEGIN} and {END}, once each")
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + page_part(audit) + rest.partition(END)[2], encoding="utf-8")


def page_part(audit: Audit) -> str:
    """The text between the marks, with them."""
    return f"{BEGIN}\n\n{table(audit)}\n\n{loops(audit)}\n\n{accesses(audit)}\n\n{END}"
