"""Write the golden cases anew: `python tests/vectors/make.py`.

Every expected value is checked here against a reference that shares no code with the core (math, SciPy, hashlib,
bisection) before it is written; what is written then pins the core's own bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy import integrate, special

from shared.choice import win_race
from shared.conditions import matches
from shared.constraints import constrain
from shared.numbers import exp, ln, normal_cdf
from shared.policy import live_probabilities, thompson_probabilities
from shared.uniform import uniform

FOLDER = Path(__file__).parent
Case = dict[str, object]

UNIFORM_PARTS = [
    [""], ["a"], ["a", "b"], ["ab"], ["", ""], ["shop", "holdout", "v-1"],
    ["shop", "hero", "session 5", "v-1", "", "a"],
    ["grüße"], ["日本", "🙂"], ["\x00"], ["x" * 500], [str(2**60)],
]  # fmt: skip

# name, condition, attributes, expected, groups
CONDITIONS: list[tuple[str, Case, Case, bool, dict[str, list[object]]]] = [
    ("an empty condition holds", {}, {}, True, {}),
    ("a number given as text", {"age": {"$gte": 18}}, {"age": "21"}, True, {}),
    ("a missing attribute counts as zero in an order", {"score": {"$lt": 1}}, {}, True, {}),
    ("a missing attribute is not false", {"vip": False}, {}, False, {}),
    ("nested attributes", {"session.depth": {"$gt": 2}}, {"session": {"depth": 3}}, True, {}),
    ("any element of a list", {"tags": {"$in": ["a", "b"]}}, {"tags": ["x", "b"]}, True, {}),
    ("all elements of a list", {"tags": {"$all": ["a", "b"]}}, {"tags": ["b"]}, False, {}),
    ("an element of a list of objects", {"o": {"$elemMatch": {"n": 2}}}, {"o": [{"n": 1}, {"n": 2}]}, True, {}),
    ("a group", {"id": {"$inGroup": "beta"}}, {"id": "u"}, True, {"beta": ["u"]}),
    ("versions by number", {"v": {"$vgt": "1.9.0"}}, {"v": "1.10.0"}, True, {}),
    ("a preview before its release", {"v": {"$vlt": "2.0.0"}}, {"v": "2.0.0-rc.1"}, True, {}),
    ("no letters beyond ASCII without case", {"x": {"$regexi": "^k$"}}, {"x": "\u212a"}, False, {}),
    ("no digits beyond ASCII", {"x": {"$regex": "^\\d$"}}, {"x": "\u0663"}, False, {}),
    ("text in the order of UTF-16", {"x": {"$lt": "\uff5e"}}, {"x": "\U0001f600"}, True, {}),
    ("folded membership beyond ASCII", {"x": {"$ini": ["STRASSE", "ÄPFEL"]}}, {"x": "äpfel"}, True, {}),
    ("an unknown operator", {"x": {"$near": 1}}, {"x": 1}, False, {}),
    ("none of several", {"$nor": [{"a": 1}, {"b": 2}]}, {"a": 1}, False, {}),
    ("text of a number", {"x": "0.1"}, {"x": 0.1}, True, {}),
]  # fmt: skip


def functions() -> dict[str, list[Case]]:
    generator = random.Random(7)
    ln_at = [5e-324, 2.2250738585072014e-308, 2.0**-53, 0.1, 0.5, math.sqrt(0.5), 0.9999999999999999, 1.0, 1.5, 2.0]
    ln_at += [10.0, 1e300, 1.7976931348623157e308, *(generator.random() for _ in range(40))]
    exp_at = [-745.3, -745.1, -720.0, -708.0, -1.0, -1e-20, 0.0, 1e-20, 0.5, 1.0, 700.0, 709.78]
    exp_at += [generator.uniform(-40.0, 5.0) for _ in range(40)]
    cdf_at = [-39.0, -38.0, -20.0, -5.0, -4.999999999999999, -1e-9, 0.0, 1e-9, 4.999999999999999, 5.0, 8.3, 39.0]
    cdf_at += [generator.uniform(-7.0, 7.0) for _ in range(60)]
    for x in ln_at:
        near([ln(x)], [math.log(x)], 3.0 * math.ulp(math.log(x)))
    for x in exp_at:
        near([exp(x)], [math.exp(x)], 3.0 * math.ulp(math.exp(x)))
    for x in cdf_at:
        near([normal_cdf(x)], [float(special.ndtr(x))], 4e-15)
    return {
        "ln": [{"x": x.hex(), "expected": ln(x).hex()} for x in ln_at],
        "exp": [{"x": x.hex(), "expected": exp(x).hex()} for x in exp_at],
        "normal_cdf": [{"x": x.hex(), "expected": normal_cdf(x).hex()} for x in cdf_at],
    }


def uniforms() -> list[Case]:
    cases: list[Case] = []
    for parts in UNIFORM_PARTS:
        expected = by_hash(parts)
        same(uniform(*parts), expected)
        cases.append({"parts": parts, "expected": expected.hex()})
    return cases


def thompson() -> list[Case]:
    generator = random.Random(3)
    problems = [
        ([0.0], [1.0]), ([0.0, 0.0], [1.0, 1.0]), ([0.0, 0.1], [1.0, 0.01]), ([-3.0, -2.9, -2.8], [0.1, 0.2, 0.15]),
        ([0.0, 30.0, 1.0], [1.0, 1.0, 1.0]), ([-4.0] * 8, [0.3] * 8), ([0.0, 0.1, -0.2, 3.0], [1e-12, 1.0, 1e3, 1e-3]),
    ]  # fmt: skip
    for count, times in ((2, 3), (3, 3), (4, 3), (6, 3), (10, 3), (16, 3), (34, 1), (80, 1)):
        for _ in range(times):
            means = [generator.uniform(-4.0, -2.0) for _ in range(count)]
            problems.append((means, [math.exp(generator.uniform(-3.0, 0.0)) for _ in range(count)]))
    cases: list[Case] = []
    for means, sds in problems:
        got, live = thompson_probabilities(means, sds), live_probabilities(means, sds)
        reference = by_quadrature(means, sds)
        near(got, reference, 1e-9)
        near(live, reference, 1e-4)
        case = {"means": hexes(means), "sds": hexes(sds), "reference": rounded(reference), "expected": hexes(got)}
        cases.append({**case, "live": hexes(live)})
    return cases


def races() -> list[Case]:
    generator = random.Random(5)
    cases: list[Case] = []
    for number in range(60):
        weights = [generator.random() ** 3 for _ in range(2 + number % 5)]
        probabilities = [weight / math.fsum(weights) for weight in weights]
        if number % 7 == 0:
            probabilities[0] = 0.0
        drawn = [by_hash(["race", str(number), str(i)]) for i in range(len(weights))]
        winner = by_race(probabilities, drawn)
        same(win_race(probabilities, drawn), winner)
        cases.append({"probabilities": hexes(probabilities), "uniforms": hexes(drawn), "winner": winner})
    return cases


def constraints() -> list[Case]:
    generator = random.Random(9)
    plain: list[tuple[list[float], list[float], list[float], list[bool], float]] = [
        ([1.0], [1.0], [1.0], [], 0.0),
        ([1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [], 0.0),
        ([0.98, 0.01, 0.01], [0.25, 0.25, 0.5], [1.0, 1.0, 1.0], [], 0.0),
        ([0.65, 0.31, 0.04], [0.0, 0.3, 0.2], [1.0, 1.0, 1.0], [], 0.0),
        ([0.5, 0.5], [1.0, 0.0], [1.0, 1.0], [], 0.0),
        ([0.8, 0.1, 0.1], [0.0, 0.0, 0.0], [0.4, 1.0, 1.0], [], 0.0),
        ([0.9, 0.05, 0.05], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [False, True, False], 0.4),
    ]
    for number in range(60):
        weights = [generator.random() ** 4 for _ in range(2 + number % 6)]
        wanted = [generator.random() ** 2 if generator.random() < 0.6 else 0.0 for _ in weights]
        scale = generator.choice([0.2, 0.4, 0.6]) / max(math.fsum(wanted), 1.0)
        floors = [scale * each for each in wanted]
        caps = [max(floor, generator.choice([1.0, 1.0, 0.7])) for floor in floors]
        outside = [generator.random() < 0.5 for _ in weights] if number % 2 else []
        is_mixed = any(outside) and not all(outside)
        plain.append(([w / math.fsum(weights) for w in weights], floors, caps, outside, 0.3 if is_mixed else 0.0))
    cases: list[Case] = []
    for probabilities, floors, caps, outside, share in plain:
        got = constrain(probabilities, floors=floors, caps=caps, outside=outside, share=share)
        reference = by_bisection(probabilities, floors, caps, outside, share)
        same(got.relaxations, ())
        near(got.probabilities, reference, 1e-9)
        case = {"probabilities": hexes(probabilities), "floors": hexes(floors), "caps": hexes(caps)}
        more = {"outside": outside, "share": share, "reference": rounded(reference)}
        cases.append({**case, **more, "expected": hexes(got.probabilities)})
    return cases


def conditions() -> list[Case]:
    cases: list[Case] = []
    for name, condition, attributes, expected, groups in CONDITIONS:
        same(matches(condition, attributes, groups), expected)
        case = {"name": name, "condition": condition, "attributes": attributes, "groups": groups, "expected": expected}
        cases.append(dict(case))
    return cases


def by_hash(parts: list[str]) -> float:
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return float((int(digest[:13], 16) + Fraction(1, 2)) / Fraction(2**52))


def by_race(probabilities: list[float], drawn: list[float]) -> int:
    with np.errstate(divide="ignore"):
        return int(np.argmin(-np.log(np.array(drawn)) / np.array(probabilities)))


def by_bisection(
    probabilities: Sequence[float],
    floors: Sequence[float],
    caps: Sequence[float],
    outside: Sequence[bool] = (),
    share: float = 0.0,
) -> list[float]:
    """The served distribution, nothing relaxed: clip(λ π, floor, cap), one λ for each class where the share binds."""
    everybody = list(range(len(probabilities)))
    served = _clipped(probabilities, floors, caps, everybody, 1.0)
    others = [i for i in everybody if outside and outside[i]]
    if others and math.fsum(served[i] for i in others) < share:
        insiders = [i for i in everybody if i not in others]
        for members, mass in ((others, share), (insiders, 1.0 - share)):
            for i, each in zip(members, _clipped(probabilities, floors, caps, members, mass), strict=True):
                served[i] = each
    return served


def _clipped(
    probabilities: Sequence[float], floors: Sequence[float], caps: Sequence[float], members: list[int], mass: float
) -> list[float]:
    weights = {i: max(probabilities[i], 1e-9) for i in members}
    low, high = 0.0, 1.0 / min(weights.values())
    for _ in range(400):
        middle = (low + high) / 2.0
        total = math.fsum(min(max(floors[i], middle * weights[i]), caps[i]) for i in members)
        low, high = (middle, high) if total < mass else (low, middle)
    return [min(max(floors[i], low * weights[i]), caps[i]) for i in members]


def by_quadrature(means: list[float], sds: list[float]) -> list[float]:
    m, s = np.array(means), np.array(sds)
    low, high = float(np.max(m - 9.0 * s)), float(np.max(m + 9.0 * s))
    bends = {float(point) for k in (-6.0, -2.0, 0.0, 2.0, 6.0) for point in m + k * s}

    def integrand(t: float) -> np.ndarray:
        z = (t - m) / s
        logs = special.log_ndtr(z)
        densities: np.ndarray = np.exp(-0.5 * z * z - logs + logs.sum()) / (s * np.sqrt(2.0 * np.pi))
        return densities

    points = [point for point in sorted(bends) if low < point < high]
    shares, _ = integrate.quad_vec(integrand, low, high, epsabs=1e-11, points=points, norm="max")
    return [float(share) for share in shares]


def near(got: Sequence[float], reference: Sequence[float], tolerance: float) -> None:
    if any(abs(a - b) > tolerance for a, b in zip(got, reference, strict=True)):
        raise AssertionError(f"{got} is not within {tolerance:g} of {reference}")


def same(got: object, reference: object) -> None:
    if got != reference:
        raise AssertionError(f"{got!r} is not {reference!r}")


def hexes(values: Sequence[float]) -> list[str]:
    return [value.hex() for value in values]


def rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 10) for value in values]


def main() -> None:
    from tests.vectors.make_decisions import decisions, features, intents, shifts
    from tests.vectors.make_session import folds

    files: dict[str, list[Case]] = {
        "uniform": uniforms(), **functions(), "thompson": thompson(), "race": races(), "constraints": constraints(),
        "conditions": conditions(), "features": features(), "intent": intents(), "shift": shifts(),
        "fold": folds(),
    }  # fmt: skip
    for name, cases in files.items():
        write(name, cases)
    head, cases = decisions()
    write("decide", cases, **head)


def write(name: str, cases: list[Case], **head: object) -> None:
    lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
    start = json.dumps({"name": name, **head})[:-1]
    (FOLDER / f"{name}.json").write_text(f'{start}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{name}: {len(cases)} cases")


if __name__ == "__main__":
    main()
