"""Loops, functions, arrays and `#pragma HLS` of the sources, each with its position.

clang ignores `#pragma HLS`, so pragmas are read from the text: one belongs to the innermost loop or function whose
body it stands in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .toolchain import parse

PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+HLS\b(?P<text>(?:[^\n\\]|\\\n|\\.)*)", re.MULTILINE | re.IGNORECASE)
_OPTION = re.compile(r"(\w+)\s*=\s*(.*?)(?=\s+\w+\s*=|\s*$)", re.DOTALL)


@dataclass(frozen=True)
class Pragma:
    """`#pragma HLS KIND words... name=value...`, all in lower case but the values."""

    kind: str
    words: tuple[str, ...]
    options: dict[str, str]
    file: Path
    line: int

    @property
    def variable(self) -> str:
        return self.options.get("variable", "")

    @staticmethod
    def read(text: str, file: Path, line: int) -> Pragma:
        text = re.sub(r"//.*|\\\n", " ", text).strip()
        options = {name.lower(): value.strip() for name, value in _OPTION.findall(text)}
        # A last value that bare words follow: `variable = x complete dim = 1`.
        words: list[str] = []
        for name, value in options.items():
            head, *tail = value.split() or [""]
            if tail and all(re.fullmatch(r"[A-Za-z_]\w*", word) for word in tail):
                options[name] = head
                words += tail
        plain = _OPTION.sub(" ", text).split()
        kind = plain[0].lower() if plain else ""
        return Pragma(kind, tuple(word.lower() for word in [*plain[1:], *words]), options, file, line)


@dataclass
class Region:
    """A loop or a function with the pragmas of its body."""

    cursor: Any
    file: Path
    first: int  # lines
    last: int
    start: int  # offset in the file
    pragmas: list[Pragma] = field(default_factory=list)
    parent: Region | None = None

    def find(self, kind: str) -> Pragma | None:
        return next((pragma for pragma in self.pragmas if pragma.kind == kind), None)


@dataclass
class Loop(Region):
    """A `for`, `while` or `do` with its label, "" if it has none."""

    label: str = ""

    @property
    def name(self) -> str:
        return self.label or f"{self.file.name}:{self.first}"

    @property
    def pipelined(self) -> Pragma | None:
        pragma = self.find("pipeline")
        return pragma if pragma and "off" not in pragma.words else None


@dataclass
class Function(Region):
    """A function, method or template of one."""

    name: str = ""

    @property
    def kept(self) -> bool:
        """Whether it stays a module of its own (`INLINE off`)."""
        inline = self.find("inline")
        return inline is not None and "off" in inline.words


@dataclass(frozen=True)
class Array:
    """An array variable, or an array in a struct variable: sizes of its dimensions, bits of an element, its pragmas."""

    name: str  # as pragmas call it: `words`, `memory.words`
    owner: str  # the variable
    offset: int  # bytes from the variable's start
    function: str  # "" outside of functions
    dimensions: tuple[int, ...]
    bits: int
    static: bool
    pragmas: tuple[Pragma, ...]
    file: Path
    line: int

    def find(self, kind: str) -> list[Pragma]:
        return [pragma for pragma in self.pragmas if pragma.kind == kind]


class Source:
    """The synthesised sources: the file of the top function and all that it includes from its folder and below.

    Parameters
    ----------
    path : Path
        The file of the top function.
    top : str
        Its name.
    defines : tuple of str
        Macros, such as `"PCNN_PE=24"`.
    """

    def __init__(self, path: Path, top: str, defines: tuple[str, ...] = ()) -> None:
        self.path = path.resolve()
        self.top = top
        self.defines = defines
        self.unit = parse(self.path, defines)
        self._places: dict[str, Path | None] = {}  # by clang's name of a file

    @cached_property
    def files(self) -> list[Path]:
        folder = self.path.parent
        found = {self.path}
        for include in self.unit.get_includes():
            name = Path(include.include.name).resolve()
            if folder in name.parents:
                found.add(name)
        return sorted(found)

    @cached_property
    def texts(self) -> dict[Path, str]:
        return {path: path.read_text(encoding="utf-8") for path in self.files}

    def own(self, cursor: Any) -> Path | None:
        """The file of `cursor` if it is one of the sources."""
        file = cursor.location.file
        if file is None:
            return None
        if file.name not in self._places:
            path = Path(file.name).resolve()
            self._places[file.name] = path if path in self.texts else None
        return self._places[file.name]

    @cached_property
    def cursors(self) -> list[Any]:
        """Those of the sources' own declarations, parents first."""
        return [
            cursor
            for declaration in self.unit.cursor.get_children()
            if self.own(declaration) is not None
            for cursor in declaration.walk_preorder()
        ]

    @cached_property
    def regions(self) -> list[Region]:
        from clang.cindex import CursorKind

        loops = {CursorKind.FOR_STMT, CursorKind.WHILE_STMT, CursorKind.DO_STMT, CursorKind.CXX_FOR_RANGE_STMT}
        functions = {
            CursorKind.FUNCTION_DECL,
            CursorKind.CXX_METHOD,
            CursorKind.FUNCTION_TEMPLATE,
            CursorKind.CONSTRUCTOR,
            CursorKind.CONVERSION_FUNCTION,
            CursorKind.DESTRUCTOR,
        }
        found: list[Region] = []

        def visit(cursor: Any, parent: Region | None, label: str) -> None:
            for child in cursor.get_children():
                file = self.own(child)
                if file is None:
                    if cursor.kind != CursorKind.TRANSLATION_UNIT:
                        visit(child, parent, "")
                    continue
                region, inner = parent, ""
                place = (child, file, child.extent.start.line, child.extent.end.line, child.extent.start.offset)
                if child.kind in loops:
                    region = Loop(*place, parent=parent, label=label)
                    found.append(region)
                elif child.kind in functions and any(
                    part.kind == CursorKind.COMPOUND_STMT for part in child.get_children()
                ):
                    region = Function(*place, parent=parent, name=child.spelling)
                    found.append(region)
                elif child.kind == CursorKind.LABEL_STMT:
                    inner = child.spelling
                visit(child, region, inner)

        visit(self.unit.cursor, None, "")
        for pragma in self.pragmas:
            inside = [r for r in found if r.file == pragma.file and r.first <= pragma.line <= r.last]
            if inside:
                min(inside, key=lambda r: (r.last - r.first, -r.start)).pragmas.append(pragma)
        return found

    @cached_property
    def pragmas(self) -> list[Pragma]:
        return [
            Pragma.read(match["text"], path, text.count("\n", 0, match.start("text")) + 1)
            for path, text in self.texts.items()
            for match in PRAGMA.finditer(text)
        ]

    @property
    def loops(self) -> list[Loop]:
        return [region for region in self.regions if isinstance(region, Loop)]

    @property
    def functions(self) -> list[Function]:
        return [region for region in self.regions if isinstance(region, Function)]

    @cached_property
    def arrays(self) -> list[Array]:
        """Arrays that are declared in a function or outside of any, also in structs; not parameters."""
        from clang.cindex import CursorKind

        found: list[Array] = []
        inside: set[int] = set()
        for region in self.functions:
            for cursor in region.cursor.walk_preorder():
                if cursor.kind == CursorKind.VAR_DECL:
                    inside.add(cursor.hash)
                    found += self._variable(cursor, region.name, self._pragmas_in(region) + self._handed[id(region)])
        for cursor in self.cursors:
            if cursor.kind == CursorKind.VAR_DECL and cursor.hash not in inside:
                found += self._variable(cursor, "", self.pragmas)
        return found

    def _variable(self, cursor: Any, function: str, pragmas: list[Pragma]) -> list[Array]:
        from clang.cindex import StorageClass

        static = cursor.storage_class == StorageClass.STATIC or not function
        found = []
        for name, offset, dimensions, bits in _arrays_in(cursor.type, cursor.spelling):
            own = tuple(p for p in pragmas if p.variable.replace(" ", "") == name)
            place = (self.own(cursor) or self.path, cursor.location.line)
            found.append(Array(name, cursor.spelling, offset, function, dimensions, bits, static, own, *place))
        return found

    def _pragmas_in(self, region: Region) -> list[Pragma]:
        """Pragmas of a function and of its loops."""
        return region.pragmas + [
            pragma
            for other in self.regions
            if isinstance(other, Loop) and other.file == region.file and region.first <= other.first <= region.last
            for pragma in other.pragmas
        ]

    @cached_property
    def _handed(self) -> dict[int, list[Pragma]]:
        """For each function the pragmas of those it calls, on parameters, with the arguments in their place."""
        from clang.cindex import CursorKind

        places = {definition(f.cursor): f for f in self.functions}
        parameters = {
            id(f): [c.spelling for c in f.cursor.get_children() if c.kind == CursorKind.PARM_DECL]
            for f in self.functions
        }
        calls = []
        for caller in self.functions:
            for cursor in caller.cursor.walk_preorder():
                callee = places.get(definition(cursor.referenced)) if cursor.kind == CursorKind.CALL_EXPR else None
                if callee is not None:
                    given = ["".join(t.spelling for t in argument.get_tokens()) for argument in cursor.get_arguments()]
                    calls.append((caller, callee, given))
        handed: dict[int, list[Pragma]] = {id(f): [] for f in self.functions}
        changed = True
        while changed:
            changed = False
            for caller, callee, given in calls:
                for pragma in self._pragmas_in(callee) + handed[id(callee)]:
                    base, dot, rest = pragma.variable.replace(" ", "").partition(".")
                    for name, argument in zip(parameters[id(callee)], given):
                        if name == base and re.fullmatch(r"[&*]?\w+(\.\w+)*", argument):
                            variable = argument.lstrip("&*") + dot + rest
                            moved = replace(pragma, options={**pragma.options, "variable": variable})
                            if moved not in handed[id(caller)] and caller is not callee:
                                handed[id(caller)].append(moved)
                                changed = True
        return handed

    def in_dataflow(self, array: Array) -> bool:
        """Whether an array is declared in a DATAFLOW region, where Vitis HLS makes two of it that take turns."""
        inside = [r for r in self.regions if r.file == array.file and r.first <= array.line <= r.last]
        return any(region.find("dataflow") for region in inside)

    def loop_at(self, file: str, line: int) -> Loop | None:
        """The loop that begins on a line of a file given by its name without folders."""
        return next((loop for loop in self.loops if loop.file.name == file and loop.first == line), None)


def definition(cursor: Any) -> tuple[str, int] | None:
    """File and place of what a cursor names, of a template for what is made from it."""
    from clang.cindex import conf

    if cursor is None:
        return None
    cursor = conf.lib.clang_getSpecializedCursorTemplate(cursor) or cursor
    cursor = cursor.get_definition() or cursor
    file = cursor.location.file
    return (file.name, cursor.location.offset) if file else None


def _arrays_in(kind: Any, name: str, offset: int = 0) -> list[tuple[str, int, tuple[int, ...], int]]:
    """Name, byte, dimensions and bits of an element of each array that a variable of a type is or has."""
    from clang.cindex import TypeKind

    kind, dimensions = kind.get_canonical(), []
    while kind.kind == TypeKind.CONSTANTARRAY:
        dimensions.append(kind.element_count)
        kind = kind.element_type.get_canonical()
    if dimensions:
        return [(name, offset, tuple(dimensions), 8 * max(kind.get_size(), 0))]
    if kind.kind != TypeKind.RECORD:
        return []
    found = []
    for field_ in kind.get_fields():
        inner = offset + field_.get_field_offsetof() // 8
        found += _arrays_in(field_.type, f"{name}.{field_.spelling}", inner)
    return found
