"""The lint check that keeps the core's arithmetic the same in every runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.numbers_rule import ROOT, find_violations


def test_the_core_keeps_the_rule() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.numbers_rule"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("source", "begins"),
    [
        ("import math", "core.py:1: import math"),
        ("from math import sqrt, log", "core.py:1: math.log"),
        ("x = 2.0 ** 3", "core.py:1: **"),
        ("x **= 2", "core.py:1: **"),
        ("x = 1\ny = sum([0.1, 0.2])", "core.py:2: sum()"),
        ("pow(2, 3)", "core.py:1: pow()"),
        ("hash('a')", "core.py:1: hash()"),
        ("for x in {1, 2}: pass", "core.py:1: a loop over a set"),
        ("[x for x in set(y)]", "core.py:0: a loop over a set"),
        ("for x in frozenset(a) | b: pass", "core.py:1: a loop over a set"),
        ("tuple({1, 2})", "core.py:1: the order of a set"),
        ("import random", "core.py:1: random"),
        ("from time import time", "core.py:1: time"),
        ("import re\nre.compile(r'\\d')", "core.py:2: re.compile without re.ASCII"),
        ("import re\nre.search('a', x, re.IGNORECASE)", "core.py:2: re.search without re.ASCII"),
        ("import re\nre.compile(pattern)", "core.py:2: re.compile without re.ASCII"),
    ],
)
def test_each_forbidden_use_is_found_with_its_place(source: str, begins: str) -> None:
    [found] = find_violations(source, "core.py")
    assert found.startswith(begins)


@pytest.mark.parametrize(
    "source",
    [
        "from math import fsum, sqrt\nfsum([0.1])",
        "import re\nre.compile('a', re.ASCII)\nre.compile('b', flags=re.ASCII | re.DOTALL)",
        "import re\nre.compile('[^a-z]+')",
        "for x in sorted({1, 2}): pass",
        "'a' in {'a', 'b'}",
        "def f(**keywords): return dict(**keywords)",
    ],
)
def test_what_agrees_everywhere_is_allowed(source: str) -> None:
    assert find_violations(source, "core.py") == []


def test_a_folder_without_modules_is_an_error_and_not_a_pass(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.numbers_rule", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "holds no Python files" in done.stderr
