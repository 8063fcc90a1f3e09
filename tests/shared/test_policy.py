from __future__ import annotations

import math

import pytest
from scipy import special

from shared.policy import beta_to_log_odds, thompson_probabilities


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
    ],
)
def test_two_variants_win_as_often_as_the_normal_difference_says(means: list[float], sds: list[float]) -> None:
    first = float(special.ndtr((means[0] - means[1]) / math.hypot(*sds)))
    assert thompson_probabilities(means, sds) == pytest.approx([first, 1.0 - first], abs=1e-9)


def test_three_variants_of_equal_mean_win_by_the_orthant_formula() -> None:
    sds = [0.1, 0.2, 0.5]

    def share(a: int) -> float:
        b, c = (i for i in range(3) if i != a)
        # P(θa > θb, θa > θc) of two zero-mean normals with this correlation: ¼ + asin(ρ) / 2π.
        correlation = sds[a] ** 2 / (math.hypot(sds[a], sds[b]) * math.hypot(sds[a], sds[c]))
        return 0.25 + math.asin(correlation) / (2 * math.pi)

    assert thompson_probabilities([-2.0] * 3, sds) == pytest.approx([share(a) for a in range(3)], abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 20, 80])
@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (-4.5, 0.03), (12.0, 50.0)])
def test_equal_variants_share_equally(count: int, mean: float, sd: float) -> None:
    assert thompson_probabilities([mean] * count, [sd] * count) == pytest.approx([1.0 / count] * count, abs=1e-15)


def test_one_variant_wins_with_certainty() -> None:
    assert thompson_probabilities([-3.0], [0.5]) == [1.0]


@pytest.mark.parametrize("gap", [20.0, 1e3, 1e6])
def test_a_variant_far_above_the_others_is_certain(gap: float) -> None:
    served = thompson_probabilities([0.0, gap, 0.0], [1.0, 1.0, 1.0])
    assert served[1] == pytest.approx(1.0, abs=1e-12)
    assert max(served[0], served[2]) < 1e-12


def test_a_narrow_variant_that_cannot_win_does_not_disturb_the_others() -> None:
    with_it = thompson_probabilities([0.0, 0.2, -500.0], [1.0, 1.0, 1e-4])
    without_it = thompson_probabilities([0.0, 0.2], [1.0, 1.0])
    assert with_it == pytest.approx([*without_it, 0.0], abs=1e-12)


def test_a_more_uncertain_variant_of_a_lower_mean_is_still_tried() -> None:
    served = thompson_probabilities([0.0, -0.1], [0.01, 1.0])
    assert 0.4 < served[1] < 0.5


@pytest.mark.parametrize(
    ("means", "sds", "problem"),
    [
        ([], [], "means and sds must have the same length of at least 1, got 0 and 0"),
        ([0.0], [1.0, 1.0], "means and sds must have the same length of at least 1, got 1 and 2"),
        ([0.0, math.nan], [1.0, 1.0], "means[1] must be finite, got nan"),
        ([math.inf, 0.0], [1.0, 1.0], "means[0] must be finite, got inf"),
        ([0.0, 0.0], [1.0, 0.0], "sds[1] must be finite and positive, got 0.0"),
        ([0.0, 0.0], [-1.0, 1.0], "sds[0] must be finite and positive, got -1.0"),
        ([0.0, 0.0], [math.nan, 1.0], "sds[0] must be finite and positive, got nan"),
        ([0.0], [math.inf], "sds[0] must be finite and positive, got inf"),
    ],
)
def test_what_is_no_posterior_is_refused(means: list[float], sds: list[float], problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        thompson_probabilities(means, sds)
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


def test_swapping_successes_and_failures_mirrors_the_log_odds() -> None:
    mean, sd = beta_to_log_odds(3.0, 40.0)
    assert beta_to_log_odds(40.0, 3.0) == (-mean, sd)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_counts_that_are_not_finite_and_positive_are_refused(name: str, bad: float) -> None:
    counts = {"alpha": 1.0, "beta": 1.0, name: bad}
    with pytest.raises(ValueError, match=f"{name} must be between 1e-100 and 1e100, got {bad!r}"):
        beta_to_log_odds(**counts)
