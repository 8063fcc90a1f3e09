"""The lint check that keeps the core's arithmetic the same in every runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import numbers_rule
from scripts.numbers_rule import EXCEPTIONS, ROOT, check, find_violations


def test_the_core_keeps_the_rule() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.numbers_rule"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("source", "begins"),
    [
        # Modules come from a list, and of each only what agrees everywhere.
        ("import math", "core.py:1: import math: import by name, of ceil, floor, frexp, fsum, inf,"),
        ("from math import sqrt, log", "core.py:1: math.log: may differ between runtimes or versions; use shared.n"),
        ("from math import *", "core.py:1: math.*"),
        ("def f():\n    from math import exp as e", "core.py:2: math.exp"),
        ("from operator import pow", "core.py:1: operator.pow"),
        ("import operator", "core.py:1: import operator: import by name, of attrgetter, ge, gt"),
        ("from builtins import sum", "core.py:1: builtins"),
        ("from functools import reduce", "core.py:1: functools.reduce: may differ between runtimes or versions; use"),
        ("import random", "core.py:1: random: is not on the list of what the core may import; derive the number from"),
        ("from uuid import uuid4", "core.py:1: uuid"),
        ("from secrets import token_hex", "core.py:1: secrets"),
        ("from os import urandom", "core.py:1: os: is not on the list of what the core may import; leave I/O to"),
        ("import os.path as p", "core.py:1: os.path"),
        ("from time import time", "core.py:1: time: is not on the list of what the core may import; take the time"),
        ("from datetime import datetime", "core.py:1: datetime"),
        ("import numpy as np", "core.py:1: numpy: is not on the list of what the core may import; use shared.numbers"),
        ("from collections import Counter", "core.py:1: collections: is not on the list of what the core may import;"),
        ("from worker import page", "core.py:1: worker"),
        ("import shared_else", "core.py:1: shared_else"),
        ("from . import numbers", "core.py:1: from . import: write the whole name, shared."),
        ("from ..origin import train", "core.py:1: from ..origin import"),
        ("import json as j", "core.py:1: import json as j: write import json"),
        ("import json\nload = json.load", "core.py:2: json.load"),
        ("import json\nj = json", "core.py:2: json under another name"),
        ("import hmac\nhmac.new(k)", "core.py:2: hmac.new"),
        # Sums and powers.
        ("x = 2.0 ** 3", "core.py:1: **"),
        ("x **= 2", "core.py:1: **"),
        ("x = 1\ny = sum([0.1, 0.2])", "core.py:2: sum(): add in a loop, or use math.fsum"),
        ("x = map(sum, rows)", "core.py:1: sum()"),
        ("add = sum", "core.py:1: sum()"),
        ("pow(2, 3)", "core.py:1: pow()"),
        ("f(key=pow)", "core.py:1: pow()"),
        ("x.__pow__(2)", "core.py:1: __pow__"),
        ("float.__rpow__", "core.py:1: __rpow__"),
        ("abs(complex(3, 4))", "core.py:1: complex()"),
        ("__builtins__", "core.py:1: __builtins__()"),
        ("__import__('math')", "core.py:1: __import__()"),
        ("globals()['x']", "core.py:1: globals()"),
        ("eval('2')", "core.py:1: eval()"),
        # What differs from process to process, and what comes from outside.
        ("hash('a')", "core.py:1: hash()"),
        ("sorted(x, key=id)", "core.py:1: id()"),
        ("x.__hash__()", "core.py:1: __hash__"),
        ("open('a')", "core.py:1: open(): leave I/O to worker/ and origin/"),
        ("def f(): print(1)", "core.py:1: print()"),
        ("input()", "core.py:1: input()"),
        ("async def f(): pass", "core.py:1: async def"),
        # Patterns are bound to ASCII.
        ("from re import compile", "core.py:1: from re import: write import re"),
        ("import re as r", "core.py:1: import re as r: write import re"),
        ("import re\nr = re", "core.py:2: re under another name"),
        ("import re\nmake = re.compile", "core.py:2: re.compile under another name"),
        ("import re\nx = map(re.compile, y)", "core.py:2: re.compile under another name"),
        ("import re\nre.template('a')", "core.py:2: re.template"),
        ("import re\nre.compile(r'\\d')", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.compile('(?i)a')", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.compile('(?s:.)(?i:a)')", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.compile(r'\\w|ASCII')", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.sub(r'\\w', 're.ASCII', x)", "core.py:2: re.sub without re.ASCII"),
        ("import re\nre.compile(r'\\w', re.ASCII if x else re.NOFLAG)", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.search('a', x, re.IGNORECASE)", "core.py:2: re.search without re.ASCII"),
        ("import re\nre.search('a', x, flags=flags)", "core.py:2: re.search without re.ASCII"),
        ("import re\nre.compile(pattern)", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.compile(f'{a}')", "core.py:2: re.compile without re.ASCII"),
        # Texts whose tables differ between versions of Python.
        ("x.lower()", "core.py:1: lower: its tables differ between versions of Python; ask isascii() first, as in"),
        ("x = map(str.casefold, y)", "core.py:1: casefold"),
        ("key = str.upper", "core.py:1: upper"),
        ("x.isalpha() and x.isascii()", "core.py:1: isalpha"),
        ("x.isascii() or x.isdigit()", "core.py:1: isdigit"),
        ("x.isascii() and y.isdigit()", "core.py:1: isdigit"),
        ("not x.isascii() and x.isdigit()", "core.py:1: isdigit"),
        ("x.title() if x.isascii() or y else x", "core.py:1: title"),
        ("x if x.isascii() else x.upper()", "core.py:1: upper"),
        ("if x.isascii():\n    pass\nx.lower()", "core.py:3: lower"),
        ("if x.isascii():\n    pass\nelse:\n    x.lower()", "core.py:4: lower"),
        ("'É'.lower()", "core.py:1: lower"),
    ],
)  # fmt: skip
def test_each_forbidden_use_is_found_with_its_place_and_remedy(source: str, begins: str) -> None:
    [found] = find_violations(source, "core.py")
    assert found.startswith(begins)


@pytest.mark.parametrize(
    "source",
    [
        "from math import floor, fsum, inf, isfinite, sqrt\nfsum([0.1])",
        "from shared.numbers import ln\nfrom shared import numbers\nimport shared.paths",
        "from collections.abc import Mapping\nfrom typing import Final",
        "from operator import mul\nx = map(mul, a, b)",
        "import json\nimport hmac\njson.dumps(1)\nhmac.compare_digest(a, b)",
        "import re\nre.compile('a', re.ASCII)\nre.compile(p, flags=re.ASCII | re.DOTALL)\nx: re.Pattern[str]",
        "import re\nre.compile(p, re.ASCII | (re.IGNORECASE if i else re.NOFLAG))",
        "import re\nre.sub(r'\\w', '', x, 0, re.ASCII)",
        "import re\nre.compile('[^a-z]+')\nre.compile('a.b', re.DOTALL)\nre.escape(x)",
        "split.search(x)\nself.compile(y)\nre = 1",
        "def f(**keywords): return dict(**keywords)",
        "x.sum()\nx.print\nnumbers.pow_of(3)\nid_of = 1",
        "x.isascii() and x.isdigit()",
        "a and x.isascii() and (b or x.isalpha())",
        "y = x.lower() if x.isascii() else to_lower(x)",
        "if a and x.isascii():\n    y = x.lower()",
        "[part for part in parts if part.isascii() and part.isupper()]",
        "'ABC'.lower()",
        "x.strip()\nx.split()\nx.isascii()",
    ],
)
def test_what_agrees_everywhere_is_allowed(source: str) -> None:
    assert find_violations(source, "core.py") == []


def test_several_violations_stand_in_the_order_of_files_and_lines() -> None:
    found = check({"b.py": "x = 2 ** 3\nimport time", "a.py": "hash(1)\nfor x in {1}: pass"})
    assert [line.partition(": ")[0] for line in found] == ["a.py:1", "a.py:2", "b.py:1", "b.py:2"]


def test_an_exception_is_one_function_of_one_file_and_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {file: (ROOT / file).read_text(encoding="utf-8") for file, _, _ in EXCEPTIONS}
    assert check(sources) == []
    monkeypatch.setattr(numbers_rule, "EXCEPTIONS", {})
    found = check(sources)
    assert {line.partition(":")[0] for line in found} == set(sources)
    [file, function, method] = next(iter(EXCEPTIONS))
    monkeypatch.undo()
    assert len(find_violations(f"def {function}(x): return x.{method}()", "shared/other.py")) == 1
    assert len(find_violations(f"def other(x): return x.{method}()", file)) == 1
    assert len(find_violations(f"def {function}(x): return x.upper()", file)) == 1


def test_a_folder_without_modules_is_an_error_and_not_a_pass(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.numbers_rule", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "holds no Python files" in done.stderr


def test_a_folder_that_breaks_the_rule_is_named_with_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "core"
    folder.mkdir()
    (folder / "sums.py").write_text("total = sum(x)\n")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.numbers_rule", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith("core/sums.py:1: sum(): add in a loop")
