"""Constructs that synthesised code must not have, found in the syntax tree."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .pragmas import misspelt
from .reserved import reserved_in
from .source import Function, Loop, Source, definition

HEADERS = {
    "cstdint",
    "cstddef",
    "climits",
    "limits",
    "stdint.h",
    "stddef.h",
    "ap_int.h",
    "hls_stream.h",
    "hls_burst_maxi.h",
}
HEAP = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "alloca", "strdup"}
HEAP |= {f"__builtin_{name}" for name in HEAP}
VAGUE = re.compile(
    r"\b(long|short|char|unsigned|signed|size_t|ssize_t|ptrdiff_t|wchar_t|u?intmax_t|\w+_(fast|least)\d+_t)\b"
)
FLOATING = re.compile(r"\b(float|double|half)\b")


def ports(source: Source) -> dict[str, Any]:
    """Arguments of the top function by name, in order."""
    top = next((f for f in source.functions if f.name == source.top), None)
    return {argument.spelling: argument for argument in top.cursor.get_arguments()} if top else {}


def check(source: Source) -> list[str]:
    """All breaches, each with file, line and what to do."""
    found: list[str] = []
    for rule in (_top, _warnings, _headers, _expressions, _types, _recursion, _loops, _pragmas, _ports):
        found += rule(source)
    return list(dict.fromkeys(found))


def _at(cursor: Any) -> str:
    return f"{Path(cursor.location.file.name).name}:{cursor.location.line}"


def _top(source: Source) -> Iterator[str]:
    if not any(f.name == source.top for f in source.functions):
        yield f"{source.path.name}: there is no function {source.top} with a body"


def _warnings(source: Source) -> Iterator[str]:
    for diagnostic in source.unit.diagnostics:
        file = diagnostic.location.file
        if file and any(str(path) == file.name for path in source.files):
            yield f"{Path(file.name).name}:{diagnostic.location.line}: {diagnostic.spelling}"


def _headers(source: Source) -> Iterator[str]:
    for path, text in source.texts.items():
        for line, words in enumerate(text.splitlines(), 1):
            named = re.match(r"\s*#\s*include\s*<([^>]+)>", words)
            if named and named[1] not in HEADERS and _seen(source, path, line):
                yield f"{path.name}:{line}: <{named[1]}> is not for synthesis (only {', '.join(sorted(HEADERS))})"


def _seen(source: Source, path: Any, line: int) -> bool:
    """Whether an include of a line is compiled in a synthesis run."""
    return any(
        include.location.file.name == str(path) and include.location.line == line
        for include in source.unit.get_includes()
        if include.depth >= 1
    )


def _expressions(source: Source) -> Iterator[str]:
    from clang.cindex import CursorKind

    forbidden = {
        CursorKind.CXX_NEW_EXPR: "`new`: there is no heap on the FPGA; use a static array",
        CursorKind.CXX_DELETE_EXPR: "`delete`: there is no heap on the FPGA",
        CursorKind.CXX_THROW_EXPR: "`throw`: no exceptions; return a status",
        CursorKind.CXX_TRY_STMT: "`try`: no exceptions; return a status",
        CursorKind.CXX_DYNAMIC_CAST_EXPR: "`dynamic_cast`: no types at run time",
        CursorKind.CXX_TYPEID_EXPR: "`typeid`: no types at run time",
        CursorKind.GOTO_STMT: "`goto`: write a loop",
        CursorKind.INDIRECT_GOTO_STMT: "`goto`: write a loop",
        CursorKind.ASM_STMT: "`asm` is not synthesised",
    }
    for cursor in source.cursors:
        if cursor.location.file is None or source.own(cursor) is None:
            continue
        if cursor.kind in forbidden:
            yield f"{_at(cursor)}: {forbidden[cursor.kind]}"
        elif cursor.kind == CursorKind.CXX_METHOD and cursor.is_virtual_method():
            yield f"{_at(cursor)}: `{cursor.spelling}` is virtual: calls must be known when compiled"
        elif cursor.kind == CursorKind.CALL_EXPR and cursor.spelling in HEAP:
            yield f"{_at(cursor)}: `{cursor.spelling}`: there is no heap on the FPGA; use a static array"


def _types(source: Source) -> Iterator[str]:
    from clang.cindex import CursorKind, TypeKind

    declared = {CursorKind.VAR_DECL, CursorKind.PARM_DECL, CursorKind.FIELD_DECL}
    functions = {CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.FUNCTION_TEMPLATE}
    for cursor in source.cursors:
        if cursor.kind not in declared | functions or source.own(cursor) is None:
            continue
        type_ = cursor.type if cursor.kind in declared else cursor.result_type
        canonical = type_.get_canonical()
        inner = canonical
        while inner.kind in (
            TypeKind.POINTER,
            TypeKind.LVALUEREFERENCE,
            TypeKind.CONSTANTARRAY,
            TypeKind.RVALUEREFERENCE,
        ):
            inner = inner.element_type if inner.kind == TypeKind.CONSTANTARRAY else inner.get_pointee()
        if inner.kind in (TypeKind.FUNCTIONPROTO, TypeKind.FUNCTIONNOPROTO, TypeKind.MEMBERPOINTER):
            yield f"{_at(cursor)}: `{cursor.spelling}` is a function pointer: calls must be known when compiled"
        elif re.search(r"\bstd::", canonical.spelling):
            yield (
                f"{_at(cursor)}: `{cursor.spelling}` has the type {type_.spelling} of the standard library;"
                " use plain arrays and structs"
            )
        elif VAGUE.search(type_.spelling):
            yield f"{_at(cursor)}: `{cursor.spelling}` is {type_.spelling}: use an integer of fixed width, as int32_t"
        elif FLOATING.search(canonical.spelling):
            yield f"{_at(cursor)}: `{cursor.spelling}` is {type_.spelling}: the engine counts in integers"


def _recursion(source: Source) -> Iterator[str]:
    from clang.cindex import CursorKind

    names: dict[tuple[str, int], Function] = {}
    by_name: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for function in source.functions:
        key = definition(function.cursor)
        if key:
            names[key] = function
            by_name[function.name].add(key)
    calls: dict[tuple[str, int], set[tuple[str, int]]] = defaultdict(set)
    for key, function in names.items():
        for cursor in function.cursor.walk_preorder():
            if cursor.kind == CursorKind.OVERLOADED_DECL_REF:
                calls[key] |= by_name[cursor.spelling]
            elif cursor.kind in (CursorKind.CALL_EXPR, CursorKind.DECL_REF_EXPR, CursorKind.MEMBER_REF_EXPR):
                target = definition(cursor.referenced)
                if target in names:
                    calls[key].add(target)
    for key, function in names.items():
        seen: set[tuple[str, int]] = set()
        work = list(calls[key])
        while work:
            at = work.pop()
            if at not in seen:
                seen.add(at)
                work += calls[at]
        if key in seen:
            yield f"{_at(function.cursor)}: `{function.name}` calls itself, by way of others or not: write a loop"


def _loops(source: Source) -> Iterator[str]:
    for loop in source.loops:
        where = f"{loop.file.name}:{loop.first}"
        if not loop.label:
            yield f"{where}: a loop without a label: the reports of Vitis HLS would call it VITIS_LOOP_{loop.first}_1"
        if not bounded(loop) and loop.find("loop_tripcount") is None:
            yield f"{where}: loop {loop.name} has no fixed bound: add `#pragma HLS LOOP_TRIPCOUNT min = ... max = ...`"
        if endless(loop):
            yield f"{where}: loop {loop.name} has no condition to end: bound it"


def endless(loop: Loop) -> bool:
    """Whether a loop has no condition, or one that is always true."""
    text = "".join(token.spelling + " " for token in _head(loop))
    return bool(re.search(r"^for \( [^;]*; (true |1 )?;|^while \( (true|1) \)|while \( (true|1) \) $", text))


def _head(loop: Loop) -> list[Any]:
    tokens = list(loop.cursor.get_tokens())
    if tokens and tokens[0].spelling == "do":
        return tokens[-5:] if tokens[-1].spelling != ";" else tokens[-6:-1]
    depth, found = 0, []
    for token in tokens:
        found.append(token)
        depth += (token.spelling == "(") - (token.spelling == ")")
        if token.spelling == ")" and depth == 0:
            break
    return found


def bounded(loop: Loop) -> bool:
    """Whether a `for` counts to a number that is known when compiled."""
    from clang.cindex import CursorKind

    if loop.cursor.kind != CursorKind.FOR_STMT:
        return False
    parts = list(loop.cursor.get_children())
    if len(parts) < 3:
        return False
    conditions = [part for part in parts[:-1] if part.kind == CursorKind.BINARY_OPERATOR]
    counter = {c.spelling for c in parts[0].walk_preorder() if c.kind == CursorKind.VAR_DECL}
    if not conditions or not counter:
        return False
    return all(
        c.spelling in counter or _constant(c.referenced)
        for c in conditions[0].walk_preorder()
        if c.kind in (CursorKind.DECL_REF_EXPR, CursorKind.MEMBER_REF_EXPR)
    ) and not any(c.kind == CursorKind.CALL_EXPR for c in conditions[0].walk_preorder())


def _constant(cursor: Any) -> bool:
    from clang.cindex import CursorKind

    if cursor is None:
        return False
    if cursor.kind in (CursorKind.ENUM_CONSTANT_DECL, CursorKind.TEMPLATE_NON_TYPE_PARAMETER):
        return True
    words = [token.spelling for token in cursor.get_tokens()]
    return cursor.kind == CursorKind.VAR_DECL and "constexpr" in words


def _pragmas(source: Source) -> Iterator[str]:
    names: dict[Any, set[str]] = defaultdict(set)
    for path, text in source.texts.items():
        for line, words in enumerate(text.splitlines(), 1):
            if re.search(r'\b_Pragma\s*\(\s*"\s*HLS\b', words):
                yield f"{path.name}:{line}: `_Pragma`: write a line `#pragma HLS`, the only ones seen here"
    for pragma in source.pragmas:
        where = f"{pragma.file.name}:{pragma.line}"
        wrong = misspelt(pragma)
        if wrong:
            yield f"{where}: {wrong}"
    for region in source.regions:
        function = region if isinstance(region, Function) else None
        outer = region.parent
        while function is None and outer is not None:
            function = outer if isinstance(outer, Function) else None
            outer = outer.parent
        if function is None:
            continue
        if function.start not in names:
            names[function.start] = {c.spelling for c in function.cursor.walk_preorder()} | {
                array.name for array in source.arrays
            }
        for pragma in region.pragmas:
            for option in ("variable", "port"):
                name = pragma.options.get(option, "").split(".")[0].split("->")[0].strip()
                if name and name != "return" and name not in names[function.start]:
                    yield (
                        f"{pragma.file.name}:{pragma.line}: {pragma.kind.upper()} names `{name}`,"
                        f" which {function.name} does not have"
                    )
    placed = {id(pragma) for region in source.regions for pragma in region.pragmas}
    for pragma in source.pragmas:
        if id(pragma) not in placed:
            yield f"{pragma.file.name}:{pragma.line}: a pragma outside of any function has no effect"


def _ports(source: Source) -> Iterator[str]:
    top = next((f for f in source.functions if f.name == source.top), None)
    bundles = [p.options["bundle"] for p in top.pragmas if "bundle" in p.options] if top else []
    for name in [*ports(source), *dict.fromkeys(bundles), source.top]:
        languages = reserved_in(name)
        if languages:
            yield (
                f"{source.path.name}: the port `{name}` is a reserved word of {' and '.join(languages)};"
                " Vitis HLS would rename it"
            )
    if top:
        bound = {p.options.get("port") for p in top.pragmas if p.kind == "interface"}
        for name in ports(source):
            if name not in bound:
                yield f"{source.path.name}: the port `{name}` has no `#pragma HLS INTERFACE`"
