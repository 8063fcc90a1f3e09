"""From counts to posteriors: beta-binomial with empirical Bayes, level by level.

A touchpoint's variants share a Beta prior whose mean and strength are fitted to all of them by marginal likelihood, so
that a variant with few decisions borrows from the others. A segment's variant borrows from the same variant everywhere
else, as far as segments agree: how far is fitted too. Where they agree fully, the segment's posterior is the global
one; it is never surer than all the evidence there is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from shared.policy import beta_to_log_odds, thompson_probabilities

Array = npt.NDArray[np.float64]

# Bounds of a prior's strength. The weakest is worth one reward of an average arm: below that the log-odds of a Beta are
# so skewed that a normal does not describe them, and a variant nobody rewarded yet would win by its tail. At the
# strongest, in decisions, all variants count as the same.
WEAKEST_REWARDS: Final = 1.0
STRONGEST: Final = 100_000.0
# Where there is no reward or no failure yet, the prior mean is kept off 0 and 1 by this many pseudo-decisions.
PSEUDO_DECISIONS: Final = 2.0


def fit_strength(decisions: Array, rewards: Array, means: Array, parents: Array | float = np.inf) -> float:
    """Return the strength κ, in decisions, of the arms' common prior that makes their counts most likely.

    The arrays have one shape: counts of each arm, its prior mean μ in (0, 1), and the strength p of the evidence that
    this mean itself rests on. An arm's prior is Beta(μk, (1 − μ)k) with 1/k = 1/κ + 1/p: the spread between arms and
    the uncertainty of the mean add up. Σ ln B(r + μk, n − r + (1−μ)k) − ln B(μk, (1−μ)k) is maximised over ln κ
    between a strength worth WEAKEST_REWARDS and STRONGEST. Without decisions nothing speaks against the parents, where
    there are any: κ is infinite, so that the arms have their strength. Without parents it is the weakest.
    """
    weakest = WEAKEST_REWARDS / float(np.minimum(means, 1.0 - means).mean())
    if not decisions.any():
        return weakest if np.isinf(parents).all() else np.inf

    def loss(log_strength: float) -> float:
        strength = combine(np.exp(log_strength), parents)
        alpha, beta = means * strength, (1.0 - means) * strength
        return -float((betaln(rewards + alpha, decisions - rewards + beta) - betaln(alpha, beta)).sum())

    bounds = (np.log(weakest), np.log(max(STRONGEST, weakest)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def combine(strength: float, parents: Array | float) -> Array | float:
    """Return the strength of a prior whose mean has evidence of strength `parents` itself: 1 / (1/κ + 1/p)."""
    return 1.0 / (1.0 / strength + 1.0 / parents)


def global_posterior(decisions: Array, rewards: Array) -> tuple[Array, Array]:
    """Return α and β of each variant's posterior, from the counts of K variants."""
    total, successes = float(decisions.sum()), float(rewards.sum())
    mean = (successes + 0.5 * PSEUDO_DECISIONS) / (total + PSEUDO_DECISIONS)
    means = np.full(decisions.shape, mean)
    strength = fit_strength(decisions, rewards, means)
    return rewards + mean * strength, decisions - rewards + (1.0 - mean) * strength


def segment_posteriors(decisions: Array, rewards: Array, parent: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return α and β for S segments by K variants (both counts of that shape).

    `parent` are α and β of the K global posteriors, which have seen the segments' decisions too; what a segment borrows
    is the evidence from elsewhere only.
    """
    alpha, beta = parent[0] - rewards, parent[1] - (decisions - rewards)
    elsewhere = alpha + beta
    means = alpha / elsewhere
    strength = combine(fit_strength(decisions, rewards, means, elsewhere), elsewhere)
    return rewards + means * strength, decisions - rewards + (1.0 - means) * strength


def make_cell(alpha: Array, beta: Array) -> dict[str, list[float]]:
    """Return the record of a cell: means and standard deviations of the log-odds, and the Thompson probabilities."""
    moments = [beta_to_log_odds(float(a), float(b)) for a, b in zip(alpha, beta, strict=True)]
    means, sds = [mean for mean, _ in moments], [sd for _, sd in moments]
    return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}
