"""Every message that the package raises or warns with, read from its sources, and the page that lists them.

`make messages` writes them into docs/guide/troubleshooting.md, between the marks that stand there; a test fails where
they are not those of the sources. What a section says above its list is written by hand.

A mark is `<!-- messages: CLASS [MODULE ...] -->`: the messages of a class from modules or packages. Those that no mark
with a module takes go to the one without.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guide" / "troubleshooting.md"
VALUE = "…"  # stands for what differs from case to case
MANY = 24  # ways to put a message together, above which its parts are listed as values
NOTED = "ImageWarning"  # what `warn` and `warn_all` of the notes on a picture become


@dataclass(frozen=True, order=True)
class Message:
    """A message of a class from a module; `…` stands for its values."""

    kind: str
    module: str
    text: str


def kinds(root: Path = ROOT) -> list[str]:
    """Names of the exceptions and warnings of `pynq_cnn.errors`."""
    tree = ast.parse((root / "pynq_cnn" / "errors.py").read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def is_telling(text: str, words: int = 2) -> bool:
    """Whether a text says something by itself: some words beside its values.

    >>> is_telling("zero_point"), is_telling("…: is empty"), is_telling("… {…}")
    (False, True, False)
    """
    return len(re.findall(r"(?<!\S)[('\"]?[A-Za-z]{2,}(?=[\s,;:.)?!'\"]|$)", text)) >= words


def _callee(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Reader:
    """The texts that expressions can have, as far as the sources tell.

    A name is followed to what is assigned to it, a parameter to the calls of its function, a call to what its function
    returns. A function is that of its name in the module, or what the module imports by that name.

    Parameters
    ----------
    trees : dict of str to ast.Module
        Sources by the name of their module.
    """

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.functions: dict[str, list[Function]] = {}
        self.calls: dict[str, list[ast.Call]] = {}
        self.attributes: dict[str, list[ast.expr]] = {}
        self.scopes: dict[ast.AST, list[ast.AST]] = {}  # of a node: its function, those around it, the module
        self.constants: dict[str, list[ast.expr]] = {}
        self.imports: dict[ast.AST, dict[str, str]] = {}  # of a module: the names that it imports, and where from
        self.names: dict[ast.AST, str] = {tree: name for name, tree in trees.items()}
        self._given: dict[ast.AST, dict[str, list[ast.expr]]] = {}  # of a scope: what its names are given
        for tree in trees.values():
            self._note(tree, [tree])
            imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
            for node in tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    self.constants.setdefault(node.targets[0].id, []).append(node.value)
            self.imports[tree] = {
                alias.asname or alias.name: node.module or "" for node in imports for alias in node.names
            }

    def _note(self, node: ast.AST, scopes: list[ast.AST]) -> None:
        self.scopes[node] = scopes
        if isinstance(node, Function):
            self.functions.setdefault(node.name, []).append(node)
            scopes = [node, *scopes]
        if isinstance(node, ast.Call):
            self.calls.setdefault(_callee(node), []).append(node)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    self.attributes.setdefault(target.attr, []).append(node.value)
        for child in ast.iter_child_nodes(node):
            self._note(child, scopes)

    def texts(self, node: ast.expr, depth: int = 0) -> list[str]:
        """The texts of an expression, `…` for what is known only when it runs."""
        if isinstance(node, ast.Constant):
            return [str(node.value)] if node.value is not None else [""]
        if isinstance(node, ast.JoinedStr):
            return self._joined([self._part(part, depth) for part in node.values])
        if isinstance(node, ast.IfExp):
            return [*self.texts(node.body, depth), *self.texts(node.orelse, depth)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._joined([self.texts(node.left, depth), self.texts(node.right, depth)])
        if depth > 4:
            return [VALUE]
        if isinstance(node, ast.Name):
            found = [text for value in self._values_of(node) for text in self.texts(value, depth + 1)]
        elif isinstance(node, ast.Attribute):
            found = [text for value in self.attributes.get(node.attr, []) for text in self.texts(value, depth + 1)]
        elif isinstance(node, ast.Call) and _callee(node) == "format" and isinstance(node.func, ast.Attribute):
            found = [re.sub(r"\{\w*\}", VALUE, text) for text in self.texts(node.func.value, depth + 1)]
        elif isinstance(node, ast.Call):
            found = [text for value in self._returned(node) for text in self.texts(value, depth + 1)]
        elif isinstance(node, ast.List | ast.Tuple):
            found = [text for value in node.elts for text in self.texts(value, depth + 1)]
        else:
            found = []
        return list(dict.fromkeys(found)) or [VALUE]

    def _part(self, part: ast.expr, depth: int) -> list[str]:
        """Texts of a part of an f-string: what says something by itself is listed, all else is a value."""
        if isinstance(part, ast.Constant):
            return [str(part.value)]
        value = part.value if isinstance(part, ast.FormattedValue) else part
        if isinstance(value, ast.IfExp):
            return self.texts(value, depth)
        if not isinstance(value, ast.Name | ast.Call) or (isinstance(part, ast.FormattedValue) and part.conversion > 0):
            return [VALUE]
        found = [text if not text or is_telling(text, 3) else VALUE for text in self.texts(value, depth + 1)]
        return list(dict.fromkeys(found))

    def _joined(self, parts: list[list[str]]) -> list[str]:
        """All ways to put parts one behind the other."""
        count = 1
        for part in parts:
            count *= len(part)
        if count > MANY:
            longest = max(len(part) for part in parts)
            parts = [part if len(part) == longest or len(part) == 1 else [VALUE] for part in parts]
        return [re.sub(f"{VALUE}{VALUE}+", VALUE, "".join(chosen)) for chosen in product(*parts)]

    def _assigned(self, scope: ast.AST) -> dict[str, list[ast.expr]]:
        """The values that a scope, with all in it, gives to names."""
        if scope not in self._given:
            given = self._given[scope] = {}
            for node in ast.walk(scope):
                if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    names, values = targets, [node.value]
                elif isinstance(node, ast.For):
                    names, values = [node.target], [node.iter]
                elif isinstance(node, ast.Call) and _callee(node) == "append" and isinstance(node.func, ast.Attribute):
                    names, values = [node.func.value], node.args
                else:
                    continue
                for name in names:
                    if isinstance(name, ast.Name):
                        given.setdefault(name.id, []).extend(values)
        return self._given[scope]

    def _values_of(self, name: ast.Name) -> list[ast.expr]:
        """Expressions that a name may stand for, from the nearest scope that knows it."""
        for scope in self.scopes[name]:
            found = list(self._assigned(scope).get(name.id, []))
            if isinstance(scope, Function):
                found += self._passed(scope, name.id)
            if found:
                return found
        if name.id in self.imports[self.scopes[name][-1]]:
            return self.constants.get(name.id, [])
        return []

    def _meets(self, call: ast.Call, function: Function) -> bool:
        """Whether a call may be of a function of its name."""
        here, there = self.scopes[call][-1], self.scopes[function][-1]
        is_method = bool(function.args.args) and function.args.args[0].arg in ("self", "cls")
        if isinstance(call.func, ast.Attribute):
            return is_method
        source = self.imports[here].get(function.name)
        return not is_method and (here is there or (source is not None and self.names[there].startswith(source)))

    def _passed(self, function: Function, parameter: str) -> list[ast.expr]:
        """The arguments that the calls of a function pass as one of its parameters."""
        names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
        if parameter not in [*names, *(argument.arg for argument in function.args.kwonlyargs)]:
            return []
        found = []
        for call in self.calls.get(function.name, []):
            if not self._meets(call, function):
                continue
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if parameter in given:
                found.append(given[parameter])
            elif parameter in names:
                bound = names[0] in ("self", "cls") and isinstance(call.func, ast.Attribute)
                place = names.index(parameter) - bound
                if place < len(call.args):
                    found.append(call.args[place])
        return found

    def _returned(self, call: ast.Call) -> list[ast.expr]:
        """The values that the function that is called returns."""
        return [
            node.value
            for function in self.functions.get(_callee(call), [])
            if self._meets(call, function)
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]


def messages(root: Path = ROOT) -> list[Message]:
    """All messages of the sources below a folder, sorted."""
    trees = {
        ".".join((path.parent if path.name == "__init__.py" else path.with_suffix("")).relative_to(root).parts): path
        for top in ("pynq_cnn", "host_train")
        for path in sorted((root / top).rglob("*.py"))
        if "tests" not in path.parts
    }
    parsed = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in trees.items()}
    reader, known = Reader(parsed), set(kinds(root))
    found = set()
    for module, tree in parsed.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = _callee(node)
            if kind in ("warn", "warn_all"):
                categories = [getattr(value, "id", "") for value in node.args[1:2]]
                plain = getattr(getattr(node.func, "value", None), "id", "") == "warnings"
                kind = categories[0] if categories else "UserWarning" if plain else NOTED
            if kind in known or kind == "UserWarning":
                found |= {Message(kind, module, " ".join(text.split())) for text in reader.texts(node.args[0])}
    return sorted(found)


MARK = re.compile(r"<!-- messages: (\w+) ?([\w. ]*) -->\n(.*?)<!-- end of messages -->", re.DOTALL)


def place(message: Message, marks: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The mark that takes a message: that of its class with the longest module it is from; None if there is none."""

    def length(mark: tuple[str, str]) -> int:
        """Of the module that takes it; 0 without a module, -1 if it does not."""
        fits = [one for one in mark[1].split() if f"{message.module}.".startswith(f"{one}.")]
        return max(map(len, fits)) if fits else 0 if not mark[1] else -1

    mine = [mark for mark in marks if mark[0] == message.kind and length(mark) >= 0]
    return max(mine, key=length) if mine else None


def as_code(text: str) -> str:
    """A text as code of Markdown, whatever is in it."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def updated(page: str, found: list[Message]) -> str:
    """A page with the messages between its marks.

    Raises
    ------
    ValueError
        If a message has no place.
    """
    marks = [(kind, modules) for kind, modules, _ in MARK.findall(page)]
    lists: dict[tuple[str, str], list[str]] = {mark: [] for mark in marks}
    for message in found:
        mark = place(message, marks)
        if mark is None:
            raise ValueError(
                f"no section takes {message.kind} from {message.module}: write one, with the mark"
                f" <!-- messages: {message.kind} --> and <!-- end of messages -->"
            )
        if not is_telling(message.text):
            continue  # passes on what another part says
        line = f"* {as_code(message.text)}"
        if line not in lists[mark]:
            lists[mark].append(line)

    def filled(match: re.Match[str]) -> str:
        kind, modules, _ = match.groups()
        lines = "".join(f"{line}\n" for line in sorted(lists[kind, modules], key=str.casefold))
        return f"<!-- messages: {kind}{' ' * bool(modules)}{modules} -->\n{lines}<!-- end of messages -->"

    return MARK.sub(filled, page)


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = updated(before, messages())
    PAGE.write_text(after, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is {'as it was' if after == before else 'written anew'}")
    sys.exit(0)
