from __future__ import annotations

import pytest

from shared.records import AttributeSource
from shared.signing import PREVIEW_PARAMETER, PREVIEW_PURPOSE, read_keys, sign
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, place, publish_hero
from worker.asked import HEADERS, AskedPage, header_names, read_page_request
from worker.page_view import PageRequest
from worker.visitor import PREFERENCES_COOKIE, Visitor, write_visitor

KEYS = read_keys("k:0123456789abcdef")
SITE = publish_hero(place("a", "b"), attributes=[{"attribute": "country", "source": "header", "name": "cf-ipcountry"}])
VISITOR = Visitor(id="v-1", unit="u-1", session_ms=5, seen_ms=NOW_MS - 1_000, visits=2, views=3, referral="email")


def described(url: str = "https://shop.test/men?x=1", method: str = "GET", **headers: str) -> AskedPage:
    """A request as the JavaScript side describes it: headers that are absent are empty lines."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    names = header_names(SITE.header.attributes)
    return AskedPage("\n".join([method, url, *(sent.get(name, "") for name in names.split("\n"))]), names)


def read(asked: AskedPage, site: Snapshot = SITE) -> tuple[PageRequest | None, str | None]:
    return read_page_request(asked, site, ["hero"], KEYS, NOW_MS, lambda count: b"\x01" * count)


def read_well(asked: AskedPage) -> PageRequest:
    request, problem = read(asked)
    assert request is not None and problem is None
    return request


def cookie_of(visitor: Visitor) -> str:
    return write_visitor(visitor, KEYS).partition(";")[0]


def test_a_request_is_read_from_its_lines() -> None:
    asked = described(method="HEAD", accept="text/html", cf_ipcountry="DE")
    assert (asked.method, asked.url, asked.path) == ("HEAD", "https://shop.test/men?x=1", "/men")
    assert (asked.header("accept"), asked.header("cf-ipcountry")) == ("text/html", "DE")
    assert (asked.header("cookie"), asked.header("not-asked-for")) == ("", "")
    assert described("https://shop.test").path == "/"


def test_headers_of_configured_attributes_are_asked_for_as_well() -> None:
    sources = [
        AttributeSource(attribute="country", source="header", name="cf-ipcountry"),
        AttributeSource(attribute="plan", source="query", name="p"),
    ]
    assert header_names(sources).split("\n") == [*HEADERS, "cf-ipcountry"]
    assert header_names([]).split("\n") == list(HEADERS)


def test_a_first_view_is_that_of_a_new_visitor() -> None:
    request = read_well(described(referer="https://www.google.com/", user_agent="Mobi", cf_ipcountry="DE"))
    visitor = request.visitor
    assert (visitor.visits, visitor.views, visitor.referral, visitor.session_ms) == (1, 1, "search", NOW_MS)
    assert request.id == f"{NOW_MS:x}-{'01' * 8}"
    assert request.context == {"path": "/men", "device": "mobile", "referrer": "www.google.com", "country": "DE"}
    assert (request.names, request.snapshot, request.now_ms, request.is_shown) == (["hero"], SITE, NOW_MS, True)
    assert (request.preferences, request.forced, request.profile_key) == ({}, {}, None)


def test_a_known_visitor_goes_on_with_what_they_declared() -> None:
    cookies = f"a=1; {cookie_of(VISITOR)}; {PREFERENCES_COOKIE}=topic:coats"
    request = read_well(described(cookie=cookies, referer="https://t.co/"))
    assert (request.visitor.unit, request.visitor.views, request.visitor.referral) == ("u-1", 4, "email")
    assert request.preferences == {"topic": "coats"}


def test_a_forged_cookie_is_named_and_its_sender_a_stranger() -> None:
    request, problem = read(described(cookie=cookie_of(VISITOR).replace("u-1", "u-2")))
    assert problem == "visitor_cookie_forged"
    assert request is not None
    assert (request.visitor.views, request.visitor.unit) == (1, "AQEBAQEBAQEBAQEBAQEBAQ")


@pytest.mark.parametrize(("signal", "honour", "is_read"), [("1", True, False), ("1", False, True), ("0", True, True)])
def test_global_privacy_control_is_honoured_where_the_site_does(signal: str, honour: bool, is_read: bool) -> None:
    site = publish_hero(place("a", "b"), honour_gpc=honour)
    request, problem = read(described(sec_gpc=signal), site)
    assert (request is not None, problem) == (is_read, None)


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "prerender"])
def test_a_page_fetched_ahead_of_its_time_is_not_shown_yet(purpose: str) -> None:
    assert not read_well(described(sec_purpose=purpose)).is_shown


def link(value: str, before: str = "?") -> str:
    return f"https://shop.test/{before}{PREVIEW_PARAMETER}={value}"


SIGNED = sign(KEYS, PREVIEW_PURPOSE, "hero=b")


@pytest.mark.parametrize(
    ("url", "forced"),
    [
        (link(SIGNED), {"hero": "b"}),
        (link(SIGNED, "?x=1&"), {"hero": "b"}),
        (link(SIGNED.replace("=", "%3D")), {"hero": "b"}),
        (link(SIGNED.replace("hero", "pick")), {}),
        (link(""), {}),
        (link(SIGNED, "#"), {}),
        (f"https://shop.test/{PREVIEW_PARAMETER}", {}),
        (link(SIGNED, "?" + "a=1&" * 200), {}),
    ],
)
def test_a_preview_link_forces_what_it_was_signed_for(url: str, forced: dict[str, str]) -> None:
    assert read_well(described(url)).forced == forced
