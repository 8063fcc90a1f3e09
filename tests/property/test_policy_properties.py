from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from shared.policy import thompson_probabilities

Posteriors = list[tuple[float, float]]

# A product of many like distribution functions is steeper than any of its factors, so the grid resolves it less well.
TOLERANCE_OF_MANY = 1e-6


def by_quadrature(means: list[float], sds: list[float]) -> list[float]:
    """∫ f_a Π F_b by adaptive quadrature, split where any variant's density or distribution bends."""
    m, s = np.array(means), np.array(sds)
    low, high = float(np.max(m - 9.0 * s)), float(np.max(m + 9.0 * s))
    bends = {float(point) for k in (-6.0, -2.0, 0.0, 2.0, 6.0) for point in m + k * s}
    inner = [point for point in sorted(bends) if low < point < high]
    points = inner[:: max(1, len(inner) // 60)]

    def integrand(t: float) -> np.ndarray:
        z = (t - m) / s
        logs = special.log_ndtr(z)
        densities: np.ndarray = np.exp(-0.5 * z * z - logs + logs.sum()) / (s * np.sqrt(2.0 * np.pi))
        return densities

    shares, error = integrate.quad_vec(integrand, low, high, epsabs=1e-9, points=points, norm="max")
    assert error < 1e-8
    return [float(share) for share in shares]


def posteriors(largest: int, *, spread: float = 3.0) -> st.SearchStrategy[Posteriors]:
    mean = st.floats(-spread, spread)
    sd = st.floats(0.05, 5.0)  # a hundredfold apart at most
    return st.lists(st.tuples(mean, sd), min_size=2, max_size=largest)


def apart(pairs: Posteriors) -> tuple[list[float], list[float]]:
    return [mean for mean, _ in pairs], [sd for _, sd in pairs]


@settings(max_examples=25)
@given(posteriors(8))
def test_the_probabilities_are_a_distribution(pairs: Posteriors) -> None:
    served = thompson_probabilities(*apart(pairs))
    assert all(0.0 <= share <= 1.0 for share in served)
    assert abs(sum(served) - 1.0) <= 1e-12


@settings(max_examples=25)
@given(posteriors(5), st.randoms(use_true_random=False))
def test_the_order_of_the_variants_does_not_matter(pairs: Posteriors, random: object) -> None:
    order = list(range(len(pairs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    served = thompson_probabilities(*apart(pairs))
    shuffled = thompson_probabilities(*apart([pairs[i] for i in order]))
    assert shuffled == pytest.approx([served[i] for i in order], abs=1e-12)


@settings(max_examples=40)
@given(posteriors(16))
def test_up_to_sixteen_variants_agree_with_adaptive_quadrature_within_a_millionth(pairs: Posteriors) -> None:
    means, sds = apart(pairs)
    assert thompson_probabilities(means, sds) == pytest.approx(by_quadrature(means, sds), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 20, 40, 80])
@pytest.mark.parametrize("ratio", [10.0, 100.0])
def test_many_variants_of_unlike_spread_agree_with_adaptive_quadrature(count: int, ratio: float) -> None:
    random = np.random.default_rng(count)
    means = [float(mean) for mean in random.normal(0.0, 0.3, count)]
    sds = [float(sd) for sd in np.geomspace(1.0, ratio, count) * 0.05]
    assert thompson_probabilities(means, sds) == pytest.approx(by_quadrature(means, sds), abs=1e-6)


@pytest.mark.parametrize("count", [20, 40, 80])
@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_many_variants_of_like_spread_agree_with_adaptive_quadrature(count: int, spread: float) -> None:
    random = np.random.default_rng(count)
    means = [float(mean) for mean in random.normal(0.0, spread, count)]
    sds = [1.0] * count
    assert thompson_probabilities(means, sds) == pytest.approx(by_quadrature(means, sds), abs=TOLERANCE_OF_MANY)


@settings(max_examples=25)
@given(posteriors(5), st.floats(-50.0, 50.0))
def test_what_all_variants_have_in_common_does_not_matter(pairs: Posteriors, shift: float) -> None:
    means, sds = apart(pairs)
    moved = thompson_probabilities([mean + shift for mean in means], sds)
    assert moved == pytest.approx(thompson_probabilities(means, sds), abs=1e-8)


@settings(max_examples=25)
@given(posteriors(5), st.floats(0.01, 100.0))
def test_the_unit_of_the_log_odds_does_not_matter(pairs: Posteriors, scale: float) -> None:
    means, sds = apart(pairs)
    scaled = thompson_probabilities([mean * scale for mean in means], [sd * scale for sd in sds])
    assert scaled == pytest.approx(thompson_probabilities(means, sds), abs=1e-8)


@settings(max_examples=25)
@given(posteriors(5), st.floats(0.01, 2.0))
def test_a_variant_that_improves_is_served_no_less_and_the_others_no_more(pairs: Posteriors, gain: float) -> None:
    means, sds = apart(pairs)
    before = thompson_probabilities(means, sds)
    after = thompson_probabilities([means[0] + gain, *means[1:]], sds)
    assert after[0] >= before[0] - 1e-8
    assert all(then <= earlier + 1e-8 for then, earlier in zip(after[1:], before[1:], strict=True))
