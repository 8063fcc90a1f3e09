"""The numbers rule, checked: what `shared/` may use, so that every runtime and version of Python gets the same bits.

Replay compares decisions of the edge (Pyodide, musl) with the origin's (CPython, glibc) to the last bit. Both follow
IEEE 754, but their C libraries round `log` and its like differently, Python versions add up floats differently in
`sum()` and know different tables of letters, and the order of a set is nobody's promise. So modules come from a list
(`MODULES`), and of each only what is fixed everywhere; some builtins are refused wherever they are named (`BARE`), and
so are methods that ask the tables of Unicode (`TABLED`), unless the text was asked `isascii()` before. Where the order
of a set would show, `scripts.set_order` finds it. `math.fsum` is exact before its one rounding, so it may be used.

Run as `python -m scripts.numbers_rule [folder]`: prints each violation with its place and remedy, exit status 1.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.set_order import find_leaks

ROOT: Final = Path(__file__).resolve().parents[1]
OWN: Final = "shared"
ANYTHING: Final = "*"
# What may be imported, and of that which names.
MODULES: Final[Mapping[str, str]] = {
    "__future__": ANYTHING,
    "base64": "urlsafe_b64encode",
    "bisect": "bisect_left",
    "collections.abc": ANYTHING,
    "dataclasses": ANYTHING,
    "functools": "lru_cache",
    "hashlib": "sha256",
    "hmac": "compare_digest digest",
    "itertools": "groupby pairwise",
    "json": "JSONDecoder JSONEncoder dumps loads",
    "math": "ceil floor frexp fsum inf isfinite isinf isnan ldexp sqrt",
    "operator": "attrgetter ge gt le lt mul",
    "re": "ASCII DOTALL IGNORECASE MULTILINE NOFLAG VERBOSE Match Pattern error escape"
    " compile findall finditer fullmatch match search split sub subn",
    "struct": "Struct",
    "types": "MappingProxyType",
    "typing": ANYTHING,
    "urllib.parse": "parse_qsl",
}
# These are imported whole, and what is used of them is looked at where it is used.
WHOLE: Final = ("hmac", "json", "re")
ARITHMETIC: Final = "use shared.numbers, and + - * / of your own"
CHANCE: Final = "derive the number from the unit, with shared.uniform"
CLOCK: Final = "take the time as an argument, such as now_ms"
SHELL: Final = "leave I/O to worker/ and origin/, and take what is needed as an argument"
REMEDIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("cmath", "decimal", "fractions", "math", "numpy", "operator", "scipy", "statistics"), ARITHMETIC),
    **dict.fromkeys(("random", "secrets", "uuid"), CHANCE),
    **dict.fromkeys(("datetime", "time", "zoneinfo"), CLOCK),
    **dict.fromkeys(("asyncio", "io", "logging", "os", "pathlib", "socket", "subprocess", "sys", "tempfile"), SHELL),
    "builtins": "write what can be read without it",
    "importlib": "import by name, at the head of the file",
    "locale": "write formats out; they may not depend on where the program runs",
    "unicodedata": "its tables differ between versions of Python; write out the characters that are meant",
}
BARE: Final[Mapping[str, str]] = {
    "sum": "add in a loop, or use math.fsum (sum() rounds differently from Python 3.12 on)",
    "pow": "multiply, or use shared.numbers.exp and ln",
    "complex": ARITHMETIC,
    "hash": "use hashlib (hash() differs from process to process)",
    "id": "use a name (id() differs from process to process)",
    **dict.fromkeys(("open", "print", "input", "breakpoint"), SHELL),
    **dict.fromkeys(
        ("__builtins__", "__import__", "compile", "eval", "exec", "globals", "locals", "vars"),
        "write what can be read without it",
    ),
}
HIDDEN: Final = {"__pow__": BARE["pow"], "__rpow__": BARE["pow"], "__hash__": BARE["hash"]}
TABLED: Final = (
    "lower", "upper", "casefold", "title", "capitalize", "swapcase", "isalpha", "isalnum", "isdigit", "isdecimal",
    "isnumeric", "isspace", "isupper", "islower", "istitle", "isprintable", "isidentifier",
)  # fmt: skip
# Functions that may ask the tables all the same, with the reason why every version answers alike.
EXCEPTIONS: Final[Mapping[tuple[str, str, str], str]] = {
    ("shared/sensitive.py", "is_sensitive", "lower"): "its words are matched letter by letter, from A to z",
    ("shared/javascript.py", "to_lower", "lower"): "keeps the capitals that later versions of Unicode gained",
}
# The functions of `re` that take a pattern, and how many arguments stand before its flags.
PATTERNS: Final[Mapping[str, int]] = {
    "compile": 1, "findall": 2, "finditer": 2, "fullmatch": 2, "match": 2, "search": 2, "split": 3, "sub": 4, "subn": 4,
}  # fmt: skip
# What in a pattern depends on the tables of letters.
_DEPENDS: Final = re.compile(r"\\[bdswBDSW]|\(\?[a-zA-Z-]*[iuL]")


def check(sources: Mapping[str, str]) -> list[str]:
    """Return one line for each use, in modules by their file names, that the numbers rule forbids."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    found = find_leaks(trees)
    for name, tree in trees.items():
        finder = _Finder(name)
        finder.visit(tree)
        found += [(name, line, problem) for line, problem in finder.found]
    return [f"{name}:{line}: {problem}" for name, line, problem in sorted(found)]


def find_violations(source: str, name: str) -> list[str]:
    """Return one line for each use in a single module's source that the numbers rule forbids."""
    return check({name: source})


class _Finder(ast.NodeVisitor):
    """Walks a module and keeps what it finds, each with its line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[tuple[int, str]] = []
        self._whole: set[str] = set()  # the modules that were imported whole
        self._functions: list[str] = []
        self._ascii: list[str] = []  # the texts that were asked isascii(), as they are written

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow):
            self._report(node, f"**: {BARE['pow']}")
        super().visit(node)

    def _report(self, node: ast.expr | ast.stmt, problem: str) -> None:
        self.found.append((node.lineno, problem))

    def visit_Import(self, node: ast.Import) -> None:
        for each in node.names:
            if each.name == OWN or each.name.startswith(f"{OWN}."):
                continue
            if each.name in WHOLE and each.asname is None:
                self._whole.add(each.name)
            elif each.name in WHOLE:
                self._report(node, f"import {each.name} as {each.asname}: write import {each.name}")
            elif each.name in MODULES:
                self._report(node, f"import {each.name}: import by name, of {_list(each.name)}")
            else:
                self._report(node, _refuse_module(each.name))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            self._report(node, f"from {'.' * node.level}{module} import: write the whole name, {OWN}.…")
        elif module == "re":
            self._report(node, "from re import: write import re, so that every pattern shows its re.ASCII")
        elif module not in MODULES:
            if module != OWN and not module.startswith(f"{OWN}."):
                self._report(node, _refuse_module(module))
        else:
            for each in node.names:
                if not _is_listed(module, each.name):
                    self._report(node, _refuse_name(module, each.name))

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in BARE:
            self._report(node, f"{node.id}(): {BARE[node.id]}")
        elif node.id in self._whole:
            self._report(node, f"{node.id} under another name: write {node.id}.… where it is used")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        if isinstance(node.value, ast.Name) and node.value.id in self._whole:
            module = node.value.id
            if not _is_listed(module, name):
                self._report(node, _refuse_name(module, name))
            elif module == "re" and name in PATTERNS:
                self._report(node, f"re.{name} under another name: call it here, with re.ASCII")
            return
        if name in HIDDEN:
            self._report(node, f"{name}: {HIDDEN[name]}")
        elif name in TABLED and not self._is_sure(node):
            self._report(
                node,
                f"{name}: its tables differ between versions of Python; ask isascii() first, as in "
                f"text.isascii() and text.{name}(), or use shared.javascript.to_lower",
            )
        self.generic_visit(node)

    def _is_sure(self, node: ast.Attribute) -> bool:
        """Whether every version answers alike: an ASCII text, or a function that takes care of it."""
        is_constant = isinstance(node.value, ast.Constant) and str(node.value.value).isascii()
        is_asked = ast.unparse(node.value) in self._ascii
        return is_constant or is_asked or any((self.file, each, node.attr) in EXCEPTIONS for each in self._functions)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        match called:
            case ast.Attribute(value=ast.Name(id="re"), attr=name) if "re" in self._whole and name in PATTERNS:
                if not _is_bound_to_ascii(node, PATTERNS[name]):
                    wrong = f"re.{name} without re.ASCII: case and classes beyond ASCII differ between versions"
                    self._report(node, f"{wrong}; give re.ASCII among its flags")
            case _:
                self.visit(called)
        for each in (*node.args, *node.keywords):
            self.visit(each)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._report(node, f"async def: {SHELL}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        asked: list[str] = []
        for value in node.values:
            with self._knowing(asked):
                self.visit(value)
            if isinstance(node.op, ast.And):
                asked += _list_asked(value)

    def visit_If(self, node: ast.If) -> None:
        self._visit_branches(node.test, node.body, node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._visit_branches(node.test, [node.body], [node.orelse])

    def _visit_branches(self, test: ast.expr, body: Iterable[ast.AST], orelse: Iterable[ast.AST]) -> None:
        self.visit(test)
        with self._knowing(_list_asked(test)):
            for each in body:
                self.visit(each)
        for each in orelse:
            self.visit(each)

    @contextmanager
    def _knowing(self, asked: Iterable[str]) -> Iterator[None]:
        known = list(self._ascii)
        self._ascii += asked
        yield
        self._ascii = known


def _list_asked(test: ast.expr) -> list[str]:
    """The texts that are ASCII where a test holds."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            return [asked for value in values for asked in _list_asked(value)]
        case ast.Call(func=ast.Attribute(value=text, attr="isascii")):
            return [ast.unparse(text)]
    return []


def _is_bound_to_ascii(call: ast.Call, before: int) -> bool:
    """Whether a pattern is compiled with re.ASCII, or is a literal in which nothing depends on it."""
    flags = [*call.args[before:], *(word.value for word in call.keywords if word.arg == "flags")]
    if any("ASCII" in _list_flags(each) for each in flags):
        return True
    pattern = call.args[0] if call.args else None
    is_plain = isinstance(pattern, ast.Constant) and not _DEPENDS.search(str(pattern.value))
    return is_plain and all(_list_flags(each) == ["DOTALL"] for each in flags)


def _list_flags(flags: ast.expr) -> list[str]:
    """The flags that are sure to be set; an empty name for each that depends on something."""
    match flags:
        case ast.Attribute(value=ast.Name(id="re"), attr=name):
            return [name]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _list_flags(left) + _list_flags(right)
    return [""]


def _is_listed(module: str, name: str) -> bool:
    return MODULES[module] == ANYTHING or name in MODULES[module].split()


def _list(module: str) -> str:
    return ", ".join(MODULES[module].split())


def _refuse_name(module: str, name: str) -> str:
    remedy = REMEDIES.get(module, f"use what is on the list: {_list(module)}")
    return f"{module}.{name}: may differ between runtimes or versions; {remedy}"


def _refuse_module(module: str) -> str:
    top = module.partition(".")[0]
    other = "pass in what is needed, or add it to MODULES of the numbers rule with what agrees everywhere"
    return f"{module}: is not on the list of what the core may import; {REMEDIES.get(top, other)}"


def main() -> int:
    """Check a folder, by default the core's; returns the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / OWN
    files = sorted(folder.rglob("*.py"))
    if not files:
        print(f"error: {folder} holds no Python files", file=sys.stderr)
        return 1
    found = check({file.relative_to(folder.parent).as_posix(): file.read_text(encoding="utf-8") for file in files})
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
