from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from shared.errors import InvalidEvent
from shared.events import BROWSER, PAGE_VIEW_ID, SERVER, read_event
from shared.records import AttributeSource
from shared.session import Session, Viewed, fold, start
from shared.session.fold import DAY_MS
from shared.signing import PREVIEW_PARAMETER, PREVIEW_PURPOSE, read_keys, sign
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, events_of, place, profile_of, publish_hero
from tests.sending import event, given
from worker.asked import HEADERS, AskedPage, header_names, read_page_request
from worker.cookies import LEFT_COOKIE, PREFERENCES_COOKIE
from worker.page_view import PageRequest, PageView
from worker.visitor import Visitor, read_visitor, write_visitor

KEYS = read_keys("k:0123456789abcdef")
SITE = publish_hero(
    place("a", "b"),
    attributes=[{"attribute": "country", "source": "header", "name": "cf-ipcountry"}],
    pages={"hero": ["/", "/men"]},
    categories=[["men", ["/men*"]], ["pricing", ["/pricing"]]],
    questions={"topic": ["coats", "shoes"], "size": ["xl"]},
)
SESSION = Session(
    started_ms=5, seen_ms=NOW_MS - 1_000, visits=2, views=3, referral="email", preferences={"topic": "coats"}
)
VISITOR = Visitor("v-1", "u-1", SESSION)


def described(url: str = "https://shop.test/men?x=1", method: str = "GET", **headers: str) -> AskedPage:
    """A request as the JavaScript side describes it: headers that are absent are empty lines."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    names = header_names(SITE.header.attributes)
    return AskedPage("\n".join([method, url, *(sent.get(name, "") for name in names.split("\n"))]), names)


def read(asked: AskedPage, site: Snapshot = SITE) -> tuple[PageRequest | None, list[str]]:
    return read_page_request(asked, site, KEYS, NOW_MS, lambda count: b"\x01" * count)


def read_well(asked: AskedPage) -> PageRequest:
    request, problems = read(asked)
    assert request is not None and problems == []
    return request


def cookie_of(visitor: Visitor) -> str:
    return write_visitor(visitor, KEYS)[0].partition(";")[0]


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
    session = request.visitor.session
    assert (session.visits, session.views, session.referral, session.started_ms) == (1, 1, "search", NOW_MS)
    assert request.session is session
    assert request.id == f"{NOW_MS:x}-{'01' * 8}"
    assert request.context == {"path": "/men", "device": "mobile", "referrer": "www.google.com", "country": "DE"}
    assert (request.names, request.snapshot, request.now_ms, request.is_shown) == (["hero"], SITE, NOW_MS, True)
    assert (session.preferences, request.forced, request.profile_key) == ({}, {}, None)


def test_a_known_visitor_goes_on_with_the_visit_and_where_it_came_from() -> None:
    request = read_well(described(cookie=f"a=1; {cookie_of(VISITOR)}", referer="https://t.co/"))
    session = request.visitor.session
    assert (request.visitor.unit, session.views, session.referral) == ("u-1", 4, "email")
    assert session.preferences == {"topic": "coats"}


@pytest.mark.parametrize(("said", "preferences"), [("size:xl", {"size": "xl"}), ("", {})])
def test_what_the_client_holds_as_declared_replaces_what_the_state_holds(said: str, preferences: object) -> None:
    cookies = f"{PREFERENCES_COOKIE}={said}; {cookie_of(VISITOR)}"
    assert read_well(described(cookie=cookies)).session.preferences == preferences


SECRETS = "religion:catholic.income:rich.hiv:yes"


@pytest.mark.parametrize("known", ["", cookie_of(VISITOR)])
@pytest.mark.parametrize(
    ("said", "preferences"), [(SECRETS, {}), ("topic:catholic.size:xl", {"size": "xl"}), ("mood:good", {})]
)
def test_what_no_question_asks_reaches_neither_the_cookie_nor_an_exposure_and_is_counted(
    known: str, said: str, preferences: dict[str, str]
) -> None:
    request, problems = read(described(cookie=f"{PREFERENCES_COOKIE}={said}; {known}"))
    assert request is not None and problems == ["preference_refused"]
    view = PageView(request, None)
    assert read_visitor(cookie_of(view.visitor), KEYS)[0] == view.visitor
    assert view.visitor.session.preferences == preferences
    [exposure] = events_of(view, [0])
    assert exposure["session"]["preferences"] == preferences
    assert not {"catholic", "rich", "hiv", "mood"} & set(re.findall(r"\w+", json.dumps(exposure)))


def test_what_the_state_holds_of_an_earlier_plan_goes_and_is_counted_once() -> None:
    session = replace(SESSION, preferences={"topic": "coats", "size": "xs", "religion": "catholic"})
    request, problems = read(described(cookie=cookie_of(Visitor("v-1", "u-1", session))))
    assert request is not None
    assert (request.session.preferences, problems) == ({"topic": "coats"}, ["preference_refused"])
    again = read_well(described(cookie=cookie_of(request.visitor)))
    assert again.session.preferences == {"topic": "coats"}


def test_where_no_question_is_asked_nothing_is_declared() -> None:
    request, problems = read(described(cookie=f"{PREFERENCES_COOKIE}=topic:coats"), publish_hero(place("a", "b")))
    assert request is not None
    assert (request.session.preferences, problems) == ({}, ["preference_refused"])


@pytest.mark.parametrize(
    ("path", "names", "categories"),
    [
        ("/", ["hero"], {}),
        ("/men", ["hero"], {"men": 1}),
        ("/men/shoes", [], {"men": 1}),
        ("/pricing", [], {"pricing": 1}),
    ],
)
def test_a_page_has_its_touchpoints_and_its_category(path: str, names: list[str], categories: object) -> None:
    request = read_well(described(f"https://shop.test{path}?x=1"))
    assert request.names == names
    assert request.session.to_attributes()["categories"] == categories


def reading() -> Visitor:
    """A visitor who has just opened a page of pricing."""
    return Visitor("v-1", "u-1", fold(SESSION, Viewed(NOW_MS - 500, "18bcf-00000000000000a1", "pricing")))


def test_what_the_client_left_of_a_page_is_folded_before_the_next() -> None:
    cookies = f"{LEFT_COOKIE}=18bcf-00000000000000a1.95.40; {cookie_of(reading())}"
    session = read_well(described(cookie=cookies)).visitor.session
    assert (session.views, session.depth, session.engaged_s) == (5, 95, 40)
    assert session.to_attributes()["read"] == {"pricing": 1}


@pytest.mark.parametrize(
    ("left", "unknown"),
    [
        ("18bcf-00000000000000a2.95.40", 1),
        ("18bcf-00000000000000a2.95.40~18bcf-00000000000000a1.10.4~x.1.1", 2),
        ("18bcf-00000000000000a1.95.40~nonsense", 0),
    ],
)
def test_reports_of_pages_that_the_cookie_does_not_know_are_counted(left: str, unknown: int) -> None:
    cookie = cookie_of(reading())
    assert read(described(cookie=f"{LEFT_COOKIE}={left}; {cookie}"))[1] == ["left_unknown"] * unknown


LOST, NEXT = "18bcf-00000000000000b1", "18bcf-00000000000000b2"


def walk(cookie: str, *left: str) -> list[list[str]]:
    """What is counted when documents are asked for one after the other, with what the client has left by each."""
    counted = []
    for each in left:
        request, problems = read(described(cookie=f"{LEFT_COOKIE}={each}; {cookie}"))
        assert request is not None
        counted.append(problems)
        cookie = cookie_of(PageView(request, None).visitor)
    return counted


def test_a_lost_view_is_counted_once_however_long_the_client_keeps_its_report() -> None:
    known = "18bcf-00000000000000a1.10.4"
    counted = walk(
        cookie_of(reading()),
        f"{known}~{LOST}.10.4",
        f"{known}~{LOST}.10.4",
        f"{LOST}.95.40~{known}",
        f"{LOST}.95.40~{known}~{NEXT}.1.1",
        f"{LOST}.95.40~{NEXT}.1.1",
    )
    assert counted == [["left_unknown"], [], [], ["left_unknown"], []]


def test_a_view_that_was_folded_and_is_forgotten_since_is_not_lost() -> None:
    cookie, ids = cookie_of(reading()), iter(range(2, 100))
    for _ in range(9):
        cookies = f"{LEFT_COOKIE}=18bcf-00000000000000a1.10.4; {cookie}"
        request, problems = read_page_request(
            described(cookie=cookies), SITE, KEYS, NOW_MS, lambda count: bytes([next(ids)]) * count
        )
        assert request is not None
        assert (request.session.engaged_s, problems) == (4, [])
        remembered, cookie = request.session.remembered, cookie_of(request.visitor)
    assert "0000a1" not in remembered


@pytest.mark.parametrize(
    ("cookie", "problems"), [("", []), (cookie_of(VISITOR).replace("u-1", "u-2"), ["visitor_cookie_forged"])]
)
def test_where_no_cookie_is_believed_nothing_is_lost_between_tabs(cookie: str, problems: list[str]) -> None:
    left = f"18bcf-00000000000000a1.95.40~{LOST}.1.1~{NEXT}.1.1"
    assert walk(cookie, left, left, f"{left}~x") == [problems, [], []]


@pytest.mark.parametrize("sender", [BROWSER, SERVER])
def test_nobody_can_send_an_event_in_the_place_of_one_that_the_edge_logs(sender: str) -> None:
    cookie = cookie_of(Visitor("v-1", "u-1", start(Viewed(5, "a", "men"))))
    request = read_well(described(cookie=cookie))
    assert re.fullmatch(PAGE_VIEW_ID, request.id)
    logged = events_of(PageView(request, profile_of(unit="u-2")), [0])
    assert [each["type"] for each in logged] == ["crossing", "exposure"]
    for each in logged:
        with pytest.raises(InvalidEvent, match="begins like the ids that the edge gives"):
            read_event(event("goal", sender, event_id=each["event_id"]), "e", given(sender))
    for ours in (request.id, f"page_view-{request.id}", f"shown-{request.id}", f"lk-{request.id}-1000"):
        assert read_event(event("goal", sender, event_id=ours), "e", given(sender))["event_id"] == ours


def test_what_a_visitor_has_reported_stays_known_when_another_unit_is_taken_over() -> None:
    cookies = f"{LEFT_COOKIE}={LOST}.1.1; {cookie_of(Visitor('v-1', 'u-1', start(Viewed(5, 'a', 'men'))))}"
    request, problems = read(described(cookie=cookies))
    assert request is not None and problems == ["left_unknown"]
    view = PageView(request, profile_of(unit="u-2"))
    assert view.crossing is not None
    assert walk(cookie_of(view.visitor), f"{LOST}.1.1") == [[]]


def test_what_was_left_days_ago_counts_for_the_visit_before() -> None:
    session = start(Viewed(NOW_MS - 2 * DAY_MS, "18bcf-00000000000000a1", "pricing"))
    cookies = f"{LEFT_COOKIE}=18bcf-00000000000000a1.95.40; {cookie_of(Visitor('v-1', 'u-1', session))}"
    request = read_well(described(cookie=cookies, referer="https://www.google.com/"))
    attributes = request.session.to_attributes()
    assert (attributes["away_days"], attributes["referral"], attributes["visits"]) == (2, "search", 2)
    assert attributes["earlier"] == {
        "views": 1,
        "engaged_s": 40,
        "pages_read": 1,
        "categories": {"pricing": 1},
        "read": {"pricing": 1},
    }


def test_a_forged_cookie_is_named_and_its_sender_a_stranger() -> None:
    request, problems = read(described(cookie=cookie_of(VISITOR).replace("u-1", "u-2")))
    assert problems == ["visitor_cookie_forged"]
    assert request is not None
    assert (request.session.views, request.visitor.unit) == (1, "AQEBAQEBAQEBAQEBAQEBAQ")


@pytest.mark.parametrize(("signal", "honour", "is_read"), [("1", True, False), ("1", False, True), ("0", True, True)])
def test_global_privacy_control_is_honoured_where_the_site_does(signal: str, honour: bool, is_read: bool) -> None:
    site = publish_hero(place("a", "b"), honour_gpc=honour)
    request, problems = read(described(sec_gpc=signal), site)
    assert (request is not None, problems) == (is_read, [])


def test_without_consent_nobody_is_told_apart() -> None:
    site = publish_hero(place("a", "b"), consent={"cookie": "agreed", "granted": "yes"})
    assert read(described(cookie=cookie_of(VISITOR)), site) == (None, [])
    request, _ = read(described(cookie=f"{cookie_of(VISITOR)}; agreed=yes"), site)
    assert request is not None


def test_a_touchpoint_that_is_switched_off_is_not_decided() -> None:
    request, _ = read_page_request(described(), SITE, KEYS, NOW_MS, lambda count: b"\x01" * count, ("hero", "other"))
    assert request is not None
    assert (read_well(described()).names, request.names) == (["hero"], [])


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "prerender"])
def test_a_page_fetched_ahead_of_its_time_is_not_shown_yet(purpose: str) -> None:
    request = read_well(described(sec_purpose=purpose, cookie=cookie_of(VISITOR)))
    assert not request.is_shown
    # Decided as if it were shown; kept as what may be.
    assert (request.session.views, request.visitor.session.views) == (4, 3)
    assert request.session.to_attributes()["categories"] == {"men": 1}
    assert request.visitor.session.to_attributes()["categories"] == {}


def test_the_user_agent_is_kept_up_to_a_length() -> None:
    assert read_well(described(user_agent="Mobi " * 100)).user_agent == ("Mobi " * 100)[:200]


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
