from __future__ import annotations

import json
from typing import Any, Final

import pytest

from shared.decision import decide
from shared.session import Session
from shared.signing import PREVIEW_PURPOSE, read_keys, sign
from shared.situation import Situation
from shared.snapshot import Snapshot, write_snapshot
from tests.asking import (
    NOW_MS,
    Record,
    cell,
    frozen_of,
    place,
    profile_of,
    publish,
    publish_hero,
    situation_of,
    variant,
)
from worker.plan import Slot, expose, plan_page, read_preview

KEYS = read_keys("k:0123456789abcdef")
GOLD_PHONE = {"device": "mobile", "plan": "gold"}


def gold(site: Snapshot, unit: str = "u-1") -> Situation:
    return situation_of(site, unit, GOLD_PHONE)


@pytest.mark.parametrize(
    ("path", "names"),
    [("/", ["hero", "banner"]), ("/men/shoes", ["hero"]), ("/men", []), ("/women/", []), ("", [])],
)
def test_the_touchpoints_of_a_page_are_those_whose_patterns_match(site: Snapshot, path: str, names: list[str]) -> None:
    assert site.touchpoints_on(path) == site.touchpoints_on(path) == names


def test_every_touchpoint_of_the_page_is_decided_and_carries_its_html(site: Snapshot) -> None:
    situation = gold(site)
    plan = plan_page(["hero", "banner"], situation, (), forced={})
    assert [slot.decision for slot in plan.slots] == [decide(name, situation) for name in ("hero", "banner")]
    for slot in plan.slots:
        assert slot.html == site.html(slot.decision.touchpoint, slot.decision.variant_index)
    assert (plan.situation, plan.failures) == (situation, ())


@pytest.mark.parametrize(("name", "html"), [("craft", "<b>craft</b>"), ("house", None)])
def test_a_preview_shows_the_variant_it_names_to_anybody(site: Snapshot, name: str, html: str | None) -> None:
    for k in range(30):
        situation = situation_of(site, f"u-{k}", {"device": "desktop"})
        [slot] = plan_page(["hero"], situation, (), forced={"hero": name}).slots
        assert (slot.decision.variant, slot.decision.reason, slot.html) == (name, "preview", html)


@pytest.mark.parametrize("forced", [{"hero": "gone"}, {"gone": "house"}, {"banner": "sale"}])
def test_a_preview_of_something_else_changes_nothing(site: Snapshot, forced: dict[str, str]) -> None:
    plan = plan_page(["hero"], gold(site), (), forced=forced)
    assert [slot.decision for slot in plan.slots] == [decide("hero", gold(site))]


@pytest.mark.parametrize("damage", ['"house"', '"means":[-3.0'])
def test_a_touchpoint_that_fails_is_counted_and_the_others_go_on(
    site_header: Record, site_records: dict[str, Record], damage: str
) -> None:
    text = write_snapshot(site_header, site_records).replace(damage, f"!{damage}")
    plan = plan_page(["hero", "banner"], situation_of(Snapshot.from_text(text)), (), forced={})
    assert [slot.decision.touchpoint for slot in plan.slots] == ["banner"]
    assert plan.failures == ("touchpoint_invalid",)


def test_a_touchpoint_whose_html_is_damaged_is_off_for_everybody_once_that_was_seen(
    site_header: Record, site_records: dict[str, Record]
) -> None:
    """Were it off for those who draw the variant only, they would be missing from the log, and others would not."""
    text = write_snapshot(site_header, site_records).replace('"<b>offer</b>"', '"<b>offer</b>')
    situation = situation_of(Snapshot.from_text(text))
    for name, is_served in (("craft", True), ("offer", False), ("craft", False)):
        plan = plan_page(["hero", "banner"], situation, (), forced={"hero": name})
        assert [slot.decision.touchpoint for slot in plan.slots] == (["hero"] if is_served else []) + ["banner"]
        assert plan.failures == (() if is_served else ("touchpoint_invalid",))


def test_what_a_decision_fell_back_from_is_counted_once_a_touchpoint() -> None:
    hero = place("a", "b", finest="individual", models=["m"])
    site = publish({"touchpoint:hero": hero, "touchpoint:pick": hero, "cell:hero:global:": cell([0.0, 0.0])})
    damaged = profile_of(scores={("hero", "m"): {"means": [0.0], "sds": [1.0]}})
    plan = plan_page(["hero", "pick"], situation_of(site, profile=damaged), (), forced={})
    assert plan.failures == ("profile_invalid",)  # nothing was drawn for the second, which has no posteriors
    stale = situation_of(site, profile=profile_of(age_ms=5 * 86_400_000))
    assert plan_page(["hero"], stale, (), forced={}).failures == ("profile_stale",)


def test_a_page_without_touchpoints_has_an_empty_plan(site: Snapshot) -> None:
    plan = plan_page([], situation_of(site), (), forced={})
    assert (plan.slots, plan.failures) == ((), ())


def test_a_slate_writes_the_html_of_its_variants_in_their_order() -> None:
    html = {"a": "<p>a</p>", "b": None, "c": "<p>c</p>"}
    site = publish_hero(place(*[variant(name, html=text) for name, text in html.items()], slots=3))
    orders = set()
    for k in range(40):
        [slot] = plan_page(["hero"], situation_of(site, f"u-{k}"), (), forced={}).slots
        assert slot.html == "".join(html[name] or "" for name in slot.decision.slate)
        orders.add(slot.html)
    assert orders == {"<p>a</p><p>c</p>", "<p>c</p><p>a</p>"}


def test_a_signed_preview_names_a_touchpoint_and_a_variant() -> None:
    assert read_preview(KEYS, sign(KEYS, PREVIEW_PURPOSE, "hero=craft=2")) == {"hero": "craft=2"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "hero=craft",
        "k.hero=craft.AAAAAAAAAAAAAAAAAAAAAA",
        sign(KEYS, "visitor", "hero=craft"),
        sign(KEYS, PREVIEW_PURPOSE, "hero"),
        sign(KEYS, PREVIEW_PURPOSE, "hero="),
        sign(KEYS, PREVIEW_PURPOSE, ""),
        sign(read_keys("k:another-secret-of-16"), PREVIEW_PURPOSE, "hero=craft"),
    ],
)
def test_a_preview_that_is_not_signed_or_incomplete_is_ignored(value: str | None) -> None:
    assert read_preview(KEYS, value) == {}


VIEW: Final[Any] = {"visitor": "v-9", "page_view": "pv-1", "user_agent": "Mobi", "is_shown": False}


def test_an_exposure_tells_the_decision_the_segments_the_context_and_the_session(site: Snapshot) -> None:
    context = {**GOLD_PHONE, "path": "/men/"}
    session = Session(started_ms=5, views=4, referral="email", preferences={"topic": "coats"})
    situation = situation_of(site, attributes=context, session=session, profile=profile_of(attributes={"orders": 3}))
    plan = plan_page(["hero"], situation, (), forced={})
    slot: Slot = plan.slots[0]
    exposures = expose(plan, **VIEW)
    stored = json.loads(json.dumps({**exposures.common(), **exposures.own(slot.decision)}))
    assert stored["event_id"] == "pv-1-hero"
    assert (stored["user_agent"], stored["is_shown"], stored["session_ms"]) == ("Mobi", False, 5)
    assert (stored["visitor"], stored["unit"], stored["page_view"]) == ("v-9", "u-1", "pv-1")
    assert (stored["created_ms"], stored["received_ms"]) == (NOW_MS, NOW_MS)
    assert (stored["segments"], stored["context"], stored["url_path"]) == (["vip"], context, "/men/")
    assert stored["session"] == {**session.to_attributes(), "intent": 0.0}
    assert (stored["propensity"], stored["profile"]) == (slot.decision.propensity, "p1")


def test_a_page_of_unknown_path_is_exposed_as_the_root(site: Snapshot) -> None:
    plan = plan_page(["hero"], gold(site), (), forced={})
    assert expose(plan, **VIEW).url_path == "/"


def test_what_was_decided_is_repeated_whatever_the_context_becomes(site: Snapshot) -> None:
    [before] = plan_page(["hero"], gold(site), (), forced={}).slots
    assert (before.decision.holdout, before.decision.cell) == (False, "vip")
    later = situation_of(site, attributes={"device": "mobile"}, now_ms=NOW_MS + 1)
    [then] = plan_page(["hero", "banner"], later, [frozen_of(before.decision)], forced={}).slots[:1]
    assert (then.decision.variant, then.decision.propensity) == (before.decision.variant, before.decision.propensity)
    assert (then.decision.cell, then.decision.snapshot) == ("vip", before.decision.snapshot)
    assert then.decision.reason == "kept"
    assert then.html == before.html
