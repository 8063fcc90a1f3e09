from __future__ import annotations

import json

import pytest

from shared.decision import Unit, decide
from shared.signing import PREVIEW_PURPOSE, read_keys, sign
from shared.snapshot import Snapshot, write_snapshot
from worker.plan import Slot, expose, plan_page, read_preview, touchpoints_on
from worker.visitor import Visitor, remember

Record = dict[str, object]

KEYS = read_keys("k:0123456789abcdef")
UNIT = Unit(id="u-1", session_ms=5)
NOW_MS = 1_700_000_000_000
PHONE = {"device": "mobile", "plan": "gold"}


def as_visitor(unit: Unit) -> Visitor:
    return Visitor(id="v-1", unit=unit.id, session_ms=unit.session_ms, seen_ms=NOW_MS)


@pytest.mark.parametrize(
    ("path", "names"),
    [("/", ["hero", "banner"]), ("/men/shoes", ["hero"]), ("/men", []), ("/women/", []), ("", [])],
)
def test_the_touchpoints_of_a_page_are_those_whose_patterns_match(site: Snapshot, path: str, names: list[str]) -> None:
    assert touchpoints_on(site, path) == names


def test_every_touchpoint_of_the_page_is_decided_and_carries_its_html(site: Snapshot) -> None:
    plan = plan_page(["hero", "banner"], site, as_visitor(UNIT), PHONE, NOW_MS, forced={})
    expected = [decide(name, UNIT, site, PHONE, NOW_MS) for name in ("hero", "banner")]
    assert [slot.decision for slot in plan.slots] == expected
    for slot in plan.slots:
        variant = site.touchpoint(slot.decision.touchpoint).variants[slot.decision.variant_index]
        assert slot.html == variant.html
    assert (plan.segments, plan.failures) == (("vip",), ())


@pytest.mark.parametrize(("variant", "html"), [("craft", "<b>craft</b>"), ("house", None)])
def test_a_preview_shows_the_variant_it_names_to_anybody(site: Snapshot, variant: str, html: str | None) -> None:
    for k in range(30):
        unit = Unit(id=f"u-{k}", session_ms=5)
        slot = plan_page(
            ["hero"], site, as_visitor(unit), {"device": "desktop"}, NOW_MS, forced={"hero": variant}
        ).slots[0]
        assert (slot.decision.variant, slot.decision.reason, slot.html) == (variant, "preview", html)


@pytest.mark.parametrize("forced", [{"hero": "gone"}, {"gone": "house"}, {"banner": "sale"}])
def test_a_preview_of_something_else_changes_nothing(site: Snapshot, forced: dict[str, str]) -> None:
    plan = plan_page(["hero"], site, as_visitor(UNIT), PHONE, NOW_MS, forced=forced)
    assert [slot.decision for slot in plan.slots] == [decide("hero", UNIT, site, PHONE, NOW_MS)]


@pytest.mark.parametrize("damage", ['"house"', '"means":[-3.0'])
def test_a_touchpoint_that_fails_is_counted_and_the_others_go_on(
    site_header: Record, site_records: dict[str, Record], damage: str
) -> None:
    text = write_snapshot(site_header, site_records).replace(damage, f"!{damage}")
    plan = plan_page(["hero", "banner"], Snapshot.from_text(text), as_visitor(UNIT), {}, NOW_MS, forced={})
    assert [slot.decision.touchpoint for slot in plan.slots] == ["banner"]
    assert plan.failures == ("touchpoint_invalid",)


def test_a_page_without_touchpoints_has_an_empty_plan(site: Snapshot) -> None:
    plan = plan_page([], site, as_visitor(UNIT), {}, NOW_MS, forced={})
    assert (plan.slots, plan.failures) == ((), ())


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


def test_an_exposure_tells_the_decision_the_segments_and_the_context(site: Snapshot) -> None:
    plan = plan_page(["hero"], site, as_visitor(UNIT), PHONE, NOW_MS, forced={})
    slot: Slot = plan.slots[0]
    context = {"device": "mobile", "path": "/men/"}
    event = expose(slot, plan, context, visitor="v-9", page_view="pv-1", now_ms=NOW_MS)
    stored = json.loads(json.dumps(event.to_dict()))
    assert stored["event_id"] == "pv-1-hero"
    assert (stored["visitor"], stored["unit"], stored["page_view"]) == ("v-9", "u-1", "pv-1")
    assert (stored["created_ms"], stored["received_ms"]) == (NOW_MS, NOW_MS)
    assert (stored["segments"], stored["context"], stored["url_path"]) == (["vip"], context, "/men/")
    assert stored["propensity"] == slot.decision.propensity


def test_what_was_decided_is_repeated_whatever_the_context_becomes(site: Snapshot) -> None:
    first = plan_page(["hero"], site, as_visitor(UNIT), PHONE, NOW_MS, forced={})
    visitor = remember(as_visitor(UNIT), [slot.decision for slot in first.slots])
    [then] = plan_page(["hero"], site, visitor, {"device": "mobile"}, NOW_MS + 1, forced={}).slots
    [before] = first.slots
    if before.decision.holdout:
        pytest.fail("the unit of this test is not in the holdout")
    assert before.decision.cell == "vip"
    assert (then.decision.variant, then.decision.propensity) == (before.decision.variant, before.decision.propensity)
    assert (then.decision.cell, then.decision.snapshot) == ("vip", before.decision.snapshot)
    assert then.decision.reason == "kept"
    assert then.html == before.html
