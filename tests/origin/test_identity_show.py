"""Showing whom an id belongs to, and why."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from origin.config import IdentityConfig
from origin.errors import IdentityError
from origin.identity.show import find_person
from origin.identity.showing import print_person
from origin.identity.stitch import stitch
from origin.lake import Lake
from shared.identity import hash_user
from tests.origin.shop import NOON_MS, store
from tests.origin.test_identity_stitch import LATER_MS, identify, view

KEY = b"a-key-of-user-hashes"
ANNA = hash_user(KEY, "anna")


def shown(lake: Lake, wanted: str, key: bytes | None = None) -> list[str]:
    out = Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=200)
    print_person(out, find_person(lake, wanted, key))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def at(moment_ms: int) -> str:
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


@pytest.fixture
def stitched(lake: Lake) -> Lake:
    crossing = {"unit_before": "b", "unit": "a", "type": "crossing"}
    store(lake, [view("a", 0), identify("a", ANNA, 1_000), identify("b", ANNA, 2_000), view("c", 3_000)])
    stitch(lake, IdentityConfig(), LATER_MS)
    store(lake, [identify("b", "", 60_000, **crossing)], "2")
    stitch(lake, IdentityConfig(), LATER_MS)
    return lake


def test_a_person_is_shown_with_its_devices_and_why_each_belongs_to_it(stitched: Lake) -> None:
    assert shown(stitched, "a") == [
        "person a, unit a",
        f"visitor a: first seen {at(NOON_MS)}",
        f"  because of visitor a and user {ANNA}: identify, a-{ANNA}-1000, {at(NOON_MS + 1_000)}",
        f"visitor b: first seen {at(NOON_MS + 2_000)}",
        f"  because of visitor b and user {ANNA}: identify, b-{ANNA}-2000, {at(NOON_MS + 2_000)}",
        f"  took over unit a in place of b, {at(NOON_MS + 60_000)}",
        f"user {ANNA}",
        f"{at(LATER_MS)} merged by visitor a and user {ANNA}: user:{ANNA}, a → a",
        f"{at(LATER_MS)} merged by visitor b and user {ANNA}: a, b → a",
    ]


def test_a_person_is_found_by_every_id(stitched: Lake) -> None:
    person = shown(stitched, "a")
    assert shown(stitched, "b") == shown(stitched, ANNA) == shown(stitched, f"user:{ANNA}") == person
    assert shown(stitched, "anna", KEY) == person


def test_a_visitor_without_links_is_a_person_of_its_own(stitched: Lake) -> None:
    assert shown(stitched, "c") == ["person c, unit c", f"visitor c: first seen {at(NOON_MS + 3_000)}"]


def test_what_was_not_joined_is_shown_with_the_reason(lake: Lake) -> None:
    store(lake, [identify("kiosk", f"u{i}", i * 1_000) for i in range(2)])
    stitch(lake, IdentityConfig(), LATER_MS)
    store(lake, [identify("kiosk", f"u{i}", i * 1_000) for i in range(2, 30)], "2")
    stitch(lake, IdentityConfig(), LATER_MS + 1_000)
    lines = shown(lake, "kiosk")
    reason = "the visitor is shared: more than 3 users within 30 days, so it is linked to nobody"
    assert lines[:3] == [
        "person kiosk, unit kiosk",
        f"visitor kiosk: first seen {at(NOON_MS)}",
        f"not joined visitor kiosk and user u0, identify, kiosk-u0-0, {at(NOON_MS)}: {reason}",
    ]
    assert lines[22] == "not joined 10 more"
    assert f"{at(LATER_MS + 1_000)} undone by visitor kiosk and user u1: kiosk → kiosk" in lines
    assert f"{at(LATER_MS + 1_000)} refused by visitor kiosk and user u9" in lines
    assert shown(lake, "u2")[0] == "person user:u2"


def test_a_user_that_was_given_to_many_is_shown_with_the_reason(lake: Lake) -> None:
    store(lake, [identify(f"v{i:02}", "guest", i * 1_000) for i in range(16)])
    stitch(lake, IdentityConfig(), LATER_MS)
    lines = shown(lake, "guest")
    reason = "the user is shared: more than 15 visitors within 7 days, so it is linked to nobody"
    assert lines[:3] == [
        "person user:guest",
        "user guest",
        f"not joined visitor v00 and user guest, identify, v00-guest-0, {at(NOON_MS)}: {reason}",
    ]
    assert len(lines) == 2 + 16 + 16
    assert lines[-1] == f"{at(LATER_MS)} refused by visitor v15 and user guest"


def test_a_device_too_many_is_shown_with_the_reason(lake: Lake) -> None:
    store(lake, [identify(f"v{i}", "u", i * 1_000) for i in range(3)])
    stitch(lake, IdentityConfig(visitors_per_person=2), LATER_MS)
    link = f"visitor v2 and user u, identify, v2-u-2000, {at(NOON_MS + 2_000)}"
    reason = (
        "the person would have more than 2 visitors, of which the link of a single one counts those of the last 90 days"
    )
    assert shown(lake, "v2")[2] == f"not joined {link}: {reason}"


def test_an_id_that_nobody_knows_is_an_error_with_a_remedy(lake: Lake, stitched: Lake) -> None:
    with pytest.raises(IdentityError) as caught:
        shown(stitched, "anna")
    assert str(caught.value) == (
        "anna: no visitor, user or person of that id is known (set USHER_USER_KEY to find a user by the site's own id)"
    )
    with pytest.raises(IdentityError, match=r"^berta: no visitor, user or person of that id is known$"):
        shown(stitched, "berta", KEY)


def test_before_the_first_stitching_there_is_nothing_to_show(lake: Lake) -> None:
    with pytest.raises(IdentityError, match="nothing is stitched yet; run usher stitch$"):
        shown(lake, "a")
