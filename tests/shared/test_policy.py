from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import special

from shared.normal_tables import HIGHEST, LOWEST, look_up
from shared.numbers import normal_cdf
from shared.policy import beta_to_log_odds, live_probabilities, thompson_probabilities
from tests.property.test_policy_properties import by_quadrature

Integrate = Callable[[Sequence[float], Sequence[float]], list[float]]

both = pytest.mark.parametrize(
    ("integrate_all", "tolerance"),
    [pytest.param(thompson_probabilities, 1e-9, id="exact"), pytest.param(live_probabilities, 1e-4, id="live")],
)


@both
@pytest.mark.parametrize(
    ("means", "sds"),
    [
        ([0.0, 0.0], [1.0, 1.0]),
        ([0.3, 0.0], [1.0, 1.0]),
        ([-3.1, -2.9], [0.05, 0.4]),
        ([0.0, 0.5], [0.01, 1.0]),
        ([0.0, 0.01], [0.01, 1.0]),
        ([10.0, -10.0], [3.0, 5.0]),
        ([1e5, 1e5 + 1.0], [1.0, 2.0]),
        ([1e6, 1e6], [1e-12, 1e6]),
        ([0.0, 1e-12], [1e-12, 1e-12]),
    ],
)
def test_two_variants_win_as_often_as_the_normal_difference_says(
    integrate_all: Integrate, tolerance: float, means: list[float], sds: list[float]
) -> None:
    first = float(special.ndtr((means[0] - means[1]) / math.hypot(*sds)))
    assert integrate_all(means, sds) == pytest.approx([first, 1.0 - first], abs=4e-15)


@both
def test_three_variants_of_equal_mean_win_by_the_orthant_formula(integrate_all: Integrate, tolerance: float) -> None:
    sds = [0.1, 0.2, 0.5]

    def share(a: int) -> float:
        b, c = (i for i in range(3) if i != a)
        # P(θa > θb, θa > θc) of two zero-mean normals with this correlation: ¼ + asin(ρ) / 2π.
        correlation = sds[a] ** 2 / (math.hypot(sds[a], sds[b]) * math.hypot(sds[a], sds[c]))
        return 0.25 + math.asin(correlation) / (2 * math.pi)

    assert integrate_all([-2.0] * 3, sds) == pytest.approx([share(a) for a in range(3)], abs=tolerance)


@both
@pytest.mark.parametrize("count", [2, 3, 4, 7, 20, 80])
@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (-4.5, 0.03), (12.0, 50.0), (1e6, 1e-12)])
def test_equal_variants_share_equally(
    integrate_all: Integrate, tolerance: float, count: int, mean: float, sd: float
) -> None:
    served = integrate_all([mean] * count, [sd] * count)
    assert len(set(served)) == 1
    assert served[0] == pytest.approx(1.0 / count, rel=1e-15)


@both
def test_one_variant_wins_with_certainty(integrate_all: Integrate, tolerance: float) -> None:
    assert integrate_all([-3.0], [0.5]) == [1.0]


@both
@pytest.mark.parametrize("gap", [20.0, 1e3, 1e6])
def test_a_variant_far_above_the_others_is_certain(integrate_all: Integrate, tolerance: float, gap: float) -> None:
    assert integrate_all([0.0, gap, 0.0], [1.0, 1.0, 1.0]) == [0.0, 1.0, 0.0]


@both
def test_a_variant_that_cannot_win_changes_no_bit_of_the_others(integrate_all: Integrate, tolerance: float) -> None:
    with_it = integrate_all([0.0, 0.2, 0.1, -500.0], [1.0, 1.0, 2.0, 1e-4])
    assert with_it == [*integrate_all([0.0, 0.2, 0.1], [1.0, 1.0, 2.0]), 0.0]


@both
def test_a_more_uncertain_variant_of_a_lower_mean_is_still_tried(integrate_all: Integrate, tolerance: float) -> None:
    served = integrate_all([0.0, -0.1, -5.0], [0.01, 1.0, 0.01])
    assert 0.4 < served[1] < 0.5


def _draw(count: int, ratio: float, spread: float, seed: int) -> tuple[list[float], list[float]]:
    """Spreads up to a ratio apart, in steps of one factor; means as far apart as `spread` of them."""
    random = np.random.default_rng(seed)
    sds = 0.05 * np.geomspace(1.0, ratio, count) * random.uniform(0.8, 1.25, count)
    means = -3.0 + spread * random.normal(size=count) * sds
    return [float(mean) for mean in means], [float(sd) for sd in sds]


@pytest.mark.parametrize("count", [3, 4, 8, 16, 33, 80])
@pytest.mark.parametrize("ratio", [1.0, 10.0, 100.0, 1e6, 1e12])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_the_probabilities_agree_with_adaptive_quadrature(count: int, ratio: float, spread: float) -> None:
    means, sds = _draw(count, ratio, spread, seed=count)
    reference = by_quadrature(means, sds)
    assert thompson_probabilities(means, sds) == pytest.approx(reference, abs=1e-9)
    assert live_probabilities(means, sds) == pytest.approx(reference, abs=1e-4)


@both
@pytest.mark.parametrize(
    ("means", "sds"),
    [
        # One variant is known for certain.
        ([0.0, 0.1, -0.2], [1e-12, 1.0, 1.0]),
        ([0.5, 0.1, -0.2, 0.0], [1e-12, 1.0, 2.0, 100.0]),
        # Two are, and lie a few of their own spreads apart: at the size of the means below, a mean minus four spreads
        # is no other number.
        ([1e6, 1e6 + 2.0**-33, 1e6], [2.0**-34, 2.0**-34, 1.0]),
        # The finest spreads lie where the widest variant begins, and just above.
        ([-7.0, -6.999, 0.0, -7.001], [1e-6, 1e-3, 1.0, 1e-5]),
        ([-4.0, -4.04, 0.0, -4.07], [0.006, 0.012, 1.0, 0.001]),
        ([-3.4, -3.43, 0.0], [0.2, 0.19, 1.0]),
        # Where a search found the largest errors of the live rule.
        ([-0.519, -0.46, 0.0, -0.508], [0.899, 0.897, 1.0, 0.9]),
        ([-2.59, -2.81, 0.0, -2.65, -2.72, -2.7, -2.6], [0.354, 0.306, 1.0, 0.337, 0.323, 0.329, 0.351]),
        # One leads, the others are seldom or never served.
        ([0.0, 5.0, 0.0], [1.0, 1.0, 1.0]),
        ([0.0, 60.0, 30.0], [10.0, 10.0, 0.1]),
    ],
)
def test_hard_cases_agree_with_adaptive_quadrature(
    integrate_all: Integrate, tolerance: float, means: list[float], sds: list[float]
) -> None:
    assert integrate_all(means, sds) == pytest.approx(by_quadrature(means, sds), abs=tolerance)


@both
@pytest.mark.parametrize(
    ("means", "sds", "expected"),
    [
        ([0.0], [0.0], [1.0]),
        ([0.0, 1.0], [0.0, 0.0], [0.0, 1.0]),
        ([2.0, 1.0, 2.0, 2.0 - 2.0**-52], [0.0] * 4, [0.5, 0.0, 0.5, 0.0]),
        ([0.5] * 3, [0.0] * 3, [1.0 / 3.0] * 3),
        ([0.0, 30.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
        ([0.0, -30.0, 30.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        # Neither a spread below the smallest normal number nor one of 0 is wide beside the other.
        ([0.0, 0.0, 1e-300], [1e-310, 0.0, 0.0], [0.0, 0.0, 1.0]),
    ],
)
def test_certain_variants_win_or_share_or_lose(
    integrate_all: Integrate, tolerance: float, means: list[float], sds: list[float], expected: list[float]
) -> None:
    assert integrate_all(means, sds) == expected


@both
@pytest.mark.parametrize("sd", [0.0, 5e-324, 1e-300, 1e-120, 1e-20])
@pytest.mark.parametrize(
    ("mean", "means", "sds"),
    [
        (0.0, [0.3], [1.0]),
        (0.0, [0.0, 0.0], [1.0, 1.0]),
        (-1.0, [0.0, -0.2, -3.0], [0.05, 1.0, 4.0]),
        (2.0, [0.0, 0.5, 0.3], [1.0, 1.0, 1.0]),
        (-30.0, [0.0, 0.5], [1.0, 1.0]),
        (0.0, [-1.0 - 0.01 * i for i in range(20)], [1.0] * 20),
        (1.5, [0.0] * 79, [1.0] * 79),
    ],
)
def test_a_variant_that_is_as_good_as_certain_agrees_with_adaptive_quadrature(
    integrate_all: Integrate, tolerance: float, sd: float, mean: float, means: list[float], sds: list[float]
) -> None:
    expected = by_quadrature([mean, *means], [0.0, *sds])
    assert integrate_all([mean, *means], [sd, *sds]) == pytest.approx(expected, abs=tolerance)
    # Several of them share what one would get.
    several = integrate_all([mean, *means, mean, mean], [sd, *sds, sd, sd])
    assert several[0] == several[-2] == several[-1] == pytest.approx(expected[0] / 3.0, abs=tolerance)
    assert several[1:-2] == pytest.approx(expected[1:], abs=tolerance)


@both
def test_spreads_of_many_orders_are_settled_order_by_order(integrate_all: Integrate, tolerance: float) -> None:
    served = integrate_all([0.0, 0.0, 1e-160, 0.0, 0.0, -1.0], [0.0, 0.0, 1e-160, 1e-60, 1.0, 0.0])
    # Φ(-1) of the finest spread is where both certain variants lie; then it is an even match, twice.
    below = float(special.ndtr(-1.0))
    assert served == pytest.approx([below / 8, below / 8, (1 - below) / 4, 0.25, 0.5, 0.0], abs=1e-15)


@both
def test_posteriors_of_huge_counts_agree_with_adaptive_quadrature(integrate_all: Integrate, tolerance: float) -> None:
    counts = [(1e9, 4e10), (1e9 + 4e4, 4e10), (5e8, 2e10 + 1e6), (1.0, 40.0)]
    moments = [beta_to_log_odds(alpha, beta) for alpha, beta in counts]
    means, sds = [mean for mean, _ in moments], [sd for _, sd in moments]
    assert integrate_all(means, sds) == pytest.approx(by_quadrature(means, sds), abs=tolerance)


@both
def test_the_corners_of_what_is_accepted_give_distributions(integrate_all: Integrate, tolerance: float) -> None:
    in_snapshots = itertools.product([-1e6, 0.0, 1e6], [1e-12, 1.0, 1e6])
    beyond = itertools.product([-1e120, 1e120], [0.0, 5e-324, 1e-120, 1e120])
    for corners in (in_snapshots, beyond):
        for chosen in itertools.combinations_with_replacement(corners, 3):
            served = integrate_all([mean for mean, _ in chosen], [sd for _, sd in chosen])
            assert all(0.0 <= share <= 1.0 for share in served)
            assert math.fsum(served) == pytest.approx(1.0, abs=1e-12)


@both
def test_ends_that_only_rounding_tells_apart_are_survived(integrate_all: Integrate, tolerance: float) -> None:
    # The wide variant's lower end falls on the narrow ones, which lie a thousand of their own spreads apart.
    for below in (4.0, 7.0):
        for steps in range(-3, 4):
            narrow = 1e6 - below * 1e5 + steps * 2.0**-33
            served = integrate_all([1e6, narrow, narrow + 2.0**-33, narrow - 2.0**-33], [1e5, *[1e-13] * 3])
            assert 0.9999 < served[0] <= 1.0
            assert math.fsum(served) == pytest.approx(1.0, abs=1e-12)


def test_the_cost_is_linear_in_the_number_of_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = 0

    def counted(z: float) -> float:
        nonlocal evaluations
        evaluations += 1
        return normal_cdf(z)

    monkeypatch.setattr("shared.policy.normal_cdf", counted)
    per_variant = {}
    for count in (4, 20, 80):
        for ratio in (1.0, 100.0):
            evaluations = 0
            thompson_probabilities([0.0] * count, [ratio ** (i / (count - 1)) for i in range(count)])
            per_variant[count, ratio] = evaluations / count
    assert max(per_variant[count, 1.0] for count in (4, 20, 80)) < 60.0
    assert max(per_variant[count, 100.0] for count in (4, 20, 80)) < 120.0
    evaluations = 0
    thompson_probabilities([0.0] * 4 + [-20.0] * 1000, [1.0] * 1004)
    assert evaluations == 4 * per_variant[4, 1.0]
    for sd in (0.0, 1e-300, 1e-120, 1e-20):
        evaluations = 0
        thompson_probabilities([0.0] * 80, [sd, *[1.0] * 79])
        assert evaluations < 80 * 600.0


def test_the_table_of_the_normal_distribution_is_as_near_as_it_says() -> None:
    at = [LOWEST + (HIGHEST - LOWEST) * i / 10_007 for i in range(10_008)]
    below = [1.0] * len(at)
    rates = look_up(below, 0.0, 1.0, at)
    exact = special.ndtr(at)
    assert below == pytest.approx(exact, abs=8e-6)
    assert rates == pytest.approx(np.exp(-0.5 * np.square(at)) / math.sqrt(2.0 * math.pi) / exact, abs=1e-5)


@both
@pytest.mark.parametrize(
    ("means", "sds", "problem"),
    [
        ([], [], "means and sds must have the same length of at least 1, got 0 and 0"),
        ([0.0], [1.0, 1.0], "means and sds must have the same length of at least 1, got 1 and 2"),
        ([0.0, math.nan], [1.0, 1.0], "means[1] must be between -1e120 and 1e120, got nan"),
        ([math.inf, 0.0], [1.0, 1.0], "means[0] must be between -1e120 and 1e120, got inf"),
        ([0.0, 0.0], [1.0, -5e-324], "sds[1] must be between 0 and 1e120, got -5e-324"),
        ([0.0, 0.0], [-1.0, 1.0], "sds[0] must be between 0 and 1e120, got -1.0"),
        ([0.0, 0.0], [math.nan, 1.0], "sds[0] must be between 0 and 1e120, got nan"),
        ([0.0], [math.inf], "sds[0] must be between 0 and 1e120, got inf"),
    ],
)
def test_what_is_no_posterior_is_refused(
    integrate_all: Integrate, tolerance: float, means: list[float], sds: list[float], problem: str
) -> None:
    with pytest.raises(ValueError) as raised:
        integrate_all(means, sds)
    assert str(raised.value) == problem


@pytest.mark.parametrize("alpha", [1e-3, 0.5, 1.0, 2.5, 11.999, 12.0, 30.0, 4e3, 1e9])
@pytest.mark.parametrize("beta", [0.01, 1.0, 7.0, 250.0, 1e6])
def test_beta_counts_become_the_exact_moments_of_their_log_odds(alpha: float, beta: float) -> None:
    mean, sd = beta_to_log_odds(alpha, beta)
    digammas = float(special.digamma(alpha)), float(special.digamma(beta))
    variance = float(special.polygamma(1, alpha) + special.polygamma(1, beta))
    # The mean is a difference, so its rounding is relative to the larger of the two terms.
    assert mean == pytest.approx(digammas[0] - digammas[1], abs=5e-15 * max(1.0, *map(abs, digammas)))
    assert sd == pytest.approx(math.sqrt(variance), rel=5e-15)


def test_whatever_counts_are_accepted_can_be_compared() -> None:
    corners = itertools.product([1e-100, 1.0, 1e100], repeat=2)
    moments = [beta_to_log_odds(alpha, beta) for alpha, beta in corners]
    served = thompson_probabilities([mean for mean, _ in moments], [sd for _, sd in moments])
    assert math.fsum(served) == pytest.approx(1.0, abs=1e-12)


def test_swapping_successes_and_failures_mirrors_the_log_odds() -> None:
    mean, sd = beta_to_log_odds(3.0, 40.0)
    assert beta_to_log_odds(40.0, 3.0) == (-mean, sd)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_counts_that_are_not_finite_and_positive_are_refused(name: str, bad: float) -> None:
    counts = {"alpha": 1.0, "beta": 1.0, name: bad}
    with pytest.raises(ValueError, match=f"{name} must be between 1e-100 and 1e100, got {bad!r}"):
        beta_to_log_odds(**counts)
