"""The numbers rule, checked: what `shared/` may not use, so that every runtime gets the same bits.

Replay compares decisions of the edge (Pyodide, musl) with the origin's (CPython, glibc) to the last bit. Both follow
IEEE 754, but their C libraries round `log` and its like differently, Python versions add up floats differently in
`sum()`, and the order of a set is nobody's promise. `math.fsum` is exact before its one rounding, so it may be used.

Run as `python -m scripts.numbers_rule [folder]`: prints each violation with its place and remedy, exit status 1.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MATH: Final = {"sqrt", "frexp", "ldexp", "fsum"}
MODULES: Final = {"cmath", "decimal", "random", "secrets", "statistics", "time", "datetime", "locale"}
CALLS: Final = {
    "sum": "add in a loop, or use math.fsum (sum() rounds differently in Python 3.12)",
    "pow": "multiply, or use shared.numbers.exp and ln",
    "hash": "use hashlib (hash() differs from process to process)",
    "id": "use a name (id() differs from process to process)",
}
PATTERNS: Final = {"compile", "search", "match", "fullmatch", "sub", "split", "findall", "finditer"}


def find_violations(source: str, name: str) -> list[str]:
    """Return one line for each use in a module's source that the numbers rule forbids."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for problem in _problems_of(node):
            found.append((getattr(node, "lineno", 0), problem))
    return [f"{name}:{line}: {problem}" for line, problem in sorted(found)]


def _problems_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (_forbid(each.name) for each in names if each.name in MODULES)
            if any(each.name == "math" for each in names):
                yield f"import math: import what is used by name, of {', '.join(sorted(MATH))}"
        case ast.ImportFrom(module="math", names=names):
            bad = [each.name for each in names if each.name not in MATH]
            if bad:
                yield f"math.{bad[0]}: the C libraries round it differently; use shared.numbers"
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
            yield _forbid(module)
        case ast.BinOp(op=ast.Pow()) | ast.AugAssign(op=ast.Pow()):
            yield "**: multiply, or use shared.numbers.exp and ln"
        case ast.Call(func=ast.Name(id=called)) if called in CALLS:
            yield f"{called}(): {CALLS[called]}"
        case ast.For(iter=looped) | ast.comprehension(iter=looped) if _is_set(looped):
            yield "a loop over a set: its order is not fixed; sort it"
        case ast.Call(func=ast.Name(id="list" | "tuple" | "enumerate"), args=[first, *_]) if _is_set(first):
            yield "the order of a set is not fixed; sort it"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=called)) if called in PATTERNS:
            if not _is_bound_to_ascii(node):
                yield f"re.{called} without re.ASCII: case and classes beyond ASCII differ between versions"
        case _:
            return


def _is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), left=left, right=right):
            return _is_set(left) or _is_set(right)
    return False


def _is_bound_to_ascii(call: ast.Call) -> bool:
    """Whether a pattern names re.ASCII, or is a literal in which nothing depends on it."""
    given = " ".join(ast.unparse(each) for each in (*call.args, *(word.value for word in call.keywords)))
    if "ASCII" in given:
        return True
    pattern = call.args[0] if call.args else None
    is_plain = isinstance(pattern, ast.Constant) and not re.search(r"\\[bdswBDSW]|\(\?[a-z]*i", str(pattern.value))
    return is_plain and "IGNORECASE" not in given


def _forbid(module: str) -> str:
    return f"{module}: no clock, no chance, and no arithmetic of its own in the core; pass in what is needed"


def main() -> int:
    """Check a folder, by default the core's; returns the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "shared"
    files = sorted(folder.rglob("*.py"))
    if not files:
        print(f"error: {folder} holds no Python files", file=sys.stderr)
        return 1
    found = [line for file in files for line in find_violations(file.read_text(), str(file.relative_to(folder.parent)))]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
