from __future__ import annotations

import math

import pytest

from shared.posterior import LEVELS, Posterior, Shift, shift_posterior

BEFORE = Posterior(level="cluster", name="c7", means=(-3.0, -2.0), sds=(0.3, 0.4), probabilities=(0.25, 0.75))
SHIFT = Shift(
    names=("x", "y"),
    features=(),
    weights=((1.0, -2.0), (0.5, 0.25)),
    covariances=(((0.04, 0.01), (0.01, 0.09)), ((0.0, 0.0), (0.0, 0.0))),
)


def test_levels_go_from_the_finest_to_the_coarsest() -> None:
    assert LEVELS == ("individual", "cluster", "segment", "global")


def test_a_shift_adds_weighted_features_to_the_means_and_their_uncertainty_to_the_spreads() -> None:
    after = shift_posterior(BEFORE, SHIFT, (2.0, 1.0))
    # w·x = 2 - 2 and 1 + 0.25; x'Σx = 4 (0.04) + 2 (2)(0.01) + 0.09 = 0.29
    assert after.means == (-3.0, -0.75)
    assert after.sds == pytest.approx((math.sqrt(0.09 + 0.29), 0.4), rel=1e-15)
    assert (after.level, after.name, after.probabilities) == ("cluster", "c7", ())


def test_a_weight_without_uncertainty_leaves_the_spread_to_the_last_bit() -> None:
    assert shift_posterior(BEFORE, SHIFT, (1.0, 1.0)).sds[1] == 0.4


def test_features_of_zero_move_nothing() -> None:
    after = shift_posterior(BEFORE, SHIFT, (0.0, 0.0))
    assert (after.means, after.sds) == (BEFORE.means, BEFORE.sds)


def test_a_negative_feature_moves_the_other_way_and_widens_as_much() -> None:
    up, down = shift_posterior(BEFORE, SHIFT, (0.5, 0.0)), shift_posterior(BEFORE, SHIFT, (-0.5, 0.0))
    assert (up.means[0], down.means[0]) == (-2.5, -3.5)
    assert up.sds == down.sds


def test_a_variance_that_rounding_made_negative_leaves_the_spread_as_it_was() -> None:
    # Positive semidefinite within rounding only: x'Σx comes out below zero here.
    covariances = (((1.0, 1.0 + 1e-10), (1.0 + 1e-10, 1.0)), ((0.0, 0.0), (0.0, 0.0)))
    shift = Shift(names=SHIFT.names, features=(), weights=SHIFT.weights, covariances=covariances)
    assert shift_posterior(BEFORE, shift, (1.0, -1.0)).sds == BEFORE.sds
