"""The golden cases: that they hold here and under every Python that is installed, and what they cover."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from origin.condition_checks import GROUPS, KNOWN
from tests.vectors.check import check_all

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "vectors"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


def read_text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def read_cases(name: str) -> list[dict[str, object]]:
    cases: list[dict[str, object]] = json.loads(read_text(f"{name}.json"))["cases"]
    return cases


def test_every_golden_case_gives_the_same_bits_here() -> None:
    counts = check_all(read_text)
    assert sorted(counts) == NAMES
    assert counts["decide"] == 320
    assert min(counts.values()) >= 12


def find_pythons() -> Iterator[tuple[str, str]]:
    """The Pythons from 3.11 on that start, each version once: this one, and the first of each on the search path."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    names = [path for folder in folders for path in sorted(Path(folder).glob("python3.1[1-9]*"))]
    known: set[str] = set()
    for path in (Path(sys.executable), *[each for each in names if re.fullmatch(r"python3\.1\d", each.name)]):
        asked = [str(path), "-c", "import platform; print(platform.python_version())"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        version = answer.stdout.strip().rpartition(".")[0]
        if answer.returncode == 0 and version not in known:
            known.add(version)
            yield version, str(path)


def test_every_python_on_the_search_path_gives_the_same_bits() -> None:
    expected = check_all(read_text)
    checked = {}
    for version, python in find_pythons():
        # Without its own packages: the standard library and this folder, nothing else.
        done = subprocess.run(
            [python, "-S", "-m", "tests.vectors.check"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"Python {version}: {done.stderr}"
        checked[version] = json.loads(done.stdout)
    assert checked == dict.fromkeys(checked, expected)
    assert platform.python_version().rpartition(".")[0] in checked


def find_operators(condition: object) -> Iterator[str]:
    if isinstance(condition, dict):
        for key, value in condition.items():
            if key.startswith("$"):
                yield key
            yield from find_operators(value)
    elif isinstance(condition, list):
        for each in condition:
            yield from find_operators(each)


@pytest.mark.parametrize("operator", [*KNOWN, *GROUPS])
def test_every_operator_has_golden_cases_that_hold_and_that_do_not(operator: str) -> None:
    answers = [case["expected"] for case in read_cases("conditions") if operator in find_operators(case["condition"])]
    assert len(answers) >= 2
    assert set(answers) == {True, False}


def test_every_relaxation_has_golden_cases() -> None:
    kinds = {"floors", "caps", "interest_share"}
    relaxed = [case["relaxations"] for case in read_cases("constraints")]
    assert {kind for each in relaxed for kind in each} == kinds  # type: ignore[attr-defined]
    decided = [case["expected"]["relaxations"] for case in read_cases("relax")]  # type: ignore[index]
    assert {kind for each in decided for kind in each} == {*kinds, "interest_slots"}


def test_golden_visits_repeat_draw_anew_and_draw_again() -> None:
    views = [view for case in read_cases("freeze") for view in case["expected"]]  # type: ignore[attr-defined]
    assert {(view["decision"]["reason"] == "kept", view["decision"]["randomised"]) for view in views} == {
        (True, True), (True, False), (False, True), (False, False),
    }  # fmt: skip
    assert max(len(view["frozen"]["earlier"]) for view in views if view["frozen"]) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_case_that_differs_is_named(name: str) -> None:
    def read_changed(file: str) -> str:
        if file != f"{name}.json":
            return read_text(file)
        data = json.loads(read_text(file))
        last = data["cases"][-1]
        last["winner" if name == "race" else "expected"] = "something else"
        return json.dumps(data)

    with pytest.raises(AssertionError, match=rf"^{name}\.json case \d+.*: expected 'something else', got "):
        check_all(read_changed)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("thompson", ("reference", 0, 0.500002), r"^thompson\.json case 1: expected .* within 1e-06, got "),
        ("constraints", ("relaxations", 0, "caps"), r"^constraints\.json case 67, relaxed: expected .*'caps'.*, got "),
    ],
)
def test_a_reference_that_is_not_met_is_named(name: str, changed: tuple[str, int, object], message: str) -> None:
    field, place, value = changed

    def read_changed(file: str) -> str:
        data = json.loads(read_text(file))
        if file == f"{name}.json":
            next(case[field] for case in data["cases"][1:] if case[field])[place] = value
        return json.dumps(data)

    with pytest.raises(AssertionError, match=message):
        check_all(read_changed)
