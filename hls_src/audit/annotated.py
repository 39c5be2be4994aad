"""The sources with what their pragmas say in clang's own words, line by line in place.

Unrolled loops are unrolled, all others are kept; functions are inlined but those with `INLINE off`, which stay
modules of their own. A function without a pragma is inlined at each call, which is the dearer of what Vitis HLS may
do.
"""

from __future__ import annotations

from pathlib import Path

from .source import Function, Loop, Region, Source


def _inside_pipeline(region: Region) -> bool:
    parent = region.parent
    while parent is not None:
        if isinstance(parent, Loop) and parent.pipelined:
            return True
        if isinstance(parent, Function) and parent.find("pipeline"):
            return True
        parent = parent.parent
    return False


def loop_words(loop: Loop) -> str:
    """clang's pragma for a loop. Vitis HLS unrolls the loops in a pipelined one without being told."""
    unroll = loop.find("unroll")
    if unroll is not None and "factor" in unroll.options and unroll.options["factor"].isdigit():
        how = f"unroll_count({unroll.options['factor']})"
    elif (unroll is not None and "off" not in unroll.words) or _inside_pipeline(loop):
        how = "unroll(full)"
    else:
        how = "unroll(disable)"
    return f'_Pragma("clang loop {how}") '


def _function_start(function: Function) -> int:
    """Where attributes of a function go: behind `template <...>` if it has that."""
    from clang.cindex import CursorKind

    if function.cursor.kind != CursorKind.FUNCTION_TEMPLATE:
        return function.start
    depth = 0
    for token in function.cursor.get_tokens():
        depth += token.spelling.count("<") - token.spelling.count(">")
        if token.spelling.startswith(">") and depth == 0:
            return token.extent.end.offset
    return function.start


def write(source: Source, folder: Path) -> Path:
    """Write the annotated sources into `folder`; return the file of the top function there."""
    insertions: dict[Path, list[tuple[int, str]]] = {path: [] for path in source.files}
    for loop in source.loops:
        insertions[loop.file].append((loop.start, loop_words(loop)))
    for function in source.functions:
        if function.name == source.top:
            continue
        word = "noinline" if function.kept else "always_inline"
        insertions[function.file].append((_function_start(function), f" __attribute__(({word})) "))
    for path, text in source.texts.items():
        data = text.encode()
        for offset, words in sorted(insertions[path], reverse=True):
            data = data[:offset] + words.encode() + data[offset:]
        target = folder / path.relative_to(source.path.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder / source.path.name
