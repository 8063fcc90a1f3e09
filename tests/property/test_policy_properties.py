from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from shared.policy import live_probabilities, thompson_probabilities

Posteriors = list[tuple[float, float]]
Integrate = Callable[[Sequence[float], Sequence[float]], list[float]]

both = pytest.mark.parametrize(
    ("integrate_all", "tolerance"),
    [pytest.param(thompson_probabilities, 1e-9, id="exact"), pytest.param(live_probabilities, 1e-4, id="live")],
)


def by_quadrature(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """∫ f_a Π F_b by adaptive quadrature, split where any variant's density or distribution bends.

    Positions are differences from the mean of the variant whose lower end is the highest: there the finest spread that
    matters lies, which positions of the size of the means would not resolve. Where variants are certain (sd 0), the
    best of them share what is left below, and the others are integrated from there on.
    """
    certain = [i for i, sd in enumerate(sds) if sd == 0.0]
    if certain:
        return _by_quadrature_above(means, sds, certain)
    m, s = np.array(means, dtype=float), np.array(sds, dtype=float)
    lowest = int(np.argmax((m - m.max()) - 9.0 * s))
    m = m - m[lowest]
    low, high = float(-9.0 * s[lowest]), float(np.max(m + 9.0 * s))
    able = m + 9.0 * s >= low
    m, s = m[able], s[able]
    bends = {float(point) for k in (-6.0, -3.0, 0.0, 3.0, 6.0) for point in m + k * s}

    def integrand(t: float) -> np.ndarray:
        z = (t - m) / s
        logs = special.log_ndtr(z)
        densities: np.ndarray = np.exp(-0.5 * z * z - logs + logs.sum()) / (s * np.sqrt(2.0 * np.pi))
        return densities

    points = [point for point in sorted(bends) if low < point < high]
    found, error = integrate.quad_vec(integrand, low, high, epsabs=1e-11, points=points, norm="max", limit=100_000)
    assert error < 1e-9  # what it says of itself includes rounding it never made
    shares = np.zeros(len(means))
    shares[able] = found
    return [float(share) for share in shares]


def _by_quadrature_above(means: Sequence[float], sds: Sequence[float], certain: list[int]) -> list[float]:
    """The same by Gauss and Legendre between all half standard deviations of all variants, from the point up."""
    point = max(means[i] for i in certain)
    best = [i for i in certain if means[i] == point]
    others = [i for i in range(len(means)) if i not in certain]
    m, s = np.array([means[i] - point for i in others]), np.array([sds[i] for i in others])
    shares = np.zeros(len(means))
    shares[best] = float(np.prod(special.ndtr(-m / s))) / len(best)
    edges = np.unique(np.maximum(0.0, np.add.outer(np.arange(-9.0, 9.5, 0.5), np.zeros(len(others))) * s + m))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges)[:, None] / 2.0
    t = (edges[:-1, None] + half * (1.0 + nodes)).ravel()[:, None]
    z = (t - m) / s
    logs = special.log_ndtr(z)
    densities = np.exp(-0.5 * z * z - logs + logs.sum(axis=1, keepdims=True)) / (s * np.sqrt(2.0 * np.pi))
    shares[others] = (half * weights).ravel() @ densities
    return [float(share) for share in shares]


def posteriors(largest: int, *, spread: float = 3.0) -> st.SearchStrategy[Posteriors]:
    mean = st.floats(-spread, spread)
    sd = st.floats(0.05, 5.0)  # a hundredfold apart at most
    return st.lists(st.tuples(mean, sd), min_size=2, max_size=largest)


def any_posteriors() -> st.SearchStrategy[Posteriors]:
    """Whatever a snapshot may hold, and more: a few means and spreads in common, others of every size, and of none."""
    mean = st.one_of(st.sampled_from([-3.0, 0.0, 1e-12, 1e6]), st.floats(-1e6, 1e6))
    sd = st.one_of(
        st.sampled_from([0.0, 1e-290, 1e-12, 1e-3, 1.0, 1e6]), st.floats(-12.0, 6.0).map(lambda power: 10.0**power)
    )
    return st.lists(st.tuples(mean, sd), min_size=1, max_size=12)


def apart(pairs: Posteriors) -> tuple[list[float], list[float]]:
    return [mean for mean, _ in pairs], [sd for _, sd in pairs]


@both
@settings(max_examples=40)
@given(pairs=any_posteriors())
def test_the_probabilities_are_a_distribution(integrate_all: Integrate, tolerance: float, pairs: Posteriors) -> None:
    served = integrate_all(*apart(pairs))
    assert all(0.0 <= share <= 1.0 for share in served)
    assert abs(sum(served) - 1.0) <= 1e-12


@both
@settings(max_examples=40)
@given(pairs=any_posteriors(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_variants_changes_no_bit(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, random: Random
) -> None:
    order = list(range(len(pairs)))
    random.shuffle(order)
    served = integrate_all(*apart(pairs))
    assert integrate_all(*apart([pairs[i] for i in order])) == [served[i] for i in order]


@both
@settings(max_examples=40)
@given(pairs=any_posteriors(), copies=st.integers(2, 5), data=st.data())
def test_variants_that_are_alike_get_the_same_probability_to_the_last_bit(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, copies: int, data: st.DataObject
) -> None:
    copied = data.draw(st.sampled_from(pairs))
    variants = [*pairs, *[copied] * (copies - 1)]
    served = integrate_all(*apart(variants))
    assert len({share for share, pair in zip(served, variants, strict=True) if pair == copied}) == 1


@both
@settings(max_examples=40)
@given(pairs=any_posteriors(), power=st.integers(-20, 20))
def test_the_unit_of_the_log_odds_does_not_matter(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, power: int
) -> None:
    means, sds = apart(pairs)
    scaled = integrate_all([mean * 2.0**power for mean in means], [sd * 2.0**power for sd in sds])
    assert scaled == integrate_all(means, sds)


@both
@settings(max_examples=25)
@given(pairs=posteriors(5), shift=st.floats(-50.0, 50.0))
def test_what_all_variants_have_in_common_does_not_matter(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, shift: float
) -> None:
    means, sds = apart(pairs)
    moved = integrate_all([mean + shift for mean in means], sds)
    assert moved == pytest.approx(integrate_all(means, sds), abs=tolerance)


@both
@settings(max_examples=40)
@given(pairs=posteriors(12))
def test_up_to_twelve_variants_agree_with_adaptive_quadrature(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors
) -> None:
    means, sds = apart(pairs)
    assert integrate_all(means, sds) == pytest.approx(by_quadrature(means, sds), abs=tolerance)


@both
@settings(max_examples=25)
@given(pairs=posteriors(6), certain=st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=3))
def test_certain_variants_among_others_agree_with_adaptive_quadrature(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, certain: list[float]
) -> None:
    means, sds = apart([*pairs, *[(mean, 0.0) for mean in certain]])
    assert integrate_all(means, sds) == pytest.approx(by_quadrature(means, sds), abs=tolerance)


@both
@settings(max_examples=25)
@given(pairs=posteriors(5), gain=st.floats(0.01, 2.0))
def test_a_variant_that_improves_is_served_no_less_and_the_others_no_more(
    integrate_all: Integrate, tolerance: float, pairs: Posteriors, gain: float
) -> None:
    means, sds = apart(pairs)
    before = integrate_all(means, sds)
    after = integrate_all([means[0] + gain, *means[1:]], sds)
    assert after[0] >= before[0] - tolerance
    assert all(then <= earlier + tolerance for then, earlier in zip(after[1:], before[1:], strict=True))
