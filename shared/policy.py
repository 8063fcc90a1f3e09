"""Thompson sampling without sampling: the probability that each variant is the best one, by integration.

Every variant's log-odds of reward is an independent normal; what is wanted is `π_a = P(θ_a is the largest)
= ∫ f_a(t) Π_{b≠a} F_b(t) dt`. All of them share one grid and the product P = Π F_b: π_a = ∫ P · f_a/F_a dt, so the
cost is linear in the number of variants.

The grid. Beyond `below` standard deviations under its mean an F counts as 0, beyond `above` over it as 1. Below the
largest of the lower ends some F vanishes: integration starts there. A variant whose upper end is not above the start
cannot win and is left out. Every other one has its lower end at or below the start, so that one whose F still moves at
a distance x above it has a standard deviation of at least x / (below + above): the farther from the start, the coarser
the grid may be. The nodes are x = u · sinh(v) at even steps of v, with u set by the smallest of the spreads: even
steps near the start, a geometric progression beyond. In v the integrand is smooth and dies off on both sides, where the
trapezoid rule converges faster than any power of its step. Four variants of one spread take 12 nodes live and 31
exactly, 80 take 24 and 67; every factor of ten between the spreads adds about 15 and 50.

A variant of standard deviation 0 is certain. Beside wider ones, the best of the certain variants is a point on the
grid, and what falls to the point they share; so do variants whose spreads are lost in the last digit of the others'.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, isnan, sqrt
from operator import mul
from typing import Final

from shared.normal_tables import HIGHEST, LOWEST, look_up
from shared.numbers import ln, normal_cdf, normal_density
from shared.posterior import Posterior

# Multiplies a product by Φ(z) at z = start + slope · node, and returns φ(z)/Φ(z) there.
Evaluate = Callable[[MutableSequence[float], float, float, Sequence[float]], list[float]]
# A variant that can win: z at the start of the grid, its slope in the nodes, the node where F counts as 1, its index.
Rival = tuple[float, float, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How finely to integrate: see the head of the module.

    The step of v is `growth` / (2 + ⌈log₂ variants⌉): the more variants, the steeper their product. Nodes where the
    product is below `negligible` are dropped. A point stands on the grid with `point` of the smallest spread beside it,
    which is off by the square of that.
    """

    below: float
    above: float
    growth: float
    negligible: float
    point: float
    evaluate: Evaluate


# A spread is lost beside one that is wider by more than this.
LOST: Final = 0.5 / (1 << 52)
_ENLARGED: Final = float(1 << 600)


def thompson_probabilities(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """Return, for each variant, the probability that its log-odds is the largest, within 1e-9.

    `means` (within ±1e120) and `sds` (0 to 1e120) are of equal length K ≥ 1, in log-odds; 0 is a variant known for
    certain, and certain variants of one mean share equally. The result has length K, sums to 1 within 1e-12, and
    follows the variants into any other order, bit for bit. Raises ValueError for empty or unequal lengths and for
    values outside these bounds.
    """
    _check(means, sds)
    return _integrate(means, sds, _EXACT)


def live_probabilities(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """Return the same within 1e-4, in a twentieth of the time: for posteriors of one person, or of one page.

    What was used is what is logged, so a propensity is exact with either function. Raises like the other one.
    """
    _check(means, sds)
    return _integrate(means, sds, _LIVE)


def live_probabilities_of(posterior: Posterior) -> list[float]:
    """Return the same for a posterior, whose numbers were looked at when it was read."""
    return _integrate(posterior.means, posterior.sds, _LIVE)


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


def _integrate(means: Sequence[float], sds: Sequence[float], rule: Rule) -> list[float]:
    return _share_by_spread(means, sds, rule) if min(sds) <= LOST * max(sds) else _share(means, sds, rule)


def _share_by_spread(means: Sequence[float], sds: Sequence[float], rule: Rule) -> list[float]:
    """The probabilities where spreads may be lost beside others: of the wider ones and a point, and of those that the
    point stands for among themselves."""
    order = sorted(range(len(sds)), key=sds.__getitem__)
    if sds[order[-1]] == 0.0:
        best = max(means)
        count = len([mean for mean in means if mean == best])
        return [1.0 / count if mean == best else 0.0 for mean in means]
    gaps = [k for k in range(1, len(order)) if sds[order[k - 1]] <= LOST * sds[order[k]]]
    if not gaps:
        return _share(means, sds, rule)
    fine, wide = order[: gaps[-1]], order[gaps[-1] :]
    point = max([means[i] for i in fine])
    if len(wide) == 1:
        together = _compare(means[wide[0]], sds[wide[0]], point, 0.0)
    else:
        unit = 1.0 if sds[wide[0]] > 1e-120 else _ENLARGED  # a part of the smallest numbers would be 0
        wide_means, wide_sds = [(means[i] - point) * unit for i in wide], [sds[i] * unit for i in wide]
        together = _share([*wide_means, 0.0], [*wide_sds, rule.point * wide_sds[0]], rule)
    among = _share_by_spread([means[i] for i in fine], [sds[i] for i in fine], rule)
    shares = [0.0] * len(means)
    for i, share in zip(wide, together, strict=False):
        shares[i] = share
    for i, share in zip(fine, among, strict=True):
        shares[i] = share * together[-1]
    return shares


def _compare(mean: float, sd: float, other_mean: float, other_sd: float) -> list[float]:
    """How often the first and the second of two variants, not both certain, is the better one."""
    gap = other_mean - mean
    if sd < 1e-120 and other_sd < 1e-120:  # their squares would be lost
        gap, sd, other_sd = gap * _ENLARGED, sd * _ENLARGED, other_sd * _ENLARGED
    lower = normal_cdf(gap / sqrt(sd * sd + other_sd * other_sd))
    return [1.0 - lower, lower]


def _share(means: Sequence[float], sds: Sequence[float], rule: Rule) -> list[float]:
    rivals = _find_rivals(means, sds, rule)
    shares = [0.0] * len(means)
    if len(rivals) == 1:
        shares[rivals[0][3]] = 1.0
        return shares
    if len(rivals) == 2:
        i, j = rivals[0][3], rivals[1][3]
        shares[i], shares[j] = _compare(means[i], sds[i], means[j], sds[j])
        return shares
    reach = max([end for _, _, end, _ in rivals])
    nodes, product = _place_nodes(reach, len(rivals), rule.growth)
    found = []
    dropped = 0
    for start, slope, end, i in rivals:
        rates = rule.evaluate(product, start, slope, nodes[: bisect_left(nodes, end)])
        found.append((i, slope, dropped, rates))
        if product[0] < rule.negligible:
            gone = bisect_left(product, rule.negligible)
            del product[:gone], nodes[:gone]
            dropped += gone
    for i, slope, already, rates in found:
        # fsum rounds the exact sum once: the same bits in every version of Python.
        shares[i] = slope * fsum(map(mul, product, rates[dropped - already :]))
    total = fsum(shares)
    return [share / total for share in shares]


def _find_rivals(means: Sequence[float], sds: Sequence[float], rule: Rule) -> list[Rival]:
    """The variants that can win, in an order that depends on their numbers only.

    Lower ends are compared, and positions taken, by differences from another variant's mean: an end itself, like
    1e6 − 4e-12, would be rounded to the mean.
    """
    ordered = sorted(zip(means, sds, range(len(means)), strict=True), reverse=True)
    span, above = rule.below, rule.above
    top, top_sd, _ = ordered[0]
    for mean, sd, _ in ordered:
        if mean - top > span * (sd - top_sd):
            top, top_sd = mean, sd
    able = []
    least = top_sd
    reach = span * top_sd
    for mean, sd, i in ordered:
        start = ((top - mean) - reach) / sd
        if start < above:
            # Below −span it can only be by rounding.
            able.append((start if start > -span else -span, sd, i))
            if sd < least:  # noqa: PLR1730 - min() takes five times as long
                least = sd
    unit = span * least
    return [(start, unit / sd, (above - start) * sd / unit, i) for start, sd, i in able]


def _place_nodes(reach: float, count: int, growth: float) -> tuple[list[float], list[float]]:
    """The nodes sinh(v) from 0 to the first that is not below `reach`, and their weights cosh(v), both in powers of a
    ratio near e^step. The step itself is common to all weights; normalising removes it."""
    ratio = 1.0 + growth / (2 + (count - 1).bit_length())
    length = 32
    nodes, weights = _grid(ratio, length)
    while nodes[-1] < reach:
        length *= 2
        nodes, weights = _grid(ratio, length)
    end = bisect_left(nodes, reach) + 1
    return list(nodes[:end]), list(weights[:end])


@lru_cache(maxsize=64)
def _grid(ratio: float, length: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The first so many nodes and weights, which are always the same."""
    inverse = 1.0 / ratio
    up = down = 0.5
    nodes, weights = [], []
    for _ in range(length):
        nodes.append(up - down)
        weights.append(up + down)
        up *= ratio
        down *= inverse
    return tuple(nodes), tuple(weights)


def _evaluate(product: MutableSequence[float], start: float, slope: float, nodes: Sequence[float]) -> list[float]:
    rates = []
    for i, node in enumerate(nodes):
        z = start + slope * node
        f = normal_cdf(z)
        product[i] *= f
        rates.append(normal_density(z) / f)
    return rates


# The largest errors that a search for bad cases, 3 to 80 variants, found: 2e-10 and 5e-5.
_EXACT: Final = Rule(below=7.0, above=7.0, growth=0.2, negligible=1e-12, point=1e-6, evaluate=_evaluate)
_LIVE: Final = Rule(below=-LOWEST, above=HIGHEST, growth=0.65, negligible=1e-5, point=1e-3, evaluate=look_up)


def _check(means: Sequence[float], sds: Sequence[float]) -> None:
    if len(means) != len(sds) or len(means) == 0:
        raise ValueError(f"means and sds must have the same length of at least 1, got {len(means)} and {len(sds)}")
    for name, values, least, written in (("means", means, -1e120, "-1e120"), ("sds", sds, 0.0, "0")):
        if not least <= min(values) or not max(values) <= 1e120 or any(map(isnan, values)):
            i, value = next(each for each in enumerate(values) if not least <= each[1] <= 1e120)
            raise ValueError(f"{name}[{i}] must be between {written} and 1e120, got {value!r}")


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
