"""Thompson sampling without sampling: the exact probability that each variant is the best one.

Every variant's log-odds of reward is an independent normal; what is wanted is `π_a = P(θ_a is the largest)
= ∫ f_a(t) Π_{b≠a} F_b(t) dt`. The integrand is smooth and dies off on both sides, where the trapezoid rule converges
faster than any power of its step, so one grid serves all variants. Prefix and suffix products of the F_b make the cost
linear in the number of variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from shared.numbers import ln, normal_cdf, normal_density

# The grid spans this many standard deviations; what lies outside is below 1e-10.
SPAN: Final = 6.5
# The step of the grid in units of the smallest standard deviation that matters: the largest of 80 like variants is
# spread a third as wide as each of them.
STEP: Final = 0.2
MAX_NODES: Final = 20_000
# Fewer intervals than this leave the products of many distribution functions unresolved.
MIN_NODES: Final = 16


def thompson_probabilities(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """Return, for each variant, the probability that its log-odds is the largest.

    `means` and `sds` (> 0) are of equal length K ≥ 1, in log-odds. The result has length K and sums to 1 within
    1e-12. Raises ValueError for empty or unequal lengths, values that are not finite, and sds that are not positive.
    """
    _check(means, sds)
    count = len(means)
    if count == 1:
        return [1.0]
    low, step, nodes = _grid(means, sds)
    weights = [0.0] * count
    suffix = [1.0] * (count + 1)
    for node in range(nodes + 1):
        t = low + step * node
        scores = [(t - mean) / sd for mean, sd in zip(means, sds, strict=True)]
        below = [normal_cdf(z) for z in scores]
        for i in range(count - 1, -1, -1):
            suffix[i] = suffix[i + 1] * below[i]
        prefix = 1.0
        for i in range(count):
            others = prefix * suffix[i + 1]
            if others > 0.0:
                weights[i] += normal_density(scores[i]) / sds[i] * others
            prefix *= below[i]
    return _normalise(weights)


def beta_to_log_odds(alpha: float, beta: float) -> tuple[float, float]:
    """Return mean and standard deviation of logit(p) for p ~ Beta(alpha, beta): the exact moments.

    E = ψ(α) − ψ(β) and Var = ψ′(α) + ψ′(β), since logit(p) is the difference of two independent log-gamma variables.
    Raises ValueError unless both are between 1e-100 and 1e100.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 1e-100 <= value <= 1e100:
            raise ValueError(f"{name} must be between 1e-100 and 1e100, got {value!r}")
    digamma_alpha, trigamma_alpha = _polygammas(alpha)
    digamma_beta, trigamma_beta = _polygammas(beta)
    return digamma_alpha - digamma_beta, sqrt(trigamma_alpha + trigamma_beta)


def _polygammas(x: float) -> tuple[float, float]:
    """Digamma and trigamma of x > 0: recurrence up to x ≥ 12, then their asymptotic series (Abramowitz-Stegun 6.3.18,
    6.4.12)."""
    digamma = trigamma = 0.0
    while x < 12.0:
        inverse = 1.0 / x
        digamma -= inverse
        trigamma += inverse * inverse
        x += 1.0
    inverse = 1.0 / x
    square = inverse * inverse
    digamma += ln(x) - 0.5 * inverse - square * _horner(_DIGAMMA_SERIES, square)
    trigamma += inverse + 0.5 * square + inverse * square * _horner(_TRIGAMMA_SERIES, square)
    return digamma, trigamma


# Bernoulli numbers over their denominators: B_2k / 2k and B_2k, from k = 1, highest first.
_DIGAMMA_SERIES: Final = (-691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12)
_TRIGAMMA_SERIES: Final = (-691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6)


def _horner(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


def _check(means: Sequence[float], sds: Sequence[float]) -> None:
    if len(means) != len(sds) or len(means) == 0:
        raise ValueError(f"means and sds must have the same length of at least 1, got {len(means)} and {len(sds)}")
    for i, (mean, sd) in enumerate(zip(means, sds, strict=True)):
        if not -1e300 < mean < 1e300:
            raise ValueError(f"means[{i}] must be finite, got {mean!r}")
        if not 0.0 < sd < 1e300:
            raise ValueError(f"sds[{i}] must be finite and positive, got {sd!r}")


def _grid(means: Sequence[float], sds: Sequence[float]) -> tuple[float, float, int]:
    """First node, step and number of intervals.

    Below the largest of the lower ends some F_b vanishes, so the integrals start there. A variant that lies wholly
    below that point cannot win, and its spread does not need to be resolved.
    """
    low = max(mean - SPAN * sd for mean, sd in zip(means, sds, strict=True))
    high = max(mean + SPAN * sd for mean, sd in zip(means, sds, strict=True))
    smallest = min(sd for mean, sd in zip(means, sds, strict=True) if mean + SPAN * sd >= low)
    nodes = int((high - low) / (STEP * smallest)) + 1
    nodes = min(max(nodes, MIN_NODES), MAX_NODES)
    return low, (high - low) / nodes, nodes


def _normalise(weights: list[float]) -> list[float]:
    total = 0.0
    for weight in weights:
        total += weight
    return [weight / total for weight in weights]
