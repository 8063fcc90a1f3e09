"""Why decisions are frozen: without it, a context that earlier variants changed makes the logged propensities wrong.

Within an epoch the same u decides again. Where what was shown at the first view changes the distribution at the second,
u is no fresh randomness any more: of those who drew `a` at one half, all who would draw it at less are among them, so
`a` comes more often than the logged propensity says (0.3 ÷ 0.5 = 0.6 instead of 0.3), and a mean weighted by
propensities is biased. One decision an epoch keeps the propensity of the one draw there was.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest

from shared.decision import Decision, Frozen, freeze
from shared.policy import thompson_probabilities
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import Record, ask, place, publish_hero

UNITS = 8_000
VIEWS = 3
VARIANTS = ("a", "b")
# The mean of a that gives it about 30 % or 70 % against a b of mean 0, both with a standard deviation of 1.
LESS, MORE = -0.74, 0.74
# What a visitor is worth who sees a variant, by what they saw before: either pays once it is known.
REWARDS = {("a", ""): 0.5, ("a", "a"): 1.0, ("a", "b"): 0.25, ("b", ""): 0.75, ("b", "a"): 0.25, ("b", "b"): 0.9}


def published(epoch: str = "session") -> Snapshot:
    def posterior(mean: float) -> Record:
        means, sds = [mean, 0.0], [1.0, 1.0]
        return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}

    cells = {"global:": posterior(0.0), "segment:saw-a": posterior(LESS), "segment:saw-b": posterior(MORE)}
    segments = [{"name": f"saw-{name}", "condition": {"last": name}} for name in VARIANTS]
    return publish_hero(place(*VARIANTS, epoch=epoch), cells=cells, segments=segments)


View = tuple[str, float, str]  # variant, its propensity, and what was seen before


def visit(site: Snapshot, unit: str, *, is_frozen: bool) -> list[View]:
    """The views of one session; what was shown is an attribute of the next view."""
    frozen: Frozen | None = None
    last = ""
    views = []
    for number in range(VIEWS):
        decision: Decision = ask(
            site, unit, {"last": last}, session=Session(started_ms=5, views=number + 1), frozen=frozen
        )
        if is_frozen and number == 0:
            frozen = freeze(decision)
        views.append((decision.variant, decision.propensity, last))
        last = decision.variant
    return views


def estimate(visits: list[list[View]], values: Callable[[list[View]], float]) -> tuple[float, float]:
    """Mean over units and its standard error."""
    each = [values(views) for views in visits]
    mean = sum(each) / len(each)
    variance = sum((value - mean) ** 2 for value in each) / (len(each) - 1)
    return mean, sqrt(variance / len(each))


def ips_per_view(target: str) -> Callable[[list[View]], float]:
    """Inverse propensity scores of `always target` over all views of a session, less what the target would have earned
    in the same contexts: without bias, zero."""

    def value(views: list[View]) -> float:
        return sum(
            (REWARDS[variant, last] / propensity if variant == target else 0.0) - REWARDS[target, last]
            for variant, propensity, last in views
        )

    return value


def ips_per_decision(target: str) -> Callable[[list[View]], float]:
    """Inverse propensity scores of `always target`, of the session's one decision and all that its views earned."""

    def value(views: list[View]) -> float:
        variant, propensity, _ = views[0]
        return sum(REWARDS[variant, last] for variant, _, last in views) / propensity if variant == target else 0.0

    return value


@pytest.fixture(scope="module")
def decided_anew() -> list[list[View]]:
    site = published()
    return [visit(site, f"u-{k}", is_frozen=False) for k in range(UNITS)]


@pytest.fixture(scope="module")
def decided_once() -> list[list[View]]:
    site = published()
    return [visit(site, f"u-{k}", is_frozen=True) for k in range(UNITS)]


def test_the_context_at_later_views_depends_on_earlier_variants(decided_anew: list[list[View]]) -> None:
    by_last = {last: propensity for views in decided_anew for variant, propensity, last in views if variant == "a"}
    assert by_last[""] == pytest.approx(0.5, abs=1e-9)
    assert by_last["a"] == pytest.approx(0.3, abs=0.005)
    assert by_last["b"] == pytest.approx(0.7, abs=0.005)


@pytest.mark.parametrize("target", VARIANTS)
def test_without_the_freeze_the_estimate_is_biased_from_the_second_view_on(
    decided_anew: list[list[View]], target: str
) -> None:
    first, first_error = estimate([views[:1] for views in decided_anew], ips_per_view(target))
    assert abs(first) <= 4 * first_error
    later, later_error = estimate([views[1:] for views in decided_anew], ips_per_view(target))
    assert later > 10 * later_error


@pytest.mark.parametrize("target", VARIANTS)
def test_with_the_freeze_the_estimate_of_the_whole_session_is_unbiased(
    decided_once: list[list[View]], target: str
) -> None:
    # Always `target`: the first view knows nothing, the later ones know the target.
    truth = REWARDS[target, ""] + (VIEWS - 1) * REWARDS[target, target]
    mean, error = estimate(decided_once, ips_per_decision(target))
    assert abs(mean - truth) <= 4 * error
    assert error < 0.02 * truth


@pytest.mark.parametrize("target", VARIANTS)
def test_the_same_estimate_without_the_freeze_misses_the_truth(decided_anew: list[list[View]], target: str) -> None:
    # Even the product of all propensities of a session does not save it: they are not those of independent draws.
    def value(views: list[View]) -> float:
        weight = 1.0
        for variant, propensity, _ in views:
            weight *= (variant == target) / propensity
        return weight * sum(REWARDS[variant, last] for variant, _, last in views)

    truth = REWARDS[target, ""] + (VIEWS - 1) * REWARDS[target, target]
    mean, error = estimate(decided_anew, value)
    assert abs(mean - truth) > 10 * error


def test_the_share_that_repeats_a_variant_is_not_the_logged_one(decided_anew: list[list[View]]) -> None:
    again = [views[1][0] == "a" for views in decided_anew if views[0][0] == "a"]
    share = sum(again) / len(again)
    assert abs(share - 0.6) <= 4 * sqrt(0.6 * 0.4 / len(again)) + 0.01  # 0.3 / 0.5, by the race with one u
    assert share > 0.5


def test_frozen_views_all_show_and_log_the_one_draw(decided_once: list[list[View]]) -> None:
    for views in decided_once:
        assert {(variant, propensity) for variant, propensity, _ in views} == {(views[0][0], 0.5)}
    share = sum(views[0][0] == "a" for views in decided_once) / UNITS
    assert abs(share - 0.5) <= 4 * sqrt(0.25 / UNITS)


def test_fresh_draws_at_every_view_would_not_be_biased_either() -> None:
    # The bias is that of the repeated u, not of the changed context: a new epoch at every view does without the freeze.
    site = published(epoch="day")
    visits = []
    for k in range(UNITS):
        last, views = "", []
        for number in range(VIEWS):
            decision = ask(site, f"u-{k}", {"last": last}, now_ms=number * 86_400_000)
            views.append((decision.variant, decision.propensity, last))
            last = decision.variant
        visits.append(views)
    for target in VARIANTS:
        mean, error = estimate(visits, ips_per_view(target))
        assert abs(mean) <= 4 * error
