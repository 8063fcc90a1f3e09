"""Run the golden cases: the same bits wherever the core runs.

Needs nothing but the standard library and `shared`, so that it runs inside the edge runtime as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from shared.choice import win_race
from shared.conditions import matches
from shared.constraints import raise_to_floors
from shared.decision import Unit, decide
from shared.numbers import exp, ln, normal_cdf
from shared.policy import thompson_probabilities
from shared.snapshot import Snapshot
from shared.uniform import uniform

Case = dict[str, Any]


def check_all(read_text: Callable[[str], str]) -> dict[str, int]:
    """Run every case of every file and return how many each file holds.

    `read_text` returns the text of a file in this folder by its name. Raises AssertionError, naming file, case and
    both values, at the first difference.
    """
    counts = {}
    for name, check in _CHECKS.items():
        data = json.loads(read_text(f"{name}.json"))
        cases = data["cases"]
        check_case = check(data)
        for number, case in enumerate(cases):
            check_case(f"{name}.json case {number}", case)
        counts[name] = len(cases)
    return counts


CaseCheck = Callable[[str, Case], None]


def _function_check(function: Callable[[float], float]) -> Callable[[Case], CaseCheck]:
    def check(place: str, case: Case) -> None:
        _same(place, function(float.fromhex(case["x"])).hex(), case["expected"])

    return lambda _file: check


def _check_uniform(_file: Case) -> CaseCheck:
    return lambda place, case: _same(place, uniform(*case["parts"]).hex(), case["expected"])


def _check_thompson(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        got = thompson_probabilities(_floats(case["means"]), _floats(case["sds"]))
        _near(place, got, case["reference"], 1e-6)
        _same(place, _hexes(got), case["expected"])

    return check


def _check_race(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        place, win_race(_floats(case["probabilities"]), _floats(case["uniforms"])), case["winner"]
    )


def _check_floors(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        got = raise_to_floors(_floats(case["probabilities"]), _floats(case["floors"]))
        _near(place, got, case["reference"], 1e-9)
        _same(place, _hexes(got), case["expected"])

    return check


def _check_conditions(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        f"{place} ({case['name']})", matches(case["condition"], case["attributes"], case["groups"]), case["expected"]
    )


def _check_decide(file: Case) -> CaseCheck:
    snapshot = Snapshot.from_text(file["snapshot"])

    def check(place: str, case: Case) -> None:
        unit = Unit(id=case["unit"], session_ms=case["session_ms"])
        decision = decide(case["touchpoint"], unit, snapshot, case["attributes"], file["now_ms"])
        got = {
            "variant": decision.variant,
            "propensity": decision.propensity.hex(),
            "probabilities": _hexes(decision.probabilities),
            "level": decision.level,
            "cell": decision.cell,
            "epoch": decision.epoch,
            "reason": decision.reason,
            "relaxations": list(decision.relaxations),
        }
        _same(place, got, case["expected"])

    return check


_CHECKS: dict[str, Callable[[Case], CaseCheck]] = {
    "uniform": _check_uniform,
    "ln": _function_check(ln),
    "exp": _function_check(exp),
    "normal_cdf": _function_check(normal_cdf),
    "thompson": _check_thompson,
    "race": _check_race,
    "floors": _check_floors,
    "conditions": _check_conditions,
    "decide": _check_decide,
}


def _floats(hexes: list[str]) -> list[float]:
    return [float.fromhex(each) for each in hexes]


def _hexes(values: list[float] | tuple[float, ...]) -> list[str]:
    return [value.hex() for value in values]


def _same(place: str, got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{place}: expected {expected!r}, got {got!r}")


def _near(place: str, got: list[float], reference: list[float], tolerance: float) -> None:
    if len(got) != len(reference) or any(abs(a - b) > tolerance for a, b in zip(got, reference, strict=True)):
        raise AssertionError(f"{place}: expected {reference!r} within {tolerance:g}, got {got!r}")
