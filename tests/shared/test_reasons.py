"""Why a variant was shown: every code is reached, and every sentence is made of what the site has words for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.decision import Decision, decide, preview
from shared.reasons import REASONS, say
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import (
    Record,
    ask,
    cell,
    frozen_of,
    holdout_unit,
    place,
    profile_of,
    publish_hero,
    situation_of,
    variant,
)

SURE_OF_B = {"global:": cell([0.0, 9.0])}
PROFILE_PHRASES: Record = {"profile.orders": "you ordered {value} times", "profile.loyal": "you come often"}


def explored() -> Decision:
    site = publish_hero(place(variant("a", floor=0.5), "b"), cells=SURE_OF_B)
    return next(each for k in range(99) if (each := ask(site, f"u-{k}")).variant == "a")


def diverse() -> Decision:
    shoes = place(variant("a", interests=["shoes"]), variant("b", interests=["coats"]), interest_share=0.5)
    site = publish_hero(shoes, cells=SURE_OF_B, interest="session.preferences.topic")
    known = Session(started_ms=5, preferences={"topic": "coats"})
    return next(each for k in range(99) if (each := ask(site, f"u-{k}", session=known)).variant == "a")


def targeted() -> Decision:
    phone = variant("a", condition={"device": "mobile"}, because="it is made for small screens")
    return ask(publish_hero(place(phone, "b"), cells={"global:": cell([9.0, 0.0])}))


def of_session(session: Session, phrases: Record | None = None) -> Decision:
    shift = {
        "features": ["session.views", "session.referral=search", "session.preferences.topic=coats"],
        "weights": [[0.0, 0.0, 0.0], [0.5, 2.0, -4.0]],
        "covariances": [[[0.0] * 3] * 3] * 2,
    }
    known = {"session.views": "you looked at {value} pages"} if phrases is None else phrases
    return ask(publish_hero(place("a", "b", shift=shift), cells=SURE_OF_B, phrases=known), session=session)


def individual(profile_attributes: Record, phrases: Record = PROFILE_PHRASES) -> Decision:
    site = publish_hero(place("a", "b", finest="individual", models=["m"]), phrases=phrases)
    scores: dict[tuple[str, str], Record] = {("hero", "m"): {"means": [0.0, 9.0], "sds": [1.0, 1.0]}}
    return ask(site, profile=profile_of(scores=scores, attributes=profile_attributes))


def cluster() -> Decision:
    site = publish_hero(place("a", "b", finest="cluster"), cells={"cluster:c1": cell([0.0, 0.0])})
    return ask(site, profile=profile_of(cluster="c1"))


def segment(because: str = "") -> Decision:
    gold: Record = {"name": "gold", "condition": {"plan": "gold"}, "because": because}
    site = publish_hero(place("a", "b"), cells={"segment:gold": cell([0.0, 0.0])}, segments=[gold])
    return ask(site, attributes={"plan": "gold"})


def plain() -> Snapshot:
    return publish_hero(place("a", "b"))


def kept() -> Decision:
    return ask(plain(), frozen=frozen_of(ask(plain())))


def holdout() -> Decision:
    site = publish_hero(place("a", "b"), holdout_share=0.5)
    return ask(site, holdout_unit(site))


MADE: dict[str, Callable[[], Decision]] = {
    "explored": explored,
    "diverse": diverse,
    "targeted": targeted,
    "session": lambda: of_session(Session(started_ms=5)),
    "individual": lambda: individual({}),
    "cluster": cluster,
    "segment": segment,
    "global": lambda: ask(plain()),
    "kept": kept,
    "holdout": holdout,
    "nothing_eligible": lambda: ask(publish_hero(place(variant("a", condition={"device": "watch"})))),
    "no_posterior": lambda: ask(publish_hero(place("a", "b"), cells={})),
    "preview": lambda: preview("hero", 1, situation_of(plain())),
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_given_and_has_a_sentence(reason: str) -> None:
    decision = MADE[reason]()
    assert decision.reason == reason
    assert decision.because.startswith("because ")
    assert len(decision.because) > len("because it is")


def test_a_variant_shown_to_learn_is_explored_and_a_likely_one_is_not() -> None:
    site = publish_hero(place(variant("a", floor=0.5), variant("b", floor=0.5)), cells=SURE_OF_B)
    reasons = {(each.variant, each.reason) for k in range(60) for each in [ask(site, f"u-{k}")]}
    assert reasons == {("a", "explored"), ("b", "global")}


def test_a_variant_at_a_floor_that_had_to_be_scaled_is_explored_all_the_same() -> None:
    floors = {"a": 0.6, "b": 0.6, "c": 0.4}
    # Only phones see b and c, whose floors need not fit together when the configuration is compiled.
    phone = {"condition": {"device": "mobile"}}
    variants = [variant("a", floor=0.6), variant("b", floor=0.6, **phone), variant("c", floor=0.4, **phone)]
    site = publish_hero(place(*variants), cells={"global:": cell([0.0, 9.0, 0.0])})
    decisions = [ask(site, f"u-{k}") for k in range(60)]
    assert {each.relaxations for each in decisions} == {("floors",)}
    assert decisions[0].probabilities == pytest.approx([floor / 1.6 for floor in floors.values()], abs=1e-12)
    assert {(each.variant, each.reason) for each in decisions} == {
        ("a", "explored"),
        ("b", "targeted"),
        ("c", "explored"),
    }


def test_other_interests_are_no_reason_where_they_would_have_had_their_share_anyway() -> None:
    listed = place(variant("a", interests=["shoes"]), variant("b", interests=["coats"]), interest_share=0.5)
    site = publish_hero(listed, cells=SURE_OF_B, interest="session.preferences.topic")
    known = Session(started_ms=5, preferences={"topic": "shoes"})
    assert {ask(site, f"u-{k}", session=known).reason for k in range(60)} == {"global"}


def test_a_targeted_variant_tells_whom_it_is_for() -> None:
    assert targeted().because == "because it is made for small screens"
    silent = publish_hero(place(variant("a", condition={"device": "mobile"})))
    assert ask(silent).because == "because it is meant for visits like this one"


@pytest.mark.parametrize(
    ("session", "phrases", "because"),
    [
        (Session(started_ms=5, views=3), None, "because you looked at 3 pages"),
        # The search counts 2, four views count 2 as well, five count more.
        (Session(started_ms=5, views=4, referral="search"), None, "because you looked at 4 pages"),
        (Session(started_ms=5, views=5, referral="search"), None, "because you looked at 5 pages"),
        (Session(started_ms=5, views=3, referral="search"), None, "because of what you did during this visit"),
        (
            Session(started_ms=5, views=3, referral="search"),
            {"session.referral=search": "you came from a {value} engine"},
            "because you came from a search engine",
        ),
        (Session(started_ms=5, views=3), {}, "because of what you did during this visit"),
        (
            Session(started_ms=5, views=3, preferences={"topic": "coats"}),
            {"session.preferences.topic=coats": "you like {value}", "session.views": "you saw {value}"},
            "because you saw 3",  # the preference speaks against the variant
        ),
    ],
)
def test_what_the_session_shifted_most_in_its_favour_is_told(
    session: Session, phrases: Record | None, because: str
) -> None:
    assert of_session(session, phrases).because == because


def test_a_session_that_speaks_for_another_variant_is_no_reason() -> None:
    shift = {"features": ["session.views"], "weights": [[1.0], [0.0]], "covariances": [[[0.0]], [[0.0]]]}
    site = publish_hero(place("a", "b", shift=shift), cells={"global:": cell([0.0, 20.0])})
    assert ask(site).reason == "global"


@pytest.mark.parametrize(
    ("attributes", "phrases", "because"),
    [
        ({}, PROFILE_PHRASES, "because of what you liked on earlier visits"),
        ({"orders": 3}, PROFILE_PHRASES, "because you ordered 3 times"),
        ({"orders": 2.5}, PROFILE_PHRASES, "because you ordered 2.5 times"),
        ({"loyal": True}, PROFILE_PHRASES, "because you come often"),
        ({"orders": 1, "loyal": True}, PROFILE_PHRASES, "because you ordered 1 times"),
        ({"orders": 3}, {"session.views": "you saw {value}"}, "because of what you liked on earlier visits"),
        ({"best": "hats"}, {"profile.best=hats": "you liked {value}"}, "because you liked hats"),
        (
            {"best": ["shoes", "pregnancy", "hats"]},
            {"profile.best=hats": "you liked {value}"},
            "because you liked hats",
        ),
        ({"best": "pregnancy"}, {"profile.best": "you liked {value}"}, "because of what you liked on earlier visits"),
        ({"best": "{value}"}, {"profile.best={value}": "you liked {value}"}, "because you liked {value}"),
    ],
)
def test_the_first_phrase_that_holds_of_the_profile_is_told(attributes: Record, phrases: Record, because: str) -> None:
    assert individual(attributes, phrases).because == because


def test_a_number_too_large_for_a_double_is_told_all_the_same() -> None:
    # JSON has no largest integer, and a profile's attributes are the site's own.
    assert individual({"orders": 10**400}).reason == "individual"


def test_a_segment_tells_what_it_is_about() -> None:
    assert segment("you are a gold member").because == "because you are a gold member"
    assert segment().because == "because visitors in a situation like yours liked it"


def test_a_sentence_falls_back_to_the_codes_own() -> None:
    assert say("kept") == f"because {REASONS['kept']}"
    assert say("kept", "of me") == "because of me"


def test_what_happens_outside_the_phrases_never_reaches_the_sentence() -> None:
    site = publish_hero(place("a", "b"), phrases=PROFILE_PHRASES)
    loud = situation_of(
        site, attributes={"plan": "SECRET"}, profile=profile_of(attributes={"orders": 7, "note": "SECRET"})
    )
    decision = decide("hero", loud)
    assert decision.because == "because it was drawn by how well each alternative has done with all visitors"
