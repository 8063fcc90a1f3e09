"""Run the golden cases: the same bits wherever the core runs.

Needs nothing but the standard library and `shared`, so that it runs inside the edge runtime, and under every version of
Python that is installed: `python3.13 -m tests.vectors.check` prints how many cases of each file hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.choice import order_race, win_race
from shared.conditions import matches
from shared.constraints import constrain, impressions_floor, merge_floors
from shared.decision import Decision, Frozen, decide, freeze
from shared.features import compile_feature
from shared.numbers import exp, ln, normal_cdf
from shared.patterns import compile_pattern
from shared.policy import beta_to_log_odds, live_probabilities, thompson_probabilities
from shared.posterior import Posterior, Shift, shift_posterior
from shared.profile import Profile
from shared.session import (
    Declared,
    Event,
    Intent,
    Left,
    Session,
    Viewed,
    fold,
    read_session,
    score_intent,
    start,
    write_session,
)
from shared.situation import Situation, situate
from shared.slate import rank
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
        means, sds = _floats(case["means"]), _floats(case["sds"])
        got, live = thompson_probabilities(means, sds), live_probabilities(means, sds)
        _near(place, got, case["reference"], 1e-6)
        _near(place, live, case["reference"], 1e-4)
        _same(place, _hexes(got), case["expected"])
        _same(place, _hexes(live), case["live"])

    return check


def _check_beta(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        place, _hexes(beta_to_log_odds(*_floats([case["alpha"], case["beta"]]))), case["expected"]
    )


def _check_race(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        place, win_race(_floats(case["probabilities"]), _floats(case["uniforms"])), case["winner"]
    )


def _check_order(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        place, order_race(_floats(case["probabilities"]), _floats(case["uniforms"]), case["count"]), case["expected"]
    )


def _check_slate(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        slate = rank(
            _floats(case["probabilities"]),
            _floats(case["uniforms"]),
            case["slots"],
            outside=case["outside"],
            interest_positions=case["interest_positions"],
            interest_uniforms=_floats(case["interest_uniforms"]),
        )
        _same(place, [list(slate.indices), _hexes(slate.propensities), list(slate.relaxations)], case["expected"])

    return check


def _check_constraints(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        bounds = {"floors": _floats(case["floors"]), "caps": _floats(case["caps"])}
        wished = _floats(case["probabilities"])
        got = constrain(wished, **bounds, outside=case["outside"], share=case["share"])
        _near(place, got.probabilities, case["reference"], 1e-9)
        _same(place, _hexes(got.probabilities), case["expected"])
        _same(f"{place}, relaxed", list(got.relaxations), case["relaxations"])

    return check


def _check_impressions(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        missing, decisions = _floats([case["missing"], case["decisions"]])
        _same(place, impressions_floor(missing, decisions, case["count"]).hex(), case["expected"])

    return check


def _check_merge(_file: Case) -> CaseCheck:
    names = ("configured", "impressions", "caps")
    return lambda place, case: _same(
        place, _hexes(merge_floors(*[_floats(case[name]) for name in names])), case["expected"]
    )


def _check_conditions(file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        given = file | case
        got = matches(case["condition"], given["attributes"], given["groups"])
        _same(f"{place} ({case['name']})", got, case["expected"])

    return check


def _check_patterns(_file: Case) -> CaseCheck:
    return lambda place, case: _same(
        place, compile_pattern(case["pattern"], insensitive=case["insensitive"])(case["text"]), case["expected"]
    )


def _check_features(_file: Case) -> CaseCheck:
    return lambda place, case: _same(place, compile_feature(case["name"])(case["attributes"]).hex(), case["expected"])


def _check_intent(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        names = tuple(case["weights"])
        features = tuple(compile_feature(name) for name in names)
        intent = Intent(bias=case["bias"], names=names, features=features, weights=tuple(case["weights"].values()))
        _same(place, score_intent(intent, case["attributes"]).hex(), case["expected"])

    return check


def fold_events(events: Sequence[Sequence[Any]]) -> Session:
    """The state of a visit after events in their JSON form, the first of which is a page view."""
    first, *others = [_EVENTS[kind](*fields) for kind, *fields in events]
    assert isinstance(first, Viewed)
    session = start(first)
    for event in others:
        session = read_session(write_session(fold(session, event)))
    return session


_EVENTS: dict[str, Callable[..., Event]] = {"viewed": Viewed, "left": Left, "declared": Declared}


def _check_fold(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        session = fold_events(case["events"])
        _same(place, write_session(session), case["expected"])
        _same(place, session.to_attributes(), case["attributes"])

    return check


def _check_shift(_file: Case) -> CaseCheck:
    def check(place: str, case: Case) -> None:
        means, sds = tuple(_floats(case["means"])), tuple(_floats(case["sds"]))
        before = Posterior(level="global", name="", means=means, sds=sds, probabilities=())
        weights = tuple(tuple(_floats(row)) for row in case["weights"])
        covariances = tuple(tuple(tuple(_floats(row)) for row in matrix) for matrix in case["covariances"])
        shift = Shift(names=(), features=(), weights=weights, covariances=covariances)
        after = shift_posterior(before, shift, _floats(case["values"]))
        _same(place, [_hexes(after.means), _hexes(after.sds)], case["expected"])

    return check


def _check_decide(file: Case) -> CaseCheck:
    snapshot = Snapshot.from_text(file["snapshot"])
    return lambda place, case: _same(
        place, describe(decide(case["touchpoint"], _situate(snapshot, case, case, file["now_ms"]))), case["expected"]
    )


def _check_freeze(file: Case) -> CaseCheck:
    snapshot = Snapshot.from_text(file["snapshot"])

    def check(place: str, case: Case) -> None:
        frozen = None
        got = []
        for visit in case["visits"]:
            decision = decide(case["touchpoint"], _situate(snapshot, case, visit, visit["now_ms"]), frozen)
            now = freeze(decision)
            got.append({"decision": describe(decision), "frozen": describe_frozen(now)})
            frozen = now or frozen
        _same(place, got, case["expected"])

    return check


def _situate(snapshot: Snapshot, case: Case, visit: Case, now_ms: int) -> Situation:
    profile = Profile.from_text(visit["profile"]) if visit.get("profile") is not None else None
    return situate(case["unit"], snapshot, profile, Session(**visit["session"]), visit["attributes"], now_ms)


def describe(decision: Decision) -> Case:
    """A decision in the form of the golden cases."""
    distribution = decision.distribution
    return {
        "variant": decision.variant,
        "propensity": decision.propensity.hex(),
        "probabilities": _hexes(decision.probabilities),
        "level": decision.level,
        "cell": decision.cell,
        "epoch": decision.epoch,
        "reason": decision.reason,
        "because": decision.because,
        "relaxations": list(decision.relaxations),
        "fallbacks": list(decision.fallbacks),
        "slate": list(decision.slate),
        "slate_propensities": _hexes(decision.slate_propensities),
        "randomised": decision.randomised,
        "means": _hexes(distribution.posterior.means) if distribution else [],
        "sds": _hexes(distribution.posterior.sds) if distribution else [],
        "thompson": _hexes(distribution.thompson) if distribution else [],
    }


def describe_frozen(frozen: Frozen | None) -> Case | None:
    """What is kept of a decision, in the form of the golden cases."""
    if frozen is None:
        return None
    return {
        "epoch": frozen.epoch,
        "excluded": frozen.excluded,
        "variants": list(frozen.variants),
        "propensities": _hexes(frozen.propensities),
        "level": frozen.level,
        "cell": frozen.cell,
        "snapshot": frozen.snapshot,
        "randomised": frozen.randomised,
        "is_slate": frozen.is_slate,
        "earlier": list(frozen.earlier),
    }


_CHECKS: dict[str, Callable[[Case], CaseCheck]] = {
    "uniform": _check_uniform,
    "ln": _function_check(ln),
    "exp": _function_check(exp),
    "normal_cdf": _function_check(normal_cdf),
    "thompson": _check_thompson,
    "beta": _check_beta,
    "race": _check_race,
    "order": _check_order,
    "slate": _check_slate,
    "constraints": _check_constraints,
    "impressions": _check_impressions,
    "merge": _check_merge,
    "conditions": _check_conditions,
    "patterns": _check_patterns,
    "features": _check_features,
    "intent": _check_intent,
    "fold": _check_fold,
    "shift": _check_shift,
    "decide": _check_decide,
    "older": _check_decide,
    "relax": _check_decide,
    "freeze": _check_freeze,
}


def _floats(hexes: list[str]) -> list[float]:
    return [float.fromhex(each) for each in hexes]


def _hexes(values: Sequence[float]) -> list[str]:
    return [value.hex() for value in values]


def _same(place: str, got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{place}: expected {expected!r}, got {got!r}")


def _near(place: str, got: Sequence[float], reference: Sequence[float], tolerance: float) -> None:
    if len(got) != len(reference) or any(abs(a - b) > tolerance for a, b in zip(got, reference, strict=True)):
        raise AssertionError(f"{place}: expected {reference!r} within {tolerance:g}, got {got!r}")


if __name__ == "__main__":
    print(json.dumps(check_all(lambda name: (Path(__file__).parent / name).read_text(encoding="utf-8"))))
