"""A page from the moment it is asked for: when it is decided, and what is done with it when it has come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shared.profile import PROFILE_KEY, write_profile
from shared.session import Session
from shared.signing import Keys, read_keys
from shared.snapshot import WHOLE_SITE, Snapshot
from tests.asking import NOW_MS, Record, cell, place, publish
from worker.asked import AskedPage, header_names
from worker.cookies import COOKIE
from worker.deciding import AS_IT_IS, Deciding
from worker.page_view import PageView
from worker.visitor import Visitor, read_visitor, write_visitor

KEYS = read_keys("k:0123456789abcdef")
HERO = place("a", "b", finest="individual", models=["m"])
CELLS: dict[str, Record] = {f"cell:{name}:global:": cell([0.0, 0.1]) for name in ("hero", "pick")}
SITE = publish(
    {"touchpoint:hero": HERO, "touchpoint:pick": place("a", "b"), **CELLS},
    pages={"hero": ["/"], "pick": ["/"]},
    has_profiles=True,
)
VISITOR = Visitor("v-1", "u-1", Session(started_ms=NOW_MS - 2_000, seen_ms=NOW_MS - 1_000, visits=2, views=3))
COOKIES = write_visitor(VISITOR, KEYS)[0].partition(";")[0]
HEADER: Record = {"unit": "u-1", "version": "p", "computed_ms": NOW_MS, "cluster": "", "attributes": {}}
PROFILE = write_profile(HEADER, {("hero", "m"): {"means": [0.0, 0.4], "sds": [1.0, 1.0]}})
PAGE = "200\ntext/html; charset=utf-8\n"


class Counted(list[str]):
    """The reasons that were counted."""

    def __call__(self, reason: str, _detail: str = "") -> None:
        self.append(reason)


def asked_for(method: str = "GET", **headers: str) -> AskedPage:
    sent = {"cookie": COOKIES, **{name.replace("_", "-"): value for name, value in headers.items()}}
    names = header_names(SITE.header.attributes)
    values = [sent.get(name, "") for name in names.split("\n")]
    return AskedPage("\n".join([method, "https://shop.test/", *values]), names)


def start(
    counted: Counted,
    asked: AskedPage | None = None,
    *,
    snapshot: Snapshot | None = SITE,
    keys: Keys | None = KEYS,
    off: Iterable[str] = (),
) -> Deciding:
    deciding = Deciding(NOW_MS, keys, counted)
    deciding.start(asked or asked_for(), snapshot, bytes, tuple(off))
    return deciding


def levels(view: PageView | None) -> list[str]:
    assert view is not None
    return [slot.decision.level for slot in view.plan.slots]


def test_without_a_profile_to_wait_for_the_page_is_decided_at_once() -> None:
    counted = Counted()
    deciding = start(counted, asked_for(cookie=""))
    assert deciding.profile_key is None
    assert levels(deciding.view) == ["global", "global"]
    assert deciding.answer(PAGE) is not None
    assert counted == []


def test_what_is_written_are_the_cookie_the_script_and_the_slots_in_turn() -> None:
    deciding = start(Counted())
    deciding.take_profile(PROFILE, "")
    answer = deciding.answer(PAGE)
    assert answer is not None and deciding.view is not None
    cookie, script, *slots = answer
    assert cookie is not None and cookie.startswith(f"{COOKIE}=k.3!v-1!u-1!")
    assert read_visitor(cookie.partition(";")[0], KEYS) == (deciding.view.visitor, None)
    assert script is not None and f'data-view="{deciding.view.request.id}"' in script
    assert slots == ["hero", None, "pick", None]


def test_the_profile_is_taken_as_soon_as_it_is_there() -> None:
    deciding = start(Counted())
    assert (deciding.profile_key, deciding.view) == (f"{PROFILE_KEY}v-1", None)
    deciding.take_profile(PROFILE, "")
    early = deciding.view
    assert levels(early) == ["individual", "global"]
    assert deciding.answer(PAGE) is not None
    assert deciding.view is early


def test_a_profile_that_arrives_within_the_margin_counts() -> None:
    counted = Counted()
    deciding = start(counted)
    assert deciding.answer(PAGE) is None
    deciding.take_profile(PROFILE, "")
    assert deciding.answer(PAGE) is not None
    assert levels(deciding.view) == ["individual", "global"]
    assert counted == []


def test_a_profile_that_is_late_is_counted_and_never_changes_what_was_decided() -> None:
    counted = Counted()
    deciding = start(counted)
    assert deciding.answer(PAGE) is None
    assert deciding.answer(PAGE) is not None
    decided = deciding.view
    deciding.take_profile(PROFILE, "")
    assert levels(decided) == ["global", "global"]
    assert deciding.view is decided
    assert counted == ["profile_deadline"]


@pytest.mark.parametrize("described", ["304\n\n", "200\nimage/svg+xml\n", "502\ntext/plain\n", "200\ntext/html\nzstd"])
def test_what_is_no_page_to_write_into_stays_as_it_is_and_waits_for_nothing(described: str) -> None:
    counted = Counted()
    deciding = start(counted)
    assert deciding.answer(described) == AS_IT_IS
    assert (deciding.view, counted) == (None, [])


@pytest.mark.parametrize(
    ("snapshot", "keys", "off", "counted"),
    [
        (None, KEYS, (), ["no_snapshot"]),
        (SITE, None, (), []),
        (SITE, KEYS, (WHOLE_SITE,), ["switched_off"]),
    ],
)
def test_where_nothing_can_be_decided_the_page_passes_without_a_cookie(
    snapshot: Snapshot | None, keys: Keys | None, off: tuple[str, ...], counted: list[str]
) -> None:
    seen = Counted()
    deciding = start(seen, snapshot=snapshot, keys=keys, off=off)
    assert (deciding.profile_key, deciding.view, deciding.answer(PAGE)) == (None, None, [""])
    deciding.take_profile(PROFILE, "")
    assert (deciding.view, seen) == (None, counted)


def test_a_page_without_a_body_is_not_decided() -> None:
    counted = Counted()
    deciding = start(counted, asked_for("HEAD"))
    assert (deciding.view, deciding.answer(PAGE), counted) == (None, [""], [])


def test_who_may_not_be_told_apart_loses_the_cookies() -> None:
    counted = Counted()
    deciding = start(counted, asked_for(sec_gpc="1"))
    assert deciding.answer(PAGE) == [f"{COOKIE}=; Path=/; Max-Age=0; Secure; SameSite=Lax"]
    assert (deciding.view, counted) == (None, [])


def test_what_is_switched_off_is_not_written() -> None:
    deciding = start(Counted(), off=["hero"])
    deciding.take_profile(PROFILE, "")
    answer = deciding.answer(PAGE)
    assert answer is not None and answer[2:] == ["pick", None]


def test_a_cookie_that_is_not_believed_and_one_that_is_full_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    deciding = start(counted, asked_for(cookie=COOKIES.replace("v-1", "v-2")))
    assert counted == ["visitor_cookie_forged"]
    monkeypatch.setattr("worker.deciding.write_visitor", lambda *_: ("cookie", "cookie_full"))
    answer = deciding.answer(PAGE)
    assert answer is not None and answer[0] == "cookie"
    assert counted == ["visitor_cookie_forged", "cookie_full"]


def test_a_profile_that_fails_is_counted_and_the_page_is_decided_without() -> None:
    counted = Counted()
    deciding = start(counted)
    deciding.take_profile(None, "KV GET failed: 500")
    assert levels(deciding.view) == ["global", "global"]
    assert counted == ["kv_failed"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [(None, []), (7, []), ("{", ["profile_invalid"]), ('{"format":9}', ["profile_unknown_format"])],
)
def test_what_kv_answers_instead_of_a_profile_is_counted_where_it_is_damaged(text: object, counted: list[str]) -> None:
    seen = Counted()
    deciding = start(seen)
    deciding.take_profile(text, "")
    assert levels(deciding.view) == ["global", "global"]
    assert seen == counted


def test_what_a_plan_fell_back_from_is_counted() -> None:
    counted = Counted()
    start(counted).take_profile(write_profile(HEADER, {("hero", "old"): {"means": [0.0, 0.0], "sds": [1.0, 1.0]}}), "")
    assert counted == ["profile_model"]


def test_a_decision_that_fails_is_counted_and_leaves_the_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("worker.deciding.PageView", failing)
    counted = Counted()
    deciding = start(counted)
    deciding.take_profile(None, "")
    assert (deciding.view, deciding.answer(PAGE), counted) == (None, [""], ["decision_failed"])


def test_a_request_that_cannot_be_read_is_counted_and_leaves_the_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("worker.deciding.read_page_request", failing)
    counted = Counted()
    assert start(counted).answer(PAGE) == [""]
    assert counted == ["decision_failed"]


def test_a_profile_that_is_months_old_is_not_used_and_counted() -> None:
    counted = Counted()
    deciding = start(counted)
    deciding.take_profile(write_profile({**HEADER, "computed_ms": NOW_MS - 91 * 86_400_000}, {}), "")
    assert deciding.view is not None
    assert deciding.view.plan.situation.attributes["profile"] == {}
    assert counted == ["profile_stale"]
