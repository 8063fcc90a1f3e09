"""Where the order of a set would show: what hashes decide, and nobody promises from one version of Python to the next.

A set may be asked, counted, combined and sorted; whatever takes its elements one after the other is a leak. It may be
handed on where the other side says that it is a set. `scripts.set_kinds` knows what is one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Final

from scripts.set_kinds import COMBINING, OPERATIONS, SET, Known, Scope, learn, module_of, parameters_of

# Builtins that take a set without telling its order; those of BY_KEY do where a key makes two elements alike.
BLIND: Final = ("all", "any", "bool", "cast", "filter", "frozenset", "fsum", "isinstance", "len", "map", "set", "sum")
BY_KEY: Final = ("max", "min", "sorted")
# Methods of sets that take another, and those of containers that take it as one element.
METHODS: Final = (
    *COMBINING, "update", "difference_update", "intersection_update", "symmetric_difference_update", "isdisjoint",
    "issubset", "issuperset", "add", "append", "count", "discard", "get", "index", "insert", "remove", "setdefault",
)  # fmt: skip


def find_leaks(trees: Mapping[str, ast.Module]) -> list[tuple[str, int, str]]:
    """Return every place, in modules by their file names, where the order of a set shows: file, line, and what to
    write."""
    known = learn(trees)
    leaks: list[tuple[str, int, str]] = []
    for name, tree in trees.items():
        finder = _Finder(known, known.modules[module_of(name)])
        finder.visit(tree)
        leaks += [(name, line, problem) for line, problem in finder.found]
    return leaks


class _Finder(ast.NodeVisitor):
    """Walks a module and keeps what it finds, each with its line."""

    def __init__(self, known: Known, scope: Scope) -> None:
        self.found: list[tuple[int, str]] = []
        self._known = known
        self._scopes = [scope]
        self._returns: list[ast.expr | None] = []

    def _is_set(self, node: ast.expr) -> bool:
        return self._known.infer(node, self._scopes) == SET

    def _refuse(self, node: ast.expr, what: str, remedy: str = "") -> None:
        """Report an expression if it is a set."""
        if self._is_set(node):
            shown = ast.unparse(node)
            remedy = remedy or f"write sorted({shown})"
            self.found.append((node.lineno, f"{what} a set, whose order is not fixed: {shown}; {remedy}"))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._returns.append(node.returns)
        self._visit_within(node)
        self._returns.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_within(node)

    def _visit_within(self, node: ast.FunctionDef | ast.Lambda) -> None:
        around = self._scopes
        self._scopes = self._known.open_scope(node, around)
        self.generic_visit(node)
        self._scopes = around

    def visit_For(self, node: ast.For) -> None:
        self._refuse(node.iter, "a loop over")
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._refuse_loops(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._refuse_loops(node)

    def _refuse_loops(self, node: ast.ListComp | ast.DictComp) -> None:
        for each in node.generators:
            self._refuse(each.iter, "a loop over")
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._refuse(node.value, "yield from")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        for each in node.elts:
            self.visit(each.value if isinstance(each, ast.Starred) else each)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._refuse(node.value, "the elements of")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(each, ast.Tuple | ast.List) for each in node.targets):
            self._refuse(node.value, "the elements of")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.op, OPERATIONS):
            self._refuse(node.value, "the elements of")
        self.generic_visit(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        self._refuse(node.value, "the text of")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Mod):
            self._refuse(node.right, "the text of")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and self._known.read(self._returns[-1]) != SET:
            self._refuse(node.value, "a result that is", "annotate it as a set, or return it sorted")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=value, attr="pop" | "__iter__" as name):
                self._refuse(value, f"{name}() of", "take the smallest or largest, with min() or max()")
        arguments: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        arguments += [(word.arg or "", word.value) for word in node.keywords]
        for at, argument in arguments:
            if not self._is_blind(node, at):
                self._refuse(argument, f"{ast.unparse(node.func)}() of")
        self.generic_visit(node)

    def _is_blind(self, call: ast.Call, at: int | str) -> bool:
        """Whether what is called learns nothing of the order of a set that is given to it."""
        match call.func:
            case ast.Name(id=name) if name in BY_KEY:
                return at == 0 and len(call.args) == 1 and all(word.arg != "key" for word in call.keywords)
            case ast.Name(id=name) if name in BLIND:
                return True
            case ast.Attribute(attr=name) if name in METHODS:
                return True
            case ast.Name(id="replace"):
                return self._known.fields.get(str(at)) == SET
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self._says_set(name, at, is_method=isinstance(call.func, ast.Attribute))
        return False

    def _says_set(self, name: str, at: int | str, *, is_method: bool) -> bool:
        """Whether the functions and classes of a name say of an argument that it is a set."""
        found = [parameters_of(each, is_method=is_method) for each in self._known.definitions.get(name, ())]
        said = [_find(each, at) for each in found]
        return bool(said) and all(self._known.read(each) == SET for each in said)


def _find(parameters: Mapping[str, ast.expr | None], at: int | str) -> ast.expr | None:
    if isinstance(at, str):
        return parameters.get(at)
    listed: Sequence[ast.expr | None] = list(parameters.values())
    return listed[at] if at < len(listed) else None
