"""A Program as text that a person can read."""

from __future__ import annotations

from collections.abc import Iterator

from pynq_cnn.compiler.instructions import Flag, Instruction, Memory, Move, Opcode, Unit
from pynq_cnn.compiler.program import Program

# What is shown of a COMPUTE by the loops and places that it names, in order; what is 0 or 1 is left out.
_LOOPS = (
    ("rows", "cols", "x", " outputs"),
    ("pool_rows", "pool_cols", "x", " pooled"),
    ("kernel_rows", "kernel_cols", "x", " kernel"),
)


def listing(program: Program, slot: int = 0) -> str:
    """The instructions of a slot, a line each: sections with their bodies indented, addresses in words, places in what
    the memory on the chip is counted in.
    """
    head = (
        f"{program.memory_words:,} words of memory, {len(program.constants):,} of them constants; up to"
        f" {program.capacity} images, {program.input_stride} words each from {program.slots[slot].input_address} on,"
        f" results {program.output_stride} words each from {program.slots[slot].output_address} on"
    )
    return "\n".join([head, *_lines(program.decode(slot))])


def _lines(instructions: list[Instruction]) -> Iterator[str]:
    for number, one in enumerate(instructions):
        text = {
            Opcode.SECTION: _section,
            Opcode.LOAD: _move,
            Opcode.STORE: _move,
            Opcode.COMPUTE: _compute,
        }[one.opcode](one)
        indent = "" if one.opcode is Opcode.SECTION else "  "
        yield f"{number:4d} {indent}{one.opcode.name:<7} {text}{f'  ; {one.layer}' if one.layer else ''}"


def _section(one: Instruction) -> str:
    return f"{one['body']} instructions, for {one['group']} images at a time"


def _move(one: Instruction) -> str:
    memory, flags = Memory(one["memory"]), Move(one["flags"])
    each = ", images in one burst" if flags & Move.MERGED else ", each image" if flags & Move.PER_IMAGE else ""
    arrow = "->" if one.opcode is Opcode.LOAD else "<-"
    steps = []
    if flags and one["image_stride"]:
        steps.append(f"{one['image_stride']} an image")
    if one["bursts"] > 1:
        steps.append(f"{one['bursts']} bursts, {one['burst_stride']} from one to the next")
    if memory is Memory.FEATURES and one["run"] != one["words"]:
        steps.append(f"runs of {one['run']}, {one['run_step']} bytes apart")
    place = f"{memory.name.lower()}[{one['place']}]"
    return f"memory[{one['address']}] {arrow} {place}, {one['words']} words{each}" + "".join(f", {s}" for s in steps)


def _compute(one: Instruction) -> str:
    unit, flags = Unit(one["unit"]), Flag(one["flags"])
    loops = []
    for first, second, between, what in _LOOPS:
        if (one[first], one[second]) != (1, 1) or first == "rows":
            loops.append(f"{one[first]}{between}{one[second]}{what}")
    loops.append(f"{one['groups']} groups" if unit is not Unit.SPARSE else f"{one['taps']} entries")
    if one["chunks"] > 1:
        loops.append(f"{one['chunks']} chunks")
    names = [flag.name.lower().replace("_", " ") for flag in Flag if flag & flags and flag.name]
    lanes = str(one["col_lanes"])
    if one["col_lanes"] != one["last_col_lanes"]:
        lanes += f" ({one['last_col_lanes']} in the last)"
    out = f"results[{one['out_base']}]" if flags & Flag.INT32 else f"features[{one['out_base']}]"
    parts = [
        f"{unit.name.lower()}{''.join(f' {name}' for name in names)}: {', '.join(loops)}",
        f"features[{one['in_base']}] -> {out}, {lanes} channels a column",
        f"{one['iterations']:,} cycles" + ("" if unit is Unit.SPARSE else " an image"),
    ]
    return "; ".join(parts)
