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

from shared.numbers import exp, ln, normal_cdf
from shared.policy import beta_to_log_odds, live_probabilities, thompson_probabilities
from shared.uniform import uniform

FOLDER = Path(__file__).parent
Case = dict[str, object]

UNIFORM_PARTS = [
    [""], ["a"], ["a", "b"], ["ab"], ["", ""], ["shop", "holdout", "v-1"],
    ["shop", "hero", "session 5", "v-1", "", "a"],
    ["grüße"], ["日本", "🙂"], ["\x00"], ["x" * 500], [str(2**60)],
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
    problems += [
        ([0.0], [0.0]), ([0.0, 1.0], [0.0, 1.0]), ([0.5, 0.5, 0.0], [0.0, 0.0, 0.0]), ([0.0] * 3, [0.0, 1.0, 1.0]),
        ([-3.0, -2.9, -3.1, -2.9], [0.0, 0.2, 0.3, 0.0]), ([-2.0, -2.9, -3.1, -2.5], [0.0, 0.2, 0.3, 0.1]),
        ([0.0, 0.1, -0.1], [1e-300, 1.0, 1.0]), ([1.5] + [0.0] * 19, [0.0] + [1.0] * 19),
    ]  # fmt: skip
    cases: list[Case] = []
    for means, sds in problems:
        got, live = thompson_probabilities(means, sds), live_probabilities(means, sds)
        reference = by_quadrature(means, [0.0 if sd < 1e-100 else sd for sd in sds])
        near(got, reference, 1e-9)
        near(live, reference, 1e-4)
        case = {"means": hexes(means), "sds": hexes(sds), "reference": rounded(reference), "expected": hexes(got)}
        cases.append({**case, "live": hexes(live)})
    return cases


def betas() -> list[Case]:
    cases: list[Case] = []
    for alpha in (1e-100, 1e-3, 0.5, 1.0, 2.5, 11.999, 12.0, 4e3, 1e9, 1e100):
        for beta in (1e-6, 0.75, 1.0, 30.0, 1e6, 1e100):
            got = beta_to_log_odds(alpha, beta)
            digammas = float(special.digamma(alpha)), float(special.digamma(beta))
            near(got[:1], [digammas[0] - digammas[1]], 5e-15 * max(1.0, *map(abs, digammas)))
            sd = math.sqrt(float(special.polygamma(1, alpha) + special.polygamma(1, beta)))
            near(got[1:], [sd], 5e-15 * sd)
            cases.append({"alpha": alpha.hex(), "beta": beta.hex(), "expected": hexes(got)})
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


def by_quadrature(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """The integral of each variant's density times the others' distributions. Where variants are certain, it begins at
    the best of them, who share what is left below."""
    certain = [i for i, sd in enumerate(sds) if sd == 0.0]
    others = [i for i in range(len(sds)) if i not in certain]
    m, s = np.array([means[i] for i in others]), np.array([sds[i] for i in others])
    point = max([means[i] for i in certain], default=-math.inf)
    low, high = float(np.max(m - 9.0 * s, initial=point)), float(np.max(m + 9.0 * s, initial=point))
    bends = {float(point) for k in (-6.0, -2.0, 0.0, 2.0, 6.0) for point in m + k * s}

    def integrand(t: float) -> np.ndarray:
        z = (t - m) / s
        logs = special.log_ndtr(z)
        densities: np.ndarray = np.exp(-0.5 * z * z - logs + logs.sum()) / (s * np.sqrt(2.0 * np.pi))
        return densities

    shares = [0.0] * len(sds)
    if high > low:
        points = [point for point in sorted(bends) if low < point < high]
        found, _ = integrate.quad_vec(integrand, low, high, epsabs=1e-11, points=points, norm="max")
        for i, share in zip(others, found, strict=True):
            shares[i] = float(share)
    best = [i for i in certain if means[i] == point]
    for i in best:
        shares[i] = float(np.prod(special.ndtr((point - m) / s))) / len(best)
    return shares


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
    from tests.vectors.make_conditions import conditions, patterns
    from tests.vectors.make_constraints import constraints, impressions, merges
    from tests.vectors.make_decisions import decisions, features, intents, shifts
    from tests.vectors.make_races import orders, races, slates
    from tests.vectors.make_session import folds
    from tests.vectors.make_visits import relaxed, visits

    files: dict[str, list[Case]] = {
        "uniform": uniforms(), **functions(), "thompson": thompson(), "beta": betas(), "race": races(),
        "order": orders(), "slate": slates(), "constraints": constraints(), "impressions": impressions(),
        "merge": merges(), "patterns": patterns(), "features": features(), "intent": intents(), "shift": shifts(),
        "fold": folds(),
    }  # fmt: skip
    for name, cases in files.items():
        write(name, cases)
    for name, (head, cases) in {
        "conditions": conditions(), "decide": decisions(), "relax": relaxed(), "freeze": visits(),
    }.items():  # fmt: skip
        write(name, cases, **head)


def write(name: str, cases: list[Case], **head: object) -> None:
    lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
    start = json.dumps({"name": name, **head})[:-1]
    (FOLDER / f"{name}.json").write_text(f'{start}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{name}: {len(cases)} cases")


if __name__ == "__main__":
    main()
