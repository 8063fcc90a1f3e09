"""Posteriors: the same as brute force where that is possible, and what shrinkage promises everywhere."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from origin.posteriors import (
    STRONGEST,
    WEAKEST_REWARDS,
    Array,
    combine,
    fit_strength,
    global_posterior,
    make_cell,
    segment_posteriors,
)

DECISIONS = np.array([1000.0, 800.0, 1200.0, 50.0, 0.0])
REWARDS = np.array([30.0, 8.0, 60.0, 4.0, 0.0])


def likelihood(strength: float, decisions: Array, rewards: Array, means: Array, parents: Array | None = None) -> float:
    """The beta-binomial log-likelihood of all arms at one strength, from its definition."""
    own = np.full(means.shape, strength) if parents is None else 1.0 / (1.0 / strength + 1.0 / parents)
    return float(np.sum(stats.betabinom.logpmf(rewards, decisions, means * own, (1.0 - means) * own)))


def best_strength(decisions: Array, rewards: Array, means: Array, parents: Array | None = None) -> float:
    """The likeliest strength on a fine grid between the bounds."""
    weakest = WEAKEST_REWARDS / float(np.minimum(means, 1.0 - means).min())
    grid = np.geomspace(weakest, max(STRONGEST, weakest), 4_000)
    return float(grid[np.argmax([likelihood(each, decisions, rewards, means, parents) for each in grid])])


@pytest.mark.parametrize("scale", [1, 4, 25])
def test_the_global_prior_is_the_likeliest_one(scale: int) -> None:
    decisions, rewards = DECISIONS * scale, REWARDS * scale
    alpha, beta = global_posterior(decisions, rewards)
    mean = (rewards.sum() + 1.0) / (decisions.sum() + 2.0)
    strength = (alpha + beta - decisions)[0]
    assert alpha + beta - decisions == pytest.approx([strength] * 5)
    assert alpha - rewards == pytest.approx([mean * strength] * 5)
    assert strength == pytest.approx(best_strength(decisions, rewards, np.full(5, mean)), rel=0.01)


def test_a_segments_prior_is_the_likeliest_one_over_the_same_variant_elsewhere() -> None:
    decisions = np.array([[400.0, 300.0, 500.0], [250.0, 600.0, 100.0]])
    rewards = np.array([[8.0, 30.0, 10.0], [20.0, 12.0, 2.0]])
    parent = global_posterior(decisions.sum(axis=0) + 900.0, rewards.sum(axis=0) + 30.0)
    alphas, betas = segment_posteriors(decisions, rewards, parent)
    alpha, beta = parent[0] - rewards, parent[1] - (decisions - rewards)
    means, elsewhere = alpha / (alpha + beta), alpha + beta
    strength = best_strength(decisions, rewards, means, elsewhere)
    expected = 1.0 / (1.0 / strength + 1.0 / elsewhere)
    np.testing.assert_allclose(alphas + betas - decisions, expected, rtol=0.01)
    np.testing.assert_allclose((alphas - rewards) / (alphas + betas - decisions), means, rtol=1e-9)


def test_the_cells_moments_are_those_of_the_log_odds() -> None:
    alpha, beta = global_posterior(DECISIONS, REWARDS)
    cell = make_cell(alpha, beta)
    for i in range(len(alpha)):
        # Beta(α, β) over x = expit(t): its density over t is that over x times x (1 − x).
        t = np.linspace(-40.0, 40.0, 400_001)
        density = np.exp(-alpha[i] * np.logaddexp(0.0, -t) - beta[i] * np.logaddexp(0.0, t))
        density /= density.sum()
        mean = float((density * t).sum())
        assert cell["means"][i] == pytest.approx(mean, abs=1e-6)
        assert cell["sds"][i] == pytest.approx(math.sqrt(float((density * (t - mean) ** 2).sum())), rel=1e-6)


def test_the_cells_probabilities_are_shares_of_draws_of_its_normals() -> None:
    cell = make_cell(*global_posterior(DECISIONS, REWARDS))
    n = 200_000
    draws = np.random.default_rng(1).normal(cell["means"], cell["sds"], size=(n, 5))
    shares = np.bincount(draws.argmax(axis=1), minlength=5) / n
    np.testing.assert_allclose(cell["probabilities"], shares, atol=4.0 * 0.5 / math.sqrt(n))


def test_without_data_every_variant_has_the_same_flat_prior() -> None:
    none = np.zeros(4)
    alpha, beta = global_posterior(none, none)
    np.testing.assert_allclose((alpha, beta), np.ones((2, 4)))
    assert make_cell(alpha, beta)["probabilities"] == pytest.approx([0.25] * 4)


def test_a_segment_without_data_has_the_global_mean() -> None:
    parent = global_posterior(DECISIONS, REWARDS)
    alphas, betas = segment_posteriors(np.zeros((2, 5)), np.zeros((2, 5)), parent)
    for row in range(2):
        np.testing.assert_allclose(alphas[row] / (alphas + betas)[row], parent[0] / (parent[0] + parent[1]))
        assert ((alphas + betas)[row] <= parent[0] + parent[1]).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 10_000.0])
def test_segments_without_any_data_have_the_global_posterior(scale: float) -> None:
    parent = global_posterior(DECISIONS * scale, REWARDS * scale)
    none = np.zeros((2, 5))
    alphas, betas = segment_posteriors(none, none, parent)
    np.testing.assert_allclose(alphas, np.tile(parent[0], (2, 1)))
    np.testing.assert_allclose(betas, np.tile(parent[1], (2, 1)))


@pytest.mark.parametrize("total", [30.0, 3_000.0, 3_000_000.0])
@pytest.mark.parametrize("rewarded", [0.0, 1.0])
def test_nothing_or_everything_rewarded_leaves_the_variants_alike(total: float, rewarded: float) -> None:
    decisions = np.full(3, total)
    rewards = decisions * rewarded
    alpha, beta = global_posterior(decisions, rewards)
    cell = make_cell(alpha, beta)
    assert (alpha > 0.0).all() and (beta > 0.0).all()
    assert cell["probabilities"] == pytest.approx([1 / 3] * 3)
    alphas, betas = segment_posteriors(decisions[None] / 2, rewards[None] / 2, (alpha, beta))
    assert make_cell(alphas[0], betas[0])["probabilities"] == pytest.approx([1 / 3] * 3)


def test_a_variant_that_nobody_was_shown_is_less_sure_and_no_better_than_the_average() -> None:
    alpha, beta = global_posterior(DECISIONS, REWARDS)
    strength = alpha + beta
    assert strength[4] < strength[:4].min()
    assert alpha[4] / strength[4] == pytest.approx((REWARDS.sum() + 1.0) / (DECISIONS.sum() + 2.0))


@pytest.mark.parametrize("segments", [2, 5])
def test_segments_that_agree_have_the_global_posterior(segments: int) -> None:
    decisions = np.tile([2_000.0, 3_000.0, 2_500.0], (segments, 1))
    rewards = np.tile([40.0, 90.0, 60.0], (segments, 1))
    parent = global_posterior(decisions.sum(axis=0), rewards.sum(axis=0))
    alphas, betas = segment_posteriors(decisions, rewards, parent)
    whole = make_cell(*parent)
    for row in range(segments):
        cell = make_cell(alphas[row], betas[row])
        np.testing.assert_allclose(cell["means"], whole["means"], atol=0.25 * min(whole["sds"]))
        np.testing.assert_allclose(cell["sds"], whole["sds"], rtol=0.1)


def test_segments_that_disagree_keep_to_their_own_data() -> None:
    decisions = np.full((2, 2), 5_000.0)
    rewards = np.array([[500.0, 50.0], [50.0, 500.0]])
    alphas, betas = segment_posteriors(decisions, rewards, global_posterior(decisions.sum(axis=0), rewards.sum(axis=0)))
    np.testing.assert_allclose(alphas / (alphas + betas), rewards / decisions, rtol=0.05)
    assert make_cell(alphas[0], betas[0])["probabilities"][0] > 0.999
    assert make_cell(alphas[1], betas[1])["probabilities"][1] > 0.999


@pytest.mark.parametrize("seed", range(20))
def test_a_posterior_lies_between_its_data_and_its_prior_and_is_never_surer_than_all_evidence(seed: int) -> None:
    chance = np.random.default_rng(seed)
    segments, variants = int(chance.integers(1, 6)), int(chance.integers(2, 8))
    rates = expit(logit(0.03) + chance.normal(0.0, 0.5, (segments, variants)))
    decisions = chance.integers(0, 3_000, (segments, variants)).astype(float)
    rewards = chance.binomial(decisions.astype(int), rates).astype(float)
    parent = global_posterior(decisions.sum(axis=0), rewards.sum(axis=0))
    alphas, betas = segment_posteriors(decisions, rewards, parent)
    assert (alphas > 0.0).all() and (betas > 0.0).all()
    assert (alphas + betas <= (parent[0] + parent[1]) * (1 + 1e-9)).all()
    elsewhere = (parent[0] - rewards) / (parent[0] + parent[1] - decisions)
    own = np.divide(rewards, decisions, out=elsewhere.copy(), where=decisions > 0)
    means = alphas / (alphas + betas)
    assert (means >= np.minimum(own, elsewhere) - 1e-9).all()
    assert (means <= np.maximum(own, elsewhere) + 1e-9).all()


def test_more_data_makes_a_posterior_surer() -> None:
    sds = [make_cell(*global_posterior(DECISIONS[:3] * scale, REWARDS[:3] * scale))["sds"] for scale in (1, 2, 4, 8)]
    assert all((np.array(more) < np.array(less)).all() for less, more in pairwise(sds))


def test_the_order_of_the_variants_does_not_matter() -> None:
    order = [3, 0, 4, 2, 1]
    alpha, beta = global_posterior(DECISIONS, REWARDS)
    np.testing.assert_allclose(
        global_posterior(DECISIONS[order], REWARDS[order]), (alpha[order], beta[order]), rtol=1e-4
    )


def test_variants_that_are_truly_alike_are_pooled_and_different_ones_are_not() -> None:
    chance = np.random.default_rng(5)
    decisions = np.full(40, 2_000.0)
    alike = chance.binomial(2_000, 0.03, 40).astype(float)
    spread = chance.binomial(2_000, chance.beta(30, 970, 40)).astype(float)
    means = np.full(40, 0.03)
    assert fit_strength(decisions, alike, means) > 5_000
    # The spread of the fit over seeds is about a third.
    assert fit_strength(decisions, spread, means) == pytest.approx(1_000, rel=1.0)


def test_strengths_combine_as_their_variances_add() -> None:
    assert combine(100.0, np.inf) == 100.0
    assert combine(100.0, 100.0) == pytest.approx(50.0)
    assert combine(1e9, 10.0) == pytest.approx(10.0)
