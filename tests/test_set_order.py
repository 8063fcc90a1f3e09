"""The part of the numbers rule that finds where the order of a set shows."""

from __future__ import annotations

import pytest

from scripts.numbers_rule import check, find_violations

CLASS = "class C:\n    tags: frozenset[str]\n    names: tuple[str, ...]\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        # Sets as they are written.
        ("for x in {1, 2}: pass", 1),
        ("for x in {y for y in z}: pass", 1),
        ("[x for x in set(y)]", 1),
        ("{x: 1 for x in frozenset(y)}", 1),
        ("for x in frozenset(a) | b: pass", 1),
        ("for x in a.keys() & b.keys(): pass", 1),
        ("for x in a.keys() - b: pass", 1),
        ("for x in a.items() ^ b.items(): pass", 1),
        ("for x in a.union(b): pass", 1),
        ("for x in {1} if a else b: pass", 1),
        ("for x in a or {1}: pass", 1),
        ("for x in {1}.copy(): pass", 1),
        ("for x in (a := {1}): pass", 1),
        # What takes the elements one after the other.
        ("tuple({1, 2})", 1),
        ("list({1, 2})", 1),
        ("','.join({'a', 'b'})", 1),
        ("','.join(x for x in {'a', 'b'})", 1),
        ("','.join(map(str, {1, 2}))", 1),
        ("tuple(x for x in y for z in {1, 2})", 1),
        ("[*{1, 2}]", 1),
        ("f(*{1, 2})", 1),
        ("next(iter({1, 2}))", 1),
        ("enumerate({1, 2})", 1),
        ("dict.fromkeys({1, 2})", 1),
        ("zip(a, {1, 2})", 1),
        ("str({1, 2})", 1),
        ("f'{({1, 2})}'", 1),
        ("'%s' % {1, 2}", 1),
        ("first, second = {1, 2}", 1),
        ("x += {1, 2}", 1),
        ("x.extend({1, 2})", 1),
        ("def f(): yield from {1, 2}", 1),
        ("set(a).pop()", 1),
        ("max({1, 2}, key=f)", 1),
        ("min({1, 2}, 3)", 1),
        ("sorted({1, 2}, key=len)", 1),
        # Names.
        ("x = {1, 2}\nlist(x)", 2),
        ("x: Final = frozenset(y)\nlist(x)", 2),
        ("x: Iterable[int] = {1}\nlist(x)", 2),
        ("a, b = set(y), 1\nlist(a)", 2),
        ("a = b = {1}\nlist(b)", 2),
        ("x |= {1}\nlist(x)", 2),
        ("x = {1}\ny = x\nz = y\nlist(z)", 4),
        ("def f(x: set[int]):\n    for y in x: pass", 2),
        ("def f(x: 'frozenset[int] | None' = None):\n    return [y for y in x]", 2),
        ("def f(*, x: AbstractSet[int]):\n    return [y for y in x]", 2),
        ("def f(x: KeysView[str]):\n    return list(x | y)", 2),
        ("def f(x: set[int]):\n    def g(): return list(x)", 2),
        ("def f(x: set[int]): return lambda: list(x)", 1),
        ("Names = frozenset[str]\ndef f(x: Names): return list(x)", 2),
        # Fields and results.
        (f"{CLASS}def f(c): return [*c.tags]", 4),
        ("class C:\n    def __init__(self): self.x = set()\n    def f(self): return list(self.x)", 3),
        ("class C:\n    @property\n    def x(self) -> set[int]: return {1}\nlist(c.x)", 4),
        ("class C:\n    X = frozenset('ab')\nlist(C.X)", 3),
        ("def f() -> set[int]: return {1}\nlist(f())", 2),
        ("class C:\n    def f(self) -> set[int]: return {1}\nlist(c.f())", 3),
        ("def f() -> Iterable[int]:\n    return {1}", 2),
        ("def f():\n    return frozenset(x)", 2),
        # Containers of sets.
        ("x = [{1}, {2}]\nlist(x[0])", 2),
        ("x = [set(y) for y in z]\nfor y in x:\n    list(y)", 3),
        ("for y in map(set, z):\n    list(y)", 2),
        ("for i, y in enumerate([{1}, {2}]):\n    list(y)", 2),
        ("def f(x: dict[str, set[int]]):\n    for a, b in x.items():\n        list(b)", 3),
        ("def f(x: dict[str, set[int]]):\n    return [list(b) for b in x.values()]", 2),
        ("def f(x: dict[str, set[int]]): return list(x.get('a', ()))", 1),
        ("x = y.setdefault(1, set())\nlist(x)", 2),
        ("x = {'a': {1}}\nlist(x['a'])", 2),
        ("a, b = [{1}, {2}]\nlist(b)", 2),
        # Where it is handed on.
        ("f({1, 2})", 1),
        ("def f(x: Iterable[int]): ...\nf({1, 2})", 2),
        ("def f(a: set[int], x: Iterable[int]): ...\nf({1}, {2})", 2),
        ("def f(a: set[int]): ...\nf(a={1}, b={1})", 2),
        ("class C:\n    def f(self, x: list[int]): ...\nc.f({1})", 3),
        ("class C:\n    def __init__(self, x: Iterable[int]): ...\nC({1})", 3),
        (f"{CLASS}C(names={{1}}, tags={{1}})", 4),
        (f"{CLASS}replace(c, names={{1}})", 4),
    ],
)
def test_each_place_where_the_order_of_a_set_shows_is_found(source: str, line: int) -> None:
    [found] = find_violations(source, "core.py")
    assert found.startswith(f"core.py:{line}: ")
    assert "whose order is not fixed" in found


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}): pass",
        "sorted({1, 2}, reverse=True)\nsorted(x for x in {1, 2})\nsorted(map(str, {1, 2}))",
        "'a' in {'a', 'b'}\n'a' not in frozenset(x)\n{1} == {2}\n{1} <= a.keys()",
        "len({1})\nmin({1, 2})\nmax({1, 2}, default=0)\nbool({1})\nisinstance(x, set)\nfsum({0.1})",
        "any(x for x in {1})\nall(x > 1 for x in {1, 2})\n{x + 1 for x in {1}}\nset(x for x in {1})\n{*{1}, 2}",
        "x = {1}\nx.add(2)\nx.update({3})\nx.discard(1)\nx |= {4}\nx - {1}\nx.issubset({1})",
        "for x in a.keys(): pass\nlist(a.items())\nlist(a)\nlist({'a': 1})",
        "def f(x: set[int], *, y: frozenset[int]) -> set[int]:\n    return x | y\nf({1}, y=frozenset({2}))",
        "class C:\n    def __init__(self, x: set[int]): ...\n    def f(self, y: set[int]): ...\nC({1}).f({2})",
        f"{CLASS}C(tags=frozenset(a), names=tuple(b))\nfor x in c.names: pass\nreplace(c, tags={{'a'}})",
        f"{CLASS}def f(tags):\n    for x in tags: pass",
        "x: list[set[int]] = []\nx.append({1})\nfor y in x:\n    len(y)",
        "def f(x: set[int]): ...\ndef g(x):\n    for y in x: pass",
        "def f(x: Callable[[int], set[int]]):\n    for y in x: pass",
        "def f(x: dict[str, set[int]]):\n    for a, b in x.items():\n        list(a)\n    return list(x)",
        "x = 5 & y\nfor z in range(x | 1): pass\n'%s' % x\nx += 1",
        "a, b = {1}, [2]\nlist(b)",
        "def f() -> None:\n    return\ndef g() -> Iterator[set[int]]:\n    yield {1}",
    ],
)
def test_what_does_not_tell_the_order_is_allowed(source: str) -> None:
    assert find_violations(source, "core.py") == []


def test_what_one_module_says_is_known_in_another() -> None:
    said = (
        "class C:\n    tags: frozenset[str]\nNAMES = frozenset('ab')\ndef f() -> set[str]: ...\nTags = frozenset[str]\n"
    )
    used = (
        "from shared.said import NAMES, Tags, f as g\n"
        "list(NAMES)\n"
        "def h(c, tags: Tags):\n"
        "    for tag in c.tags: pass\n"
        "    return [*tags]\n"
        "list(f())\n"
    )
    found = check({"shared/used.py": used, "shared/said.py": said})
    assert [line.partition(": ")[0] for line in found] == [f"shared/used.py:{line}" for line in (2, 4, 5, 6)]


def test_the_remedy_is_written_out() -> None:
    assert find_violations("starts = {1}\nlist(starts)", "core.py") == [
        "core.py:2: list() of a set, whose order is not fixed: starts; write sorted(starts)"
    ]
    assert find_violations("set(a).pop()", "core.py") == [
        "core.py:1: pop() of a set, whose order is not fixed: set(a); take the smallest or largest, with min() or max()"
    ]
    assert find_violations("def f() -> list[int]:\n    return {1}", "core.py") == [
        "core.py:2: a result that is a set, whose order is not fixed: {1}; annotate it as a set, or return it sorted"
    ]
