"""What a decision is drawn from: the level, why finer ones were passed over, the session's shift, the constraints."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.errors import InvalidSnapshot
from shared.policy import live_probabilities, thompson_probabilities
from shared.profile import Profile
from shared.records import CLUSTER_TTL_MS, INDIVIDUAL_TTL_MS
from shared.session import Session
from shared.snapshot import MOST_KEPT, Snapshot
from tests.asking import (
    TREATED,
    Record,
    ask,
    cell,
    holdout_unit,
    place,
    profile_of,
    publish_hero,
    situation_of,
    variant,
)

GOLD = [{"name": "gold", "condition": {"plan": "gold"}}, {"name": "all", "condition": {}}]
CELLS = {"global:": cell([0.0, 0.1]), "segment:gold": cell([0.0, 0.2]), "cluster:c7": cell([0.0, 0.3])}
MINE: Record = {"means": [0.0, 0.4], "sds": [1.0, 1.0]}
SCORES = {("hero", "m1"): MINE}
PLAN = {"plan": "gold"}


def levelled(finest: str = "individual", **hero: object) -> Snapshot:
    """A site with posteriors at every level: the means of `b` tell which was used."""
    fields = {"finest": finest, "models": ["m2", "m1"], **hero}
    return publish_hero(place("a", "b", **fields), cells=CELLS, segments=GOLD)


@pytest.mark.parametrize(
    ("finest", "level", "name", "mean"),
    [
        ("individual", "individual", "", 0.4),
        ("cluster", "cluster", "c7", 0.3),
        ("segment", "segment", "gold", 0.2),
        ("global", "global", "", 0.1),
    ],
)
def test_the_finest_level_that_is_allowed_and_there_is_used(finest: str, level: str, name: str, mean: float) -> None:
    decision = ask(levelled(finest), attributes=PLAN, profile=profile_of(scores=SCORES, cluster="c7"))
    assert (decision.level, decision.cell, decision.fallbacks) == (level, name, ())
    assert decision.probabilities == pytest.approx(thompson_probabilities([0.0, mean], [1.0, 1.0]), abs=1e-4)
    assert decision.profile == "p1"


@pytest.mark.parametrize(
    ("cluster", "plan", "level", "name"),
    [
        ("c7", "gold", "cluster", "c7"),
        ("c8", "gold", "segment", "gold"),  # a cluster without posteriors
        ("", "gold", "segment", "gold"),
        ("", "silver", "global", ""),  # the segment that fits has no posteriors
    ],
)
def test_without_individual_scores_the_next_coarser_level_is_used_and_said(
    cluster: str, plan: str, level: str, name: str
) -> None:
    decision = ask(levelled(), attributes={"plan": plan}, profile=profile_of(cluster=cluster))
    assert (decision.level, decision.cell, decision.fallbacks) == (level, name, ())
    old: Record = {"means": [0.0, 0.0], "sds": [1.0, 1.0]}
    outdated = profile_of(cluster=cluster, scores={("hero", "old"): old})
    decision = ask(levelled(), attributes={"plan": plan}, profile=outdated)
    assert (decision.level, decision.cell, decision.fallbacks) == (level, name, ("profile_model",))


def test_without_a_profile_nothing_has_failed() -> None:
    decision = ask(levelled(), attributes=PLAN)
    assert (decision.level, decision.fallbacks, decision.profile) == ("segment", (), "")


@pytest.mark.parametrize(
    ("age_ms", "level", "fallbacks"),
    [
        (-5_000, "individual", ()),  # computed on a clock ahead of the edge's
        (INDIVIDUAL_TTL_MS, "individual", ()),
        (INDIVIDUAL_TTL_MS + 1, "cluster", ("profile_stale",)),
        (CLUSTER_TTL_MS, "cluster", ("profile_stale",)),
        (CLUSTER_TTL_MS + 1, "segment", ("profile_stale",)),
    ],
)
def test_a_stale_profile_counts_less_and_less(age_ms: int, level: str, fallbacks: tuple[str, ...]) -> None:
    profile = profile_of(scores=SCORES, cluster="c7", age_ms=age_ms)
    decision = ask(levelled(), attributes=PLAN, profile=profile)
    assert (decision.level, decision.fallbacks) == (level, fallbacks)


def test_a_touchpoint_may_set_how_old_a_profile_may_be() -> None:
    site = levelled(individual_ttl_ms=1_000, cluster_ttl_ms=2_000)
    levels = [
        ask(site, profile=profile_of(scores=SCORES, cluster="c7", age_ms=age_ms)).level
        for age_ms in (1_000, 1_001, 2_000, 2_001)
    ]
    assert levels == ["individual", "cluster", "cluster", "global"]


@pytest.mark.parametrize(
    ("models", "level", "fallbacks"),
    [
        (["m1"], "individual", ()),
        (["m2", "m1"], "individual", ()),
        (["m3"], "cluster", ("profile_model",)),
        ([], "cluster", ()),  # no model was published: nothing is missing
    ],
)
def test_scores_of_a_model_that_the_snapshot_does_not_accept_are_not_used(
    models: list[str], level: str, fallbacks: tuple[str, ...]
) -> None:
    decision = ask(levelled(models=models), profile=profile_of(scores=SCORES, cluster="c7"))
    assert (decision.level, decision.fallbacks) == (level, fallbacks)


def test_the_first_accepted_model_that_the_profile_holds_counts() -> None:
    scores: dict[tuple[str, str], Record] = {**SCORES, ("hero", "m2"): {"means": [0.0, 5.0], "sds": [1.0, 1.0]}}
    assert ask(levelled(), profile=profile_of(scores=scores)).probabilities[1] > 0.99
    assert ask(levelled(models=["m1", "m2"]), profile=profile_of(scores=scores)).probabilities[1] < 0.7


@pytest.mark.parametrize("damage", [{"means": [0.0], "sds": [1.0]}, {"means": [0.0, 1e9], "sds": [1.0, 1.0]}, {}])
def test_damaged_scores_fall_back_with_the_reason(damage: Record) -> None:
    profile = profile_of(scores=SCORES, cluster="c7")
    profile = Profile(profile.header, f"\nhero\tm1\t{json.dumps(damage)}\n")
    decision = ask(levelled(), profile=profile)
    assert (decision.level, decision.fallbacks) == ("cluster", ("profile_invalid",))


def test_published_probabilities_of_a_person_decide_exactly_what_the_edge_would_integrate() -> None:
    profile = profile_of(scores=SCORES)
    bare = Profile(profile.header, f"\nhero\tm1\t{json.dumps(MINE)}\n")
    published, integrated = (ask(levelled(), profile=each) for each in (profile, bare))
    assert published.distribution is not None and integrated.distribution is not None
    assert published.distribution.thompson == integrated.distribution.thompson
    assert replace(published, distribution=None) == replace(integrated, distribution=None)
    assert published.probabilities == integrated.probabilities


def test_where_targeting_removes_variants_a_persons_posteriors_are_integrated_live() -> None:
    site = publish_hero(
        place("a", "b", variant("c", condition=PLAN), finest="individual", models=["m1"]),
        cells={"global:": cell([0.0, 0.1, 0.2])},
    )
    means, sds = [0.0, 0.4, 0.2], [1.0, 0.5, 0.7]
    decision = ask(site, profile=profile_of(scores={("hero", "m1"): {"means": means, "sds": sds}}))
    assert decision.eligible == ("a", "b")
    assert decision.distribution is not None
    assert decision.distribution.thompson == tuple(live_probabilities(means[:2], sds[:2]))


def test_the_holdout_with_a_profile_is_logged_with_what_it_would_have_been_served() -> None:
    site = publish_hero(
        place("a", "b", finest="individual", models=["m1"]), cells=CELLS, holdout_share=0.5, segments=GOLD
    )
    unit = holdout_unit(site)
    decision = ask(site, unit, profile=profile_of(unit, scores=SCORES))
    assert (decision.variant, decision.propensity, decision.reason) == ("a", 1.0, "holdout")
    assert (decision.level, decision.profile, decision.holdout) == ("individual", "p1", True)
    assert decision.probabilities == pytest.approx(thompson_probabilities([0.0, 0.4], [1.0, 1.0]), abs=1e-4)


def test_a_site_without_global_posteriors_still_decides_where_a_finer_level_has_some() -> None:
    site = publish_hero(place("a", "b", finest="individual", models=["m1"]), cells={})
    assert ask(site).reason == "no_posterior"
    assert ask(site, profile=profile_of(scores=SCORES)).level == "individual"


def test_a_damaged_cell_of_a_cluster_is_named() -> None:
    site = levelled()
    site._lines["cell:hero:cluster:c7"] = "{}"
    with pytest.raises(InvalidSnapshot, match=r"^cell:hero:cluster:c7\.probabilities: "):
        ask(site, profile=profile_of(cluster="c7"))


# The session's shift


def shifted(features: list[str], weights: list[list[float]], covariances: list[object]) -> Snapshot:
    shift = {"features": features, "weights": weights, "covariances": covariances}
    return publish_hero(place("a", "b", shift=shift), cells={"global:": cell([-3.0, -3.0], [0.3, 0.4])})


TWO_FEATURES = shifted(
    ["session.views", "session.referral=search"],
    [[0.0, 0.0], [0.25, -0.5]],
    [[[0.0, 0.0], [0.0, 0.0]], [[0.04, 0.01], [0.01, 0.09]]],
)


@pytest.mark.parametrize(
    ("views", "referral", "mean", "variance"),
    [
        (2, "direct", -3.0 + 0.5, 0.16 + 4 * 0.04),
        (1, "search", -3.0 + 0.25 - 0.5, 0.16 + 0.04 + 2 * 0.01 + 0.09),
        (4, "search", -3.0 + 1.0 - 0.5, 0.16 + 16 * 0.04 + 8 * 0.01 + 0.09),
    ],
)
def test_the_session_moves_means_and_widens_spreads(views: int, referral: str, mean: float, variance: float) -> None:
    decision = ask(TWO_FEATURES, session=Session(started_ms=5, views=views, referral=referral))
    distribution = decision.distribution
    assert distribution is not None
    assert distribution.values == (float(views), float(referral == "search"))
    assert distribution.posterior.means == pytest.approx((-3.0, mean), abs=1e-14)
    assert distribution.posterior.sds == pytest.approx((0.3, variance**0.5), abs=1e-14)
    expected = thompson_probabilities([-3.0, mean], [0.3, variance**0.5])
    assert decision.probabilities == pytest.approx(expected, abs=1e-4)
    assert (decision.level, decision.cell) == ("global", "")


def test_where_all_features_are_zero_nothing_shifts() -> None:
    site = shifted(["session.referral=search"], [[0.0], [3.0]], [[[0.0]], [[0.5]]])
    decision = ask(site, session=Session(started_ms=5, referral="email"))
    distribution = decision.distribution
    assert distribution is not None
    assert distribution.values == ()
    assert list(decision.probabilities) == cell([-3.0, -3.0], [0.3, 0.4])["probabilities"]


@pytest.mark.parametrize(
    ("feature", "session"),
    [
        ("session.referral=social", Session(started_ms=5, referral="social")),
        ("session.preferences.topic=coats", Session(started_ms=5, preferences={"topic": "coats"})),
        ("session.visits", Session(started_ms=5, visits=1)),
    ],
)
def test_what_is_known_at_the_first_view_changes_the_first_decision(feature: str, session: Session) -> None:
    # Cold start: no profile, no history, but where the visitor came from and what they declared.
    site = shifted([feature], [[0.0], [1.5]], [[[0.0]], [[0.0]]])
    cold = publish_hero(place("a", "b"), cells={"global:": cell([-3.0, -3.0], [0.3, 0.4])})
    assert ask(cold, session=session).probabilities[1] == pytest.approx(0.5, abs=1e-9)
    assert ask(site, session=session).probabilities[1] > 0.99


def test_individual_scores_are_shifted_too() -> None:
    shift = {"features": ["session.views"], "weights": [[0.0], [1.0]], "covariances": [[[0.0]], [[0.0]]]}
    site = publish_hero(place("a", "b", finest="individual", models=["m1"], shift=shift), cells=CELLS)
    decision = ask(site, profile=profile_of(scores=SCORES), session=Session(started_ms=5, views=2))
    assert decision.distribution is not None
    assert decision.distribution.posterior.means == (0.0, 2.4)
    assert decision.level == "individual"


# Constraints


def test_a_cap_holds_and_the_rest_takes_what_is_left() -> None:
    site = publish_hero(place(variant("a", cap=0.3), "b", "c"), cells={"global:": cell([3.0, 0.0, 0.0], [0.1] * 3)})
    decision = ask(site)
    assert decision.probabilities == pytest.approx((0.3, 0.35, 0.35), abs=1e-9)
    assert decision.relaxations == ()


def test_caps_that_the_eligible_variants_cannot_meet_are_relaxed_and_logged() -> None:
    variants = variant("a", cap=0.3), variant("b", cap=0.4), variant("c", condition={"device": "mobile"})
    decision = ask(publish_hero(place(*variants)), attributes={"device": "desktop"})
    assert decision.probabilities == (0.5, 0.5)
    assert decision.relaxations == ("caps",)


TAGGED = place(
    variant("coats", interests=["coats", "wool"]), variant("shoes", interests=["shoes"]), "plain", interest_share=0.4
)
FOND_OF_COATS = {"global:": cell([4.0, 0.0, 0.0], [0.1] * 3)}


@pytest.mark.parametrize(
    ("topic", "outside", "share"),
    [
        ("coats", (False, True, False), 0.4),
        ("wool", (False, True, False), 0.4),
        ("hats", (True, True, False), 0.0),  # coats are outside as well, and have more than their share
        ("", (), 0.0),
    ],
)
def test_other_interests_than_the_primary_one_keep_their_share(
    topic: str, outside: tuple[bool, ...], share: float
) -> None:
    site = publish_hero(TAGGED, cells=FOND_OF_COATS, interest="session.preferences.topic")
    decision = ask(site, session=Session(started_ms=5, preferences={"topic": topic} if topic else {}))
    assert decision.distribution is not None
    assert decision.distribution.outside == outside
    assert decision.probabilities[1] == pytest.approx(share, abs=1e-6)
    assert decision.relaxations == ()


def test_the_interest_may_be_an_attribute_of_the_profile_or_of_the_request() -> None:
    for path, attributes, profile in (
        ("profile.topic", {}, profile_of(attributes={"topic": "coats"})),
        ("topic", {"topic": "coats"}, None),
    ):
        site = publish_hero(TAGGED, cells=FOND_OF_COATS, interest=path)
        assert ask(site, attributes=attributes, profile=profile).probabilities[1] == pytest.approx(0.4, abs=1e-9)


def test_an_interest_share_without_a_variant_outside_is_void_and_logged() -> None:
    hero = place(variant("coats", interests=["coats"]), "plain", interest_share=0.4)
    decision = ask(publish_hero(hero, interest="topic"), attributes={"topic": "coats"})
    assert decision.probabilities == pytest.approx((0.5, 0.5), abs=1e-9)
    assert decision.relaxations == ("interest_share",)


def test_a_touchpoint_without_tags_knows_no_interest() -> None:
    decision = ask(publish_hero(place("a", "b", interest_share=0.4), interest="topic"), attributes={"topic": "coats"})
    assert decision.distribution is not None
    assert (decision.distribution.outside, decision.relaxations) == ((), ())


# What is kept


def test_equal_questions_are_integrated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = publish_hero(place("a", "b", variant("c", condition={"device": "mobile"})))
    calls = []

    def counted(means: list[float], sds: list[float]) -> list[float]:
        calls.append(len(means))
        return thompson_probabilities(means, sds)

    monkeypatch.setattr("shared.distribution.thompson_probabilities", counted)
    for device in ("desktop", "mobile", "tablet", "desktop"):
        for k in range(5):
            ask(site, f"u-{k}", {"device": device})
    assert calls == [2]  # all three variants have published probabilities


def test_distributions_of_unlike_questions_are_never_mixed_up() -> None:
    fields = {"finest": "individual", "models": ["m1"]}
    site = publish_hero({**TAGGED, **fields}, cells=FOND_OF_COATS, interest="topic")
    questions = [
        ({"topic": "coats"}, None),
        ({"topic": "shoes"}, None),
        ({}, None),
        ({}, profile_of(cluster="none", scores={("hero", "old"): {"means": [0.0, 0.0], "sds": [1.0, 1.0]}})),
        ({}, profile_of(age_ms=INDIVIDUAL_TTL_MS + 1)),
    ]
    for _ in range(2):
        fallbacks = [ask(site, attributes=attributes, profile=profile).fallbacks for attributes, profile in questions]
        assert fallbacks == [(), (), (), ("profile_model",), ("profile_stale",)]
        shares = [
            ask(site, attributes=attributes, profile=profile).probabilities[1] for attributes, profile in questions
        ]
        assert shares[0] == pytest.approx(0.4, abs=1e-9)
        assert max(shares[1:]) < 1e-6


def test_only_so_much_is_kept_and_the_oldest_goes() -> None:
    site = publish_hero(place("a", "b"))
    for number in range(MOST_KEPT + 3):
        site.keep(number, -number)
    assert [site.recall(number) for number in (0, 2, 3, MOST_KEPT)] == [None, None, -3, -MOST_KEPT]
    assert site.recall("nothing") is None


def test_a_situation_of_another_unit_has_another_draw_from_the_same_distribution() -> None:
    site = publish_hero(place("a", "b"))
    first, second = ask(site, TREATED), ask(site, "u-2")
    assert first.distribution is second.distribution
    assert situation_of(site).snapshot is site


def test_an_interest_that_no_variant_has_is_like_any_other_such() -> None:
    site = publish_hero(TAGGED, cells=FOND_OF_COATS, interest="topic")
    one, two = (ask(site, attributes={"topic": topic}) for topic in ("hats", "gloves"))
    assert one.distribution is two.distribution
    assert one.distribution is not None and len(one.distribution.outside) == len(one.eligible)


def test_a_distribution_shifted_by_a_fraction_is_not_kept() -> None:
    shift = {"features": ["score"], "weights": [[1.0], [0.0]], "covariances": [[[0.0]], [[0.0]]]}
    site = publish_hero(place("a", "b", shift=shift))
    whole = [ask(site, attributes={"score": 2.0}).distribution for _ in range(2)]
    fraction = [ask(site, attributes={"score": 0.25}).distribution for _ in range(2)]
    assert whole[0] is whole[1]
    assert fraction[0] is not fraction[1]
    assert fraction[0] == fraction[1]
