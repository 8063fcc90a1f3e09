from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shared.profile import write_profile
from tests.asking import NOW_MS, Record
from tests.worker.test_page_view import REQUEST, SCORES
from worker.deciding import Deciding
from worker.page_view import PageView

HEADER: Record = {"unit": "u-1", "version": "p", "computed_ms": REQUEST.now_ms, "cluster": "", "attributes": {}}
PROFILE = write_profile(HEADER, SCORES)


class Counted(list[str]):
    """The reasons that were counted."""

    def __call__(self, reason: str, _detail: str = "") -> None:
        self.append(reason)


def finish(deciding: Deciding, meanwhile: Callable[[], None] = lambda: None) -> PageView | None:
    """Finish a page; `meanwhile` is what happens while it waits for its profile."""

    async def wait(reading: object) -> None:
        assert reading is deciding.reading
        meanwhile()

    return asyncio.run(deciding.finish(wait))


def never() -> None:
    raise AssertionError("nothing is waited for")


def levels(view: PageView | None) -> list[str]:
    assert view is not None
    return [slot.decision.level for slot in view.plan.slots]


def test_without_a_profile_to_wait_for_the_page_is_decided_at_once() -> None:
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    assert (deciding.is_done, deciding.view) == (False, None)
    deciding.decide(None)
    assert deciding.is_done
    assert levels(deciding.view) == ["global", "global"]
    assert finish(deciding, never) is deciding.view
    assert counted == []


def test_the_profile_is_taken_as_soon_as_it_is_there() -> None:
    deciding = Deciding(REQUEST, Counted())
    deciding.take_profile(PROFILE, "")
    assert deciding.is_done
    early = deciding.view
    assert levels(early) == ["individual", "global"]
    assert finish(deciding, never) is early


def test_a_profile_that_arrives_within_the_margin_counts() -> None:
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    assert levels(finish(deciding, lambda: deciding.take_profile(PROFILE, ""))) == ["individual", "global"]
    assert counted == []


def test_a_profile_that_is_late_is_counted_and_never_changes_what_was_decided() -> None:
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    decided = finish(deciding)
    deciding.take_profile(PROFILE, "")
    assert levels(decided) == ["global", "global"]
    assert deciding.view is decided
    assert counted == ["profile_deadline"]


def test_a_profile_that_fails_is_counted_and_the_page_is_decided_without() -> None:
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    deciding.take_profile(None, "KV GET failed: 500")
    assert levels(finish(deciding, never)) == ["global", "global"]
    assert counted == ["kv_failed"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [(None, []), (7, []), ("{", ["profile_invalid"]), ('{"format":9}', ["profile_unknown_format"])],
)
def test_what_kv_answers_instead_of_a_profile_is_counted_where_it_is_damaged(text: object, counted: list[str]) -> None:
    seen = Counted()
    deciding = Deciding(REQUEST, seen)
    deciding.take_profile(text, "")
    assert levels(deciding.view) == ["global", "global"]
    assert seen == counted


def test_what_a_plan_fell_back_from_is_counted() -> None:
    counted = Counted()
    Deciding(REQUEST, counted).decide(
        write_profile(HEADER, {("hero", "old"): {"means": [0.0, 0.0], "sds": [1.0, 1.0]}})
    )
    assert counted == ["profile_model"]


def test_a_decision_that_fails_is_counted_and_leaves_the_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("worker.deciding.PageView", failing)
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    deciding.decide(None)
    assert (deciding.view, deciding.is_done, counted) == (None, True, ["decision_failed"])


def test_a_profile_that_is_months_old_is_not_used_and_counted() -> None:
    counted = Counted()
    deciding = Deciding(REQUEST, counted)
    deciding.decide(write_profile({**HEADER, "computed_ms": NOW_MS - 91 * 86_400_000}, {}))
    assert deciding.view is not None
    assert deciding.view.plan.situation.attributes["profile"] == {}
    assert counted == ["profile_stale"]
