from __future__ import annotations

import math

import pytest

from shared.session import Session
from shared.situation import DAY_MS, PROFILE_TTL_MS
from tests.asking import (
    NOW_MS,
    Record,
    ask,
    place,
    profile_of,
    publish,
    publish_hero,
    situation_of,
    variant,
)

INTENT: Record = {"bias": -2.0, "weights": {"session.views": 0.5, "session.referral=email": 1.0}}


def test_session_and_profile_stand_below_the_context_and_nothing_hides_them() -> None:
    site = publish({})
    context = {"device": "mobile", "session": "forged", "profile": {"vip": True}}
    session = Session(started_ms=5, visits=3)
    attributes = situation_of(site, attributes=context, session=session).attributes
    assert attributes["device"] == "mobile"
    assert attributes["profile"] == {}
    assert attributes["session"] == {**session.to_attributes(), "intent": 0.0}
    known = situation_of(site, attributes=context, profile=profile_of(attributes={"orders": 3}))
    assert known.attributes["profile"] == {"orders": 3}


def test_the_intent_is_the_logistic_of_bias_and_weighted_features() -> None:
    site = publish({}, intent=INTENT)
    for views, referral, log_odds in ((1, "direct", -1.5), (4, "email", 1.0), (60, "direct", 28.0)):
        session = situation_of(site, session=Session(started_ms=5, views=views, referral=referral)).attributes[
            "session"
        ]
        assert isinstance(session, dict)
        assert session["intent"] == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-14)


def test_the_intent_may_read_what_conditions_read() -> None:
    site = publish({}, intent={"bias": 0.0, "weights": {"profile.orders": 1.0, "device=mobile": 2.0}})
    session = situation_of(site, profile=profile_of(attributes={"orders": 1})).attributes["session"]
    assert isinstance(session, dict)
    assert session["intent"] == pytest.approx(1 / (1 + math.exp(-3.0)), rel=1e-14)


def test_a_call_to_action_appears_once_the_intent_has_crossed_its_threshold() -> None:
    call = variant("call", condition={"session.intent": {"$gte": 0.6}})
    site = publish_hero(place(call, "quiet"), intent={"bias": -2.0, "weights": {"session.views": 0.5}})
    eligible = [ask(site, session=Session(started_ms=5, views=views)).eligible for views in range(1, 9)]
    # logistic(-2 + 0.5 views) reaches 0.6 at views = (2 + ln 1.5) / 0.5 = 4.8
    assert eligible == [("quiet",)] * 4 + [("call", "quiet")] * 4


def test_segments_may_rest_on_the_session_and_the_profile() -> None:
    segments = [
        {"name": "eager", "condition": {"session.intent": {"$gt": 0.5}}},
        {"name": "loyal", "condition": {"profile.orders": {"$gte": 2}}},
        {"name": "back", "condition": {"session.visits": {"$gt": 1}}},
    ]
    site = publish({}, segments=segments, intent=INTENT)
    for views, visits, orders, expected in ((1, 1, 0, []), (9, 2, 0, ["eager", "back"]), (1, 1, 2, ["loyal"])):
        session = Session(started_ms=5, views=views, visits=visits)
        situation = situation_of(site, session=session, profile=profile_of(attributes={"orders": orders}))
        assert [segment.name for segment in situation.segments] == expected


@pytest.mark.parametrize(
    ("path", "attributes", "interest"),
    [
        ("", {"topic": "coats"}, None),
        ("topic", {"topic": "coats"}, "coats"),
        ("topic", {}, None),
        ("topic", {"topic": ""}, None),
        ("topic", {"topic": ["coats"]}, None),
        ("topic", {"topic": 7}, None),
        ("topic.first", {"topic": {"first": "coats"}}, "coats"),
        ("topic.first", {"topic": "coats"}, None),
        ("session.preferences.topic", {}, "hats"),
    ],
)
def test_the_primary_interest_is_the_text_of_the_configured_attribute(
    path: str, attributes: dict[str, object], interest: str | None
) -> None:
    session = Session(started_ms=5, preferences={"topic": "hats"})
    assert situation_of(publish({}, interest=path), attributes=attributes, session=session).interest == interest


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("session", "session 77"),
        ("day", f"day {NOW_MS // DAY_MS}"),
        ("week", f"week {NOW_MS // (7 * DAY_MS)}"),
        ("snapshot", "snapshot v1"),
        ("forever", "forever"),
    ],
)
def test_the_current_epoch_of_every_kind_has_one_name(kind: str, name: str) -> None:
    situation = situation_of(publish({}), session=Session(started_ms=77))
    assert [situation.epoch(kind) for _ in range(2)] == [name, name]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("session", f"day {NOW_MS // DAY_MS - 1}"),
        ("day", f"day {NOW_MS // DAY_MS}"),
        ("week", f"week {NOW_MS // (7 * DAY_MS)}"),
        ("snapshot", "snapshot v1"),
        ("forever", "forever"),
    ],
)
def test_the_sessions_of_several_devices_share_the_day_they_began_on(kind: str, name: str) -> None:
    session = Session(started_ms=NOW_MS - DAY_MS)
    situation = situation_of(publish({}), session=session, profile=profile_of(several_devices=True))
    assert situation.epoch(kind) == name


@pytest.mark.parametrize("several", [True, False])
def test_the_epoch_of_a_session_lasts_by_both_its_names_and_no_other_epoch_does(several: bool) -> None:
    situation = situation_of(
        publish({}), session=Session(started_ms=NOW_MS), profile=profile_of(several_devices=several)
    )
    today = NOW_MS // DAY_MS
    assert situation.lasts("session", f"session {NOW_MS}")
    assert situation.lasts("session", f"day {today}")
    for other in (f"session {NOW_MS - 1}", f"day {today - 1}", "forever", ""):
        assert not situation.lasts("session", other)
    assert situation.lasts("day", f"day {today}")
    assert not situation.lasts("day", f"session {NOW_MS}")
    assert situation.lasts("forever", "forever")
    assert not situation.lasts("snapshot", "snapshot v0")


def test_a_stale_profile_does_not_say_how_many_devices_there_are() -> None:
    old = profile_of(several_devices=True, age_ms=PROFILE_TTL_MS + 1)
    assert situation_of(publish({}), session=Session(started_ms=7), profile=old).epoch("session") == "session 7"


def test_the_arm_is_known_before_any_touchpoint() -> None:
    everybody, nobody = publish({}, holdout_share=1.0), publish({}, holdout_share=0.0)
    assert situation_of(everybody).is_holdout
    assert not situation_of(nobody).is_holdout


def test_a_profile_that_is_months_old_is_a_missing_one() -> None:
    site = publish_hero(place("a", "b"))
    fresh = situation_of(site, profile=profile_of(attributes={"orders": 3}, age_ms=PROFILE_TTL_MS))
    old = situation_of(site, profile=profile_of(attributes={"orders": 3}, age_ms=PROFILE_TTL_MS + 1))
    assert (fresh.profile is not None, fresh.attributes["profile"]) == (True, {"orders": 3})
    assert (old.profile, old.attributes["profile"]) == (None, {})
