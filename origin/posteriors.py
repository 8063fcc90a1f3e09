"""From counts to posteriors: beta-binomial with empirical Bayes, level by level.

A touchpoint's variants share a Beta prior whose mean and strength are fitted to all of them by marginal likelihood, so
that a variant with few decisions borrows from the others. A segment's variants are shrunk towards the same variants'
global posterior means, with a strength fitted over all segments: a thin cell borrows from its parent.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from shared.policy import beta_to_log_odds, thompson_probabilities

Array = npt.NDArray[np.float64]

# Bounds of a prior's strength. The weakest is worth one reward: below that the log-odds of a Beta are so skewed that a
# normal does not describe them, and a variant nobody rewarded yet would win by its tail. At the strongest, in
# decisions, all variants count as the same.
WEAKEST_REWARDS: Final = 1.0
STRONGEST: Final = 100_000.0
# Where there is no reward or no failure yet, the prior mean is kept off 0 and 1 by this many pseudo-decisions.
PSEUDO_DECISIONS: Final = 2.0


def fit_strength(decisions: Array, rewards: Array, means: Array) -> float:
    """Return the strength κ of the prior Beta(μκ, (1 − μ)κ) with the largest marginal likelihood of the counts.

    The three arrays have one shape: counts of each arm and its prior mean in (0, 1). Σ ln B(r + μκ, n − r + (1−μ)κ)
    − ln B(μκ, (1−μ)κ) is maximised over ln κ between a strength worth WEAKEST_REWARDS and STRONGEST.
    """
    weakest = WEAKEST_REWARDS / float(np.minimum(means, 1.0 - means).min())
    seen = decisions > 0
    if not seen.any():
        return weakest
    n, r, mean = decisions[seen], rewards[seen], means[seen]

    def loss(log_strength: float) -> float:
        strength = np.exp(log_strength)
        alpha, beta = mean * strength, (1.0 - mean) * strength
        return -float((betaln(r + alpha, n - r + beta) - betaln(alpha, beta)).sum())

    bounds = (np.log(weakest), np.log(max(STRONGEST, weakest)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def global_posterior(decisions: Array, rewards: Array) -> tuple[Array, Array]:
    """Return α and β of each variant's posterior, from the counts of K variants."""
    total, successes = float(decisions.sum()), float(rewards.sum())
    mean = (successes + 0.5 * PSEUDO_DECISIONS) / (total + PSEUDO_DECISIONS)
    means = np.full(decisions.shape, mean)
    strength = fit_strength(decisions, rewards, means)
    return rewards + mean * strength, decisions - rewards + (1.0 - mean) * strength


def segment_posteriors(decisions: Array, rewards: Array, parent: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return α and β for S segments by K variants (both counts of that shape), shrunk towards the K parents."""
    alpha, beta = parent
    means = np.broadcast_to(alpha / (alpha + beta), decisions.shape)
    strength = fit_strength(decisions, rewards, means)
    return rewards + means * strength, decisions - rewards + (1.0 - means) * strength


def make_cell(alpha: Array, beta: Array) -> dict[str, list[float]]:
    """Return the record of a cell: means and standard deviations of the log-odds, and the Thompson probabilities."""
    moments = [beta_to_log_odds(float(a), float(b)) for a, b in zip(alpha, beta, strict=True)]
    means, sds = [mean for mean, _ in moments], [sd for _, sd in moments]
    return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}
