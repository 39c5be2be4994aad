"""LLVM intermediate code, read from its text: what clang 18 writes for integer code without vectors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from .toolchain import AuditError

TOKEN = re.compile(r'[%@!#$]?"(?:[^"\\]|\\.)*"|![A-Za-z_][\w.]*|[%@!#$]?[-\w.$]+|\.\.\.|[()\[\]{}<>,=*:!]|;[^\n]*|\S')
BINARY = {"add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "shl", "lshr", "ashr", "and", "or", "xor"}
CASTS = {"trunc", "zext", "sext", "ptrtoint", "inttoptr", "bitcast", "freeze"}
FLAGS = {"nuw", "nsw", "exact", "nneg", "disjoint", "inbounds", "tail", "musttail", "notail", "volatile", "fast"}


@dataclass(frozen=True)
class Type:
    """`kind` is int, ptr, array, struct, void or other; `bits` of an int, `count` and `items` of an array or struct."""

    kind: str
    bits: int = 0
    count: int = 0
    items: tuple[Type, ...] = ()

    @cached_property
    def align(self) -> int:
        if self.kind in ("array", "struct"):
            return max((item.align for item in self.items), default=1)
        return min(self.size, 16) or 1

    @cached_property
    def size(self) -> int:
        """Bytes."""
        if self.kind == "int":
            return 1 << max(0, (-(-self.bits // 8) - 1).bit_length())
        if self.kind == "ptr":
            return 8
        if self.kind == "array":
            return self.count * self.items[0].size
        if self.kind == "struct":
            return self.offset(len(self.items))
        return 0

    def offset(self, index: int) -> int:
        """Byte of a field of a struct; of the one behind the last, its size."""
        place = 0
        for item in self.items[:index]:
            place = -(-place // item.align) * item.align + item.size
        align = self.items[index].align if index < len(self.items) else self.align
        return -(-place // align) * align


@dataclass(frozen=True)
class Value:
    """An operand: a name (`%x`, `@x`) or a number; `base` and `shift` of a constant address `@base + shift` bytes."""

    type: Type
    name: str = ""
    number: int | None = None

    @property
    def constant(self) -> bool:
        return self.number is not None and not self.name


@dataclass
class Instruction:
    """One instruction. `operands` are in the order of the text; of a store the value, then the address."""

    opcode: str
    type: Type
    name: str = ""
    operands: list[Value] = field(default_factory=list)
    predicate: str = ""  # of icmp
    callee: str = ""  # of call
    labels: list[str] = field(default_factory=list)  # where br and switch go; where the values of phi come from
    cases: list[int] = field(default_factory=list)  # of switch, those of the labels but for the first
    pointee: Type | None = None  # of getelementptr and alloca
    loop: str = ""  # metadata of the loop that a br closes
    debug: str = ""
    block: str = ""


@dataclass
class Code:
    """A function: blocks by label, the first is the entry."""

    name: str
    parameters: list[Value]
    blocks: dict[str, list[Instruction]] = field(default_factory=dict)

    @cached_property
    def instructions(self) -> list[Instruction]:
        return [i for block in self.blocks.values() for i in block]


class _Reader:
    """Tokens of one instruction or line."""

    def __init__(self, text: str, module: Module) -> None:
        self.tokens = [t for t in TOKEN.findall(text) if not t.startswith(";")]
        self.at = 0
        self.module = module

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def take(self, *tokens: str) -> bool:
        if self.peek() in tokens:
            self.at += 1
            return True
        return False

    def type(self) -> Type:
        token = self.next()
        if re.fullmatch(r"i\d+", token):
            return Type("int", int(token[1:]))
        if token == "ptr":
            return Type("ptr")
        if token in ("[", "<"):
            if self.peek() == "{":  # packed struct
                inner = self.type()
                self.take(">")
                return inner
            count = int(self.next())
            self.take("x")
            item = self.type()
            self.take("]", ">")
            return Type("array" if token == "[" else "other", 0, count, (item,))
        if token == "{":
            items = []
            while not self.take("}"):
                items.append(self.type())
                self.take(",")
            return Type("struct", 0, len(items), tuple(items))
        if token == "void":
            return Type("void")
        if token.startswith("%"):
            return self.module.named_type(token)
        return Type("other")

    def attributes(self) -> None:
        """Skip attributes up to a type or a value: words, `align 4`, `dereferenceable(80)`."""
        while self.peek() and (re.fullmatch(r"[a-z_]\w*", self.peek()) or self.peek() == "align"):
            if self.peek() in ("true", "false", "null", "undef", "poison", "zeroinitializer", "getelementptr"):
                return
            if re.fullmatch(r"i\d+|ptr|void|ptrtoint|inttoptr|none|metadata", self.peek()):
                return
            word = self.next()
            if word == "align" and self.peek() != "(":
                self.next()
            if self.take("("):
                depth = 1
                while depth:
                    token = self.next()
                    depth += (token == "(") - (token == ")")

    def value(self, type_: Type) -> Value:
        token = self.next()
        if token.startswith("%"):
            return Value(type_, token)
        if token.startswith("@"):
            return Value(type_, token, 0)
        if re.fullmatch(r"-?\d+", token):
            return Value(type_, "", int(token))
        if token in ("true", "false"):
            return Value(type_, "", int(token == "true"))
        if token == "getelementptr":
            self.take("inbounds")
            self.take("(")
            pointee = self.type()
            self.take(",")
            base = self.typed()
            indices = []
            while self.take(","):
                self.take("inrange")
                indices.append(self.typed())
            self.take(")")
            shift = sum(step * (index.number or 0) for step, index in strides(pointee, indices))
            return Value(type_, base.name, (base.number or 0) + shift)
        if token in ("ptrtoint", "inttoptr", "bitcast"):
            self.take("(")
            inner = self.typed()
            self.take("to")
            self.type()
            self.take(")")
            return Value(type_, inner.name, inner.number)
        if token in ("[", "{", "<"):
            depth = 1
            while depth:
                word = self.next()
                depth += (word in "[{<") - (word in "]}>")
        if token == "c":  # c"string"
            self.next()
        return Value(type_, "", 0)  # null, undef, poison, zeroinitializer, none

    def typed(self) -> Value:
        type_ = self.type()
        self.attributes()
        if type_.kind == "other" and self.peek() in (",", ")"):
            return Value(type_)
        return self.value(type_)


def strides(pointee: Type, indices: list[Value]) -> list[tuple[int, Value]]:
    """Bytes a step of each index of a getelementptr; a field of a struct is a step of its offset."""
    found, type_ = [], pointee
    for place, index in enumerate(indices):
        if place == 0:
            found.append((type_.size, index))
        elif type_.kind == "struct":
            number = index.number or 0
            found.append((type_.offset(number), Value(index.type, "", 1)))
            type_ = type_.items[number]
        else:
            type_ = type_.items[0]
            found.append((type_.size, index))
    return found


class Module:
    """All functions and global variables of a file of intermediate code."""

    def __init__(self, text: str) -> None:
        self.structs: dict[str, str] = {}
        self.metadata: dict[str, str] = {}
        self.variables: dict[str, Type] = {}
        self.functions: dict[str, Code] = {}
        self._known: dict[str, Type] = {}
        lines = text.splitlines()
        for line in lines:
            if line.startswith("%") and " = type " in line:
                name, _, body = line.partition(" = type ")
                self.structs[name] = body
            elif line.startswith("!"):
                name, _, body = line.partition(" = ")
                self.metadata[name] = body
        for line in lines:
            found = re.match(r'(@[-\w.$]+|@"[^"]*") = .*?\b(?:global|constant) (.*)', line)
            if found:
                self.variables[found[1]] = _Reader(found[2], self).type()
        at = 0
        while at < len(lines):
            if lines[at].startswith("define "):
                end = next(i for i in range(at, len(lines)) if lines[i] == "}")
                code = self._function(lines[at : end + 1])
                self.functions[code.name] = code
                at = end
            at += 1

    def named_type(self, name: str) -> Type:
        if name not in self._known:
            self._known[name] = Type("other")
            if name in self.structs:
                self._known[name] = _Reader(self.structs[name], self).type()
        return self._known[name]

    def _function(self, lines: list[str]) -> Code:
        head = lines[0]
        found = re.search(r'(@[-\w.$]+|@"[^"]*")\(', head)
        if found is None:
            raise AuditError(f"cannot read: {head[:200]}")
        reader = _Reader(head[found.end() :], self)
        parameters: list[Value] = []
        while reader.peek() and not reader.take(")"):
            parameter = reader.typed()
            parameters.append(Value(parameter.type, parameter.name or f"%{len(parameters)}"))
            reader.take(",")
        code = Code(found[1], parameters)
        # The entry has no label in the text but takes the number behind the parameters.
        label = f"%{len(parameters)}"
        code.blocks[label] = []
        body, rest = [], ""
        for line in lines[1:-1]:
            rest += " " + line
            if rest.count("[") > rest.count("]"):
                continue  # a switch goes over several lines
            body.append(rest.strip())
            rest = ""
        for line in body:
            named = re.match(r'([-\w.$]+|"[^"]*"):', line)
            if named and not line.startswith("%"):
                label = f"%{named[1]}"
                code.blocks[label] = []
                continue
            if not line or line.startswith(";"):
                continue
            instruction = self._instruction(line)
            instruction.block = label
            code.blocks[label].append(instruction)
        if not code.blocks[f"%{len(parameters)}"] and len(code.blocks) > 1:
            del code.blocks[f"%{len(parameters)}"]
        return code

    def _instruction(self, line: str) -> Instruction:
        loop = re.search(r"!llvm\.loop (!\d+)", line)
        debug = re.search(r"!dbg (!\d+)", line)
        text = re.sub(r", ![\w.]+ !\w+(\{\})?", "", line)
        reader = _Reader(text, self)
        name = ""
        if reader.peek(1) == "=":
            name = reader.next()
            reader.next()
        opcode = reader.next()
        while opcode in FLAGS:
            opcode = reader.next()
        result = Instruction(opcode, Type("void"), name, loop=loop[1] if loop else "", debug=debug[1] if debug else "")
        while reader.peek() in FLAGS:
            reader.next()
        self._operands(result, reader)
        return result

    def _operands(self, i: Instruction, reader: _Reader) -> None:
        if i.opcode in BINARY:
            i.type = reader.type()
            i.operands = [reader.value(i.type)]
            reader.take(",")
            i.operands.append(reader.value(i.type))
        elif i.opcode in CASTS:
            i.operands = [reader.typed()]
            i.type = reader.type() if reader.take("to") else i.operands[0].type
        elif i.opcode == "icmp":
            i.predicate = reader.next()
            type_ = reader.type()
            i.operands = [reader.value(type_)]
            reader.take(",")
            i.operands.append(reader.value(type_))
            i.type = Type("int", 1)
        elif i.opcode == "select":
            while True:
                i.operands.append(reader.typed())
                if not reader.take(","):
                    break
            i.type = i.operands[1].type
        elif i.opcode == "phi":
            i.type = reader.type()
            while reader.take("["):
                i.operands.append(reader.value(i.type))
                reader.take(",")
                i.labels.append(reader.next())
                reader.take("]")
                reader.take(",")
        elif i.opcode == "load":
            i.type = reader.type()
            reader.take(",")
            i.operands = [reader.typed()]
        elif i.opcode == "store":
            i.operands = [reader.typed()]
            reader.take(",")
            i.operands.append(reader.typed())
        elif i.opcode == "getelementptr":
            i.pointee = reader.type()
            i.type = Type("ptr")
            while reader.take(","):
                i.operands.append(reader.typed())
        elif i.opcode == "alloca":
            i.pointee = reader.type()
            i.type = Type("ptr")
        elif i.opcode == "call":
            reader.attributes()  # the calling convention and what is known of the result
            i.type = reader.type()
            if reader.peek() == "(":  # a function's whole type
                while reader.next() != ")":
                    pass
            i.callee = reader.next()
            reader.take("(")
            while reader.peek() and not reader.take(")"):
                if reader.peek() == "metadata":
                    while reader.peek() not in (",", ")", ""):
                        reader.next()
                else:
                    i.operands.append(reader.typed())
                reader.take(",")
        elif i.opcode == "br":
            if reader.take("label"):
                i.labels = [reader.next()]
            else:
                i.operands = [reader.typed()]
                while reader.take(","):
                    reader.take("label")
                    i.labels.append(reader.next())
        elif i.opcode == "switch":
            i.operands = [reader.typed()]
            while reader.peek():
                word = reader.next()
                if word == "label":
                    i.labels.append(reader.next())
                elif re.fullmatch(r"-?\d+", word):
                    i.cases.append(int(word))
        elif i.opcode == "ret":
            if reader.peek() != "void":
                i.operands = [reader.typed()]
        elif i.opcode in ("extractvalue", "insertvalue"):
            i.operands = [reader.typed()]
            i.type = i.operands[0].type
            if i.opcode == "extractvalue" and reader.take(",") and i.type.items:
                i.type = i.type.items[int(reader.next())]
        elif i.opcode != "unreachable":
            raise AuditError(
                f"the audit does not know the instruction {i.opcode}: no floating point, vectors or exceptions"
            )

    def place(self, reference: str) -> tuple[str, int]:
        """File without folders and line of a `!DILocation`, ("", 0) if it says none."""
        body = self.metadata.get(reference, "")
        line = re.search(r"line: (\d+)", body)
        scope = re.search(r"scope: (!\d+)", body)
        file = ""
        while scope and not file:
            above = self.metadata.get(scope[1], "")
            named = re.search(r"file: (!\d+)", above)
            if named:
                path = re.search(r'filename: "([^"]*)"', self.metadata.get(named[1], ""))
                file = PurePosixPath(path[1]).name if path else ""
            scope = re.search(r"scope: (!\d+)", above)
        return (file, int(line[1])) if line else ("", 0)

    def loop_place(self, reference: str) -> tuple[str, int]:
        """Where the loop of an `!llvm.loop` begins in the source."""
        for item in re.findall(r"!\d+", self.metadata.get(reference, "")):
            if item != reference and "DILocation" in self.metadata.get(item, ""):
                return self.place(item)
        return ("", 0)
