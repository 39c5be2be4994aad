"""Instructions for stages and tensors that have a place (docs/contract/instruction-set.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pynq_cnn.compiler.buffers import WORD_BYTES, Buffer, ceil_div
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Flag, Instruction, Memory, Move, Opcode, Unit
from pynq_cnn.compiler.memory import CONSTANTS_REGION, RESULTS_REGION
from pynq_cnn.compiler.packing import as_words, pack_parameters
from pynq_cnn.compiler.passes import Pass, Room


@dataclass(frozen=True)
class Spot:
    """Where some rows of a buffer are in the feature maps.

    Parameters
    ----------
    base : int
        Byte of the first of these rows, of the turn's first image.
    image_step : int
        Bytes from one image to the next.
    first, stop : int
        The first row, and the one behind the last.
    pitch, row_pitch : int
        Bytes from one pixel, and from one row, to the next.
    """

    base: int
    image_step: int
    first: int
    stop: int
    pitch: int
    row_pitch: int


@dataclass(frozen=True)
class Block:
    """Some bytes of every pixel of a buffer in the Program's memory, image after image.

    Parameters
    ----------
    region : str
        Where they are.
    offset, width : int
        Which bytes of a pixel.
    """

    region: str
    offset: int
    width: int

    def words(self, buffer: Buffer) -> int:
        """Words of an image."""
        return buffer.words if self.width == buffer.pitch else buffer.height * buffer.width * self.width // WORD_BYTES


@dataclass(frozen=True)
class ConstantLoad(Instruction):
    """A LOAD of constants, of which it is not known yet where they are.

    Parameters
    ----------
    passes : tuple of Pass
        What they are for.
    """

    passes: tuple[Pass, ...] = ()

    def pack(self, hardware: Hardware) -> np.ndarray:
        """The constants, uint64 words."""
        memory = Memory(self["memory"])
        return np.concatenate([_PACKERS[memory](one, hardware) for one in self.passes])


def _pack_tiles(one: Pass, hardware: Hardware) -> np.ndarray:
    assert one.stage.tiles is not None
    return as_words(one.stage.tiles()[one.first : one.first + one.groups])


def _pack_parameters(one: Pass, hardware: Hardware) -> np.ndarray:
    stage = one.stage
    assert stage.finish is not None
    packed = pack_parameters(stage.finish.parameters, stage.width, hardware.pe)
    return packed[one.first_parameters : one.first_parameters + one.room.parameters].reshape(-1)


def _pack_entries(one: Pass, hardware: Hardware) -> np.ndarray:
    return as_words(np.concatenate(one.stage.entries[one.first : one.first + one.groups]).astype("<u4"))


def _pack_pads(one: Pass, hardware: Hardware) -> np.ndarray:
    assert one.stage.pads is not None
    return as_words(one.stage.pads)


_PACKERS = {
    Memory.WEIGHTS: _pack_tiles,
    Memory.PARAMETERS: _pack_parameters,
    Memory.ENTRIES: _pack_entries,
    Memory.PADS: _pack_pads,
}


def load_constants(
    passes: Sequence[Pass], first: Room, hardware: Hardware
) -> tuple[list[ConstantLoad], dict[Pass, Room]]:
    """Loads of the constants of some passes, and where they are then.

    Parameters
    ----------
    passes : sequence of Pass
        What they are for.
    first : Room
        The first free place of each memory.
    """
    simd_words = hardware.simd // WORD_BYTES
    kinds: tuple[tuple[Memory, str, int, bool], ...] = (
        (Memory.WEIGHTS, "tiles", hardware.words_of_a_tile(), False),
        (Memory.WEIGHTS, "tiles", simd_words, True),
        (Memory.PARAMETERS, "parameters", 2 * hardware.pe, False),
        (Memory.ENTRIES, "entries", 0, False),
        (Memory.PADS, "pads", simd_words, False),
    )
    at: dict[Pass, dict[str, int]] = {one: {} for one in passes}
    loads = []
    free = {"tiles": first.tiles, "parameters": first.parameters, "entries": first.entries, "pads": first.pads}
    for memory, name, words_each, depthwise in kinds:
        some, start, count = [], free[name], 0
        for one in passes:
            size = getattr(one.room, name)
            if size and (memory is not Memory.WEIGHTS or (one.stage.unit is Unit.DEPTHWISE) == depthwise):
                some.append(one)
                at[one][name] = start + count
                count += size
        if not some:
            continue
        free[name] += count
        words = count // 2 if memory is Memory.ENTRIES else count * words_each
        fields = {
            "memory": memory,
            "words": words,
            "address": 0,
            "place": start,
            "run": words if memory is Memory.ENTRIES else words_each,
            "bursts": 1,
        }
        names = ", ".join(dict.fromkeys(one.stage.name for one in some))
        loads.append(ConstantLoad(Opcode.LOAD, fields, names, CONSTANTS_REGION, tuple(some)))
    return loads, {one: Room(**found) for one, found in at.items()}


def move(opcode: Opcode, buffer: Buffer, blocks: Sequence[Block], spot: Spot, layer: str) -> list[Instruction]:
    """Loads or stores of the rows of a buffer that are at `spot`."""
    moves = []
    for block in blocks:
        whole = (spot.first, spot.stop) == (0, buffer.height)
        image_words = block.words(buffer)
        fields = {"memory": Memory.FEATURES, "image_stride": image_words, "image_step": spot.image_step, "bursts": 1}
        if block.width == spot.pitch:
            start = spot.first * spot.row_pitch // WORD_BYTES
            stop = image_words if whole else ceil_div(spot.stop * spot.row_pitch, WORD_BYTES)
            words = stop - start
            place = spot.base - (spot.first * spot.row_pitch) % WORD_BYTES
            run, run_step, merged = words, spot.image_step, whole
        else:
            row_words = buffer.width * block.width // WORD_BYTES
            start, words = spot.first * row_words, (spot.stop - spot.first) * row_words
            place = spot.base + block.offset
            run, run_step = block.width // WORD_BYTES, spot.pitch
            merged = whole and spot.image_step == buffer.height * spot.row_pitch
        fields |= {
            "flags": int(Move.PER_IMAGE | Move.MERGED if merged else Move.PER_IMAGE),
            "words": words,
            "address": start,
            "place": place,
            "run": run,
            "run_step": run_step,
        }
        moves.append(Instruction(opcode, fields, layer, block.region))
    return moves


def store_results(one: Pass, hardware: Hardware) -> Instruction:
    """The store of a pass's int32 results, from the first result entry on."""
    words, entries = one.groups * hardware.pe // 2, one.stage.groups
    fields = {
        "memory": Memory.RESULTS,
        "flags": int(Move.PER_IMAGE | Move.MERGED if one.groups == entries else Move.PER_IMAGE),
        "words": words,
        "address": one.first * hardware.pe // 2,
        "image_stride": entries * hardware.pe // 2,
        "run": hardware.pe // 2,
        "bursts": 1,
    }
    return Instruction(Opcode.STORE, fields, one.stage.name, RESULTS_REGION)


def compute(
    one: Pass, constants: Room, rows: tuple[int, int], given: Spot, gives: Spot | None, skip: Spot | None,
    hardware: Hardware, first_entry: int = 0,
) -> Instruction:  # fmt: skip
    """The COMPUTE of a pass.

    Parameters
    ----------
    one : Pass
        What it computes.
    constants : Room
        Where its constants are.
    rows : tuple of int
        The first output row, and the one behind the last.
    given, gives, skip
        Where its input, its output (None for int32 results) and what is added are.
    hardware : Hardware
        What it runs on.
    first_entry : int
        Of int32 results: where the pass's are.
    """
    stage, (start, stop) = one.stage, rows
    row, col, pitch = stage.rows, stage.cols, given.row_pitch
    sparse = stage.unit is Unit.SPARSE
    first_y = 0 if stage.flat else row.first + start * row.step - given.first
    lanes, last_lanes = one.lanes
    in_base = given.base + first_y * pitch + stage.given.offset + (one.first * stage.width if stage.lane_unit else 0)
    flags = stage.flags
    flags |= Flag.SKIP if skip is not None else Flag.NONE
    flags |= Flag.PAD_VECTOR if stage.pads is not None else Flag.NONE
    finish = stage.finish
    fields = {
        "unit": stage.unit,
        "flags": int(flags),
        "rows": stop - start,
        "cols": col.count,
        "groups": 1 if sparse else one.groups,
        "pool_rows": row.pool,
        "pool_cols": col.pool,
        "kernel_rows": row.kernel,
        "kernel_cols": col.kernel,
        "chunks": stage.chunks,
        "iterations": stage.iterations(one.groups, one.entries, stop - start),
        "in_image_step": given.image_step,
        "in_base": in_base,
        "row_step": row.step * pitch,
        "pool_row_step": row.pool_step * pitch,
        "kernel_row_step": row.kernel_step * pitch,
        "col_step": col.step,
        "pool_col_step": col.pool_step,
        "kernel_col_step": col.kernel_step,
        "group_step": stage.width if stage.lane_unit else 0,
        "first_y": first_y,
        "y_row_step": row.step,
        "y_pool_step": row.pool_step,
        "y_kernel_step": row.kernel_step,
        "in_rows": 1 if stage.flat else given.stop - given.first,
        "row_bytes": stage.row_bytes,
        "first_x": col.first,
        "weights": constants.entries if sparse else constants.tiles,
        "taps": one.entries if sparse else row.kernel * col.kernel * stage.chunks
        * (2 if stage.unit is Unit.BITS and not stage.half else 1),
        "parameters": constants.parameters,
        "pads": constants.pads,
        "zero_point": finish.zero_point if finish else 0,
        "low": finish.low if finish else 0,
        "pad_byte": stage.pad_byte,
        "tail_lanes": stage.tail_lanes,
        "col_lanes": lanes,
        "last_col_lanes": last_lanes,
    }  # fmt: skip
    if gives is None:
        fields |= {"out_base": first_entry, "out_image_step": one.stage.groups}
    else:
        assert stage.gives is not None
        together = stage.column_bytes // stage.gives.buffer.pitch
        fields |= {
            "out_base": gives.base + (start - gives.first) * gives.row_pitch + stage.gives.offset + one.offset,
            "out_image_step": gives.image_step,
            "out_row_step": gives.row_pitch,
            "out_col_step": together * gives.pitch,
        }
    if skip is not None:
        assert stage.skip is not None
        together = 1 if stage.gives is None else stage.column_bytes // stage.gives.buffer.pitch
        fields |= {
            "skip_base": skip.base
            + (start - skip.first) * skip.row_pitch
            + stage.skip.offset
            + one.first * stage.width,
            "skip_image_step": skip.image_step,
            "skip_row_step": skip.row_pitch,
            "skip_col_step": together * skip.pitch,
        }
    for base in ("in_base", "out_base", "skip_base"):  # addresses wrap at the size of the feature maps
        fields[base] = fields.get(base, 0) % hardware.feature_map_bytes
    return Instruction(Opcode.COMPUTE, fields, stage.name)
