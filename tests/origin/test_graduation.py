"""Graduation: what a finer level needs, and that a gain is proven as often as 95 % confidence says."""

from __future__ import annotations

import numpy as np
import pytest

from origin.graduation import ArmTotals, Evidence, Gain, Graduation, graduate, measure_gain
from origin.touchpoint_config import Level, LevelsConfig


def total(decisions: np.ndarray, rewards: np.ndarray) -> ArmTotals:
    return ArmTotals(
        units=len(decisions),
        decisions=float(decisions.sum()),
        rewards=float(rewards.sum()),
        decisions_squared=float((decisions**2).sum()),
        decisions_rewards=float((decisions * rewards).sum()),
        rewards_squared=float((rewards**2).sum()),
    )


def arm(units: int, rate: float, *, each: int = 2) -> ArmTotals:
    """Units with the same number of decisions, of which a share is rewarded every time."""
    rewarded = round(units * rate)
    return total(np.full(units, each), np.array([each] * rewarded + [0] * (units - rewarded)))


def evidence(people: int = 20_000, days: int = 100, gain: float = 0.05) -> Evidence:
    arms = (arm(20_000, 0.1 + gain), arm(2_000, 0.1))
    return Evidence(people=people, days=days, arms={"cluster": arms, "individual": arms})


def test_with_enough_data_and_a_proven_gain_the_finest_level_is_reached() -> None:
    assert graduate(LevelsConfig(), evidence()) == Graduation(level="individual", reason="")


@pytest.mark.parametrize("finest", ["global", "segment", "cluster", "individual"])
def test_the_configuration_says_where_it_ends(finest: Level) -> None:
    assert graduate(LevelsConfig(finest=finest), evidence()) == Graduation(level=finest, reason="")


@pytest.mark.parametrize(
    ("people", "days", "missing"),
    [
        (9_999, 90, "9,999 of 10,000 people so far"),
        (10_000, 89, "89 of 90 days so far"),
        (0, 0, "0 of 10,000 people and 0 of 90 days so far"),
    ],
)
def test_without_enough_data_segments_are_the_finest(people: int, days: int, missing: str) -> None:
    found = graduate(LevelsConfig(), evidence(people=people, days=days))
    assert found == Graduation(level="segment", reason=f"cluster level: {missing}")


def test_each_level_has_thresholds_of_its_own() -> None:
    levels = LevelsConfig(individual_min_people=30_000, individual_min_days=365)
    assert graduate(levels, evidence()) == Graduation(
        level="cluster", reason="individual level: 20,000 of 30,000 people and 100 of 365 days so far"
    )


def test_without_a_proven_gain_segments_are_the_finest() -> None:
    found = graduate(LevelsConfig(), evidence(gain=0.005))
    assert found.level == "segment"
    assert found.reason == (
        "cluster level: no gain over the holdout is proven: +0.50% of decisions rewarded, at least -0.88% with 95 % "
        "confidence"
    )
    assert graduate(LevelsConfig(), evidence(gain=-0.05)).level == "segment"


def test_without_a_holdout_no_gain_can_be_measured() -> None:
    nothing = Evidence(people=20_000, days=100, arms={})
    assert graduate(LevelsConfig(), nothing).reason == (
        "cluster level: no gain can be measured yet: fewer than 100 people in the holdout or outside it"
    )
    few = (arm(20_000, 0.5), arm(99, 0.0))
    assert graduate(LevelsConfig(), Evidence(people=20_000, days=100, arms={"cluster": few})).level == "segment"


def test_the_proof_can_be_switched_off() -> None:
    levels = LevelsConfig(
        require_gain=False, cluster_min_people=0, cluster_min_days=0, individual_min_people=0, individual_min_days=0
    )
    assert graduate(levels, Evidence(people=0, days=0, arms={})) == Graduation(level="individual", reason="")


def test_a_gain_at_the_coarser_levels_must_outlast_the_finer_one() -> None:
    arms = {"cluster": (arm(20_000, 0.15), arm(2_000, 0.1)), "individual": (arm(20_000, 0.1), arm(2_000, 0.1))}
    found = graduate(LevelsConfig(), Evidence(people=20_000, days=100, arms=arms))
    assert found.level == "cluster"
    assert found.reason.startswith("individual level: no gain over the holdout is proven")


def test_decisions_of_one_unit_are_not_independent() -> None:
    once = measure_gain(arm(2_000, 0.3, each=1), arm(500, 0.2, each=1))
    often = measure_gain(arm(2_000, 0.3, each=50), arm(500, 0.2, each=50))
    assert once is not None and often is not None
    assert often.difference == pytest.approx(once.difference)
    assert often.lower == pytest.approx(once.lower, rel=1e-9)


def test_an_arm_without_rewards_proves_less_than_its_variance_says() -> None:
    gain = measure_gain(arm(50_000, 0.02, each=1), arm(100, 0.0, each=1))
    assert gain is not None
    assert gain.difference == pytest.approx(0.02)
    assert gain.lower < 0.0
    later = measure_gain(arm(50_000, 0.02, each=1), arm(5_000, 0.0, each=1))
    assert later is not None and later.lower > 0.0


def test_the_lower_end_holds_as_often_as_it_says() -> None:
    """1,000 experiments without any gain, units of unequal activity and appetite: the lower end is above 0 in 2.5 %.

    Four standard errors of that share are 2 %.
    """
    chance = np.random.default_rng(7)
    proven = 0
    for _ in range(1_000):
        arms = []
        for units in (600, 300):
            decisions = 1 + chance.poisson(3.0, units)
            rewards = chance.binomial(decisions, chance.beta(2.0, 6.0, units))
            arms.append(total(decisions, rewards))
        gain = measure_gain(arms[0], arms[1])
        assert isinstance(gain, Gain)
        proven += gain.lower > 0.0
    assert 5 <= proven <= 45
