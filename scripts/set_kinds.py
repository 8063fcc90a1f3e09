"""Which expressions of some modules are sets, or containers of sets, as far as their text tells.

Sets are known by how they are written (literals, comprehensions, `set(…)`, operations on sets and on the keys of
dictionaries) and by how names, arguments, fields and results are annotated; mypy holds the annotations to the truth. A
name has one kind in a whole function, and a field in all classes: mypy asks the former, and the latter is good style.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

# How many levels of containers stand around a set: 0 is a set itself, 1 a list of sets or a dictionary to sets. The
# keys of a dictionary have an order of their own, which set operations on them lose.
Kind = int
SET: Final = 0
KEYS: Final = -1

SETS: Final = ("set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet")
VIEWS: Final = ("KeysView", "ItemsView")
TRANSPARENT: Final = ("Final", "Optional", "ClassVar", "Annotated")
# Methods that only sets have, and that give one.
COMBINING: Final = ("union", "intersection", "difference", "symmetric_difference")
OPERATIONS: Final = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)
Definition = ast.FunctionDef | ast.ClassDef
Scope = dict[str, Kind]


@dataclass
class Known:
    """What modules say of names: the fields that hold sets, functions and classes by their names, the names of each
    module (`shared/paths.py` is `shared.paths`), and the names of types."""

    fields: Scope = field(default_factory=dict)
    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    modules: dict[str, Scope] = field(default_factory=dict)
    types: Scope = field(default_factory=dict)

    def read(self, annotation: ast.expr | None) -> Kind | None:
        """The kind that an annotation names, or None."""
        match annotation:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return SET if name in SETS else KEYS if name in VIEWS else self.types.get(name)
            case ast.Constant(value=str(text)):
                return self.read(ast.parse(text, mode="eval").body)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return _first(map(self.read, (left, right)))
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
                if name in (*SETS, *VIEWS):
                    return SET if name in SETS else KEYS
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                kind = _first(map(self.read, reversed(parts))) if name != "Callable" else None
                return kind if name in TRANSPARENT else _wrap(kind)
        return None

    def result_of(self, function: str) -> Kind | None:
        """The kind of what a function of that name returns, or None."""
        found = self.definitions.get(function, ())
        return _first(self.read(each.returns) for each in found if isinstance(each, ast.FunctionDef))

    def infer(self, node: ast.expr, scopes: Sequence[Scope]) -> Kind | None:
        """The kind of an expression, or None. `scopes` hold the names around it, the nearest last."""
        match node:
            case ast.Name(id=name):
                return _first(scope.get(name) for scope in reversed(scopes))
            case ast.Attribute(attr=name):
                return self.fields.get(name)
            case ast.Set() | ast.SetComp():
                return SET
            case ast.Call():
                return self._infer_call(node, scopes)
            case ast.BinOp(op=operation, left=left, right=right):
                kinds = [self.infer(each, scopes) for each in (left, right)]
                is_set = isinstance(operation, OPERATIONS) and (SET in kinds or KEYS in kinds)
                return SET if is_set else _first(kinds)
            case ast.IfExp(body=body, orelse=orelse):
                return _first(self.infer(each, scopes) for each in (body, orelse))
            case ast.BoolOp(values=values):
                return _first(self.infer(each, scopes) for each in values)
            case ast.NamedExpr(value=value):
                return self.infer(value, scopes)
            case ast.Subscript(value=value, slice=inner):
                kind = self.infer(value, scopes)
                return kind if isinstance(inner, ast.Slice) else _unwrap(kind)
        return self._infer_container(node, scopes)

    def _infer_container(self, node: ast.expr, scopes: Sequence[Scope]) -> Kind | None:
        match node:
            case ast.GeneratorExp(generators=loops) if any(self.infer(each.iter, scopes) == SET for each in loops):
                return SET  # it has the order of that set, whatever it makes of the elements
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element) | ast.DictComp(value=element):
                return _wrap(self.infer(element, scopes))
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
                return _wrap(_first(self.infer(each, scopes) for each in parts))
        return None

    def _infer_call(self, call: ast.Call, scopes: Sequence[Scope]) -> Kind | None:
        kinds = [self.infer(each, scopes) for each in call.args]
        match call.func:
            case ast.Name(id="set" | "frozenset"):
                return SET
            case ast.Name(id="map" | "filter"):
                makes_sets = isinstance(call.args[0], ast.Name) and call.args[0].id in SETS
                return SET if SET in kinds[1:] else _wrap(SET) if makes_sets else _first(kinds[1:])
            case ast.Name(id="dict" | "iter" | "list" | "reversed" | "sorted" | "tuple"):
                return _wrap(_unwrap(_first(kinds)))
            case ast.Name(id=name):
                return self.result_of(name)
            case ast.Attribute(attr=name) if name in COMBINING:
                return SET
            case ast.Attribute(attr="keys" | "items"):
                return KEYS
            case ast.Attribute(value=value, attr="copy" | "values"):
                return self.infer(value, scopes)
            case ast.Attribute(value=value, attr="get" | "setdefault" | "pop"):
                return _first([_unwrap(self.infer(value, scopes)), *kinds[1:]])
            case ast.Attribute(attr=name):
                return self.result_of(name)
        return None

    def open_scope(self, node: ast.AST, scopes: Sequence[Scope]) -> list[Scope]:
        """The scopes within a module or function: those around it, and its own."""
        opened: list[Scope] = [*scopes, {}]
        before = -1
        while len(opened[-1]) > before:
            before = len(opened[-1])
            for each in _own_nodes(node):
                self._bind(each, opened)
        return opened

    def _bind(self, node: ast.AST, scopes: Sequence[Scope]) -> None:
        """Add to the nearest scope, and to the fields, what a node binds."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind_value(target, value, scopes)
            case ast.AnnAssign(target=target, annotation=annotation, value=value):
                kind = self.read(annotation)
                self._bind_kind(target, self.infer(value, scopes) if kind is None and value else kind, scopes)
            case ast.AugAssign(target=target, op=operation, value=value) if isinstance(operation, OPERATIONS):
                self._bind_kind(target, self.infer(value, scopes), scopes)
            case ast.NamedExpr(target=target, value=value):
                self._bind_kind(target, self.infer(value, scopes), scopes)
            case ast.For(target=target, iter=looped) | ast.comprehension(target=target, iter=looped):
                self._bind_loop(target, looped, scopes)
            case ast.ImportFrom(module=str(module), names=names) if module in self.modules:
                for each in names:
                    self._bind_kind(ast.Name(each.asname or each.name), self.modules[module].get(each.name), scopes)
            case ast.arg(arg=name, annotation=annotation):
                self._bind_kind(ast.Name(name), self.read(annotation), scopes)

    def _bind_value(self, target: ast.expr, value: ast.expr, scopes: Sequence[Scope]) -> None:
        match target, value:
            case ast.Tuple(elts=targets) | ast.List(elts=targets), ast.Tuple(elts=values) | ast.List(elts=values):
                for each, its in zip(targets, values, strict=False):
                    self._bind_value(each, its, scopes)
            case _:
                self._bind_kind(target, self.infer(value, scopes), scopes)

    def _bind_loop(self, target: ast.expr, looped: ast.expr, scopes: Sequence[Scope]) -> None:
        match target, looped:
            case ast.Tuple(elts=[_, second]), ast.Call(func=ast.Attribute(value=value, attr="items")):
                self._bind_kind(second, _unwrap(self.infer(value, scopes)), scopes)
            case ast.Tuple(elts=[_, second]), ast.Call(func=ast.Name(id="enumerate"), args=[value, *_]):
                self._bind_kind(second, _unwrap(self.infer(value, scopes)), scopes)
            case _:
                self._bind_kind(target, _unwrap(self.infer(looped, scopes)), scopes)

    def _bind_kind(self, target: ast.expr, kind: Kind | None, scopes: Sequence[Scope]) -> None:
        match target:
            case ast.Name(id=name):
                _add(scopes[-1], name, kind)
            case ast.Attribute(attr=name):
                _add(self.fields, name, kind)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    self._bind_kind(each, _unwrap(kind), scopes)


def learn(trees: Mapping[str, ast.Module]) -> Known:
    """Read what modules say, by their file names, until another reading adds nothing."""
    known = Known(modules={module_of(name): {} for name in trees})
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, Definition):
                known.definitions.setdefault(node.name, []).append(node)
    before, count = -1, 0
    while count > before:
        for name, tree in trees.items():
            _learn_types(known, tree)
            known.modules[module_of(name)] = known.open_scope(tree, [])[0]
            _learn_functions(known, tree, [known.modules[module_of(name)]])
        before, count = count, len(known.fields) + len(known.types) + sum(map(len, known.modules.values()))
    return known


def module_of(file: str) -> str:
    """The module that a file holds, as imports name it."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parameters_of(definition: Definition, *, is_method: bool) -> dict[str, ast.expr | None]:
    """The arguments of a function or class in their order, each with its annotation. A method's `self` is none."""
    if isinstance(definition, ast.FunctionDef):
        listed = [*definition.args.posonlyargs, *definition.args.args, *definition.args.kwonlyargs]
        own = listed[1:] if is_method and listed and listed[0].arg in ("self", "cls") else listed
        return {each.arg: each.annotation for each in own}
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return parameters_of(node, is_method=True)
    found = [node for node in definition.body if isinstance(node, ast.AnnAssign)]
    return {node.target.id: node.annotation for node in found if isinstance(node.target, ast.Name)}


def _learn_types(known: Known, tree: ast.Module) -> None:
    """Names of types, fields of classes, and properties."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() | ast.BinOp() as value):
                _add(known.types, name, known.read(value))
            case ast.ClassDef(body=body):
                for name, kind in known.open_scope(ast.Module(body, []), [])[0].items():
                    _add(known.fields, name, kind)
                for each in body:
                    if isinstance(each, ast.FunctionDef) and any(
                        "property" in ast.unparse(d) for d in each.decorator_list
                    ):
                        _add(known.fields, each.name, known.read(each.returns))


def _learn_functions(known: Known, node: ast.AST, scopes: Sequence[Scope]) -> None:
    """Fields that methods bind."""
    for each in ast.iter_child_nodes(node):
        is_function = isinstance(each, ast.FunctionDef | ast.Lambda)
        _learn_functions(known, each, known.open_scope(each, scopes) if is_function else scopes)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node that may bind names in its scope: not what stands within functions and classes below it."""
    for each in ast.iter_child_nodes(node):
        yield each
        if not isinstance(each, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(each)


def _add(scope: Scope, name: str, kind: Kind | None) -> None:
    if kind is not None:
        scope.setdefault(name, kind)


def _first(kinds: Iterable[Kind | None]) -> Kind | None:
    return next((kind for kind in kinds if kind is not None), None)


def _wrap(kind: Kind | None) -> Kind | None:
    """The kind of a container of these."""
    return None if kind is None or kind == KEYS else kind + 1


def _unwrap(kind: Kind | None) -> Kind | None:
    """The kind of what a container of this kind holds."""
    return None if kind is None or kind <= SET else kind - 1
