from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network

import pytest

from shared.session import Session
from shared.signing import read_keys, sign
from shared.snapshot import Snapshot
from tests.asking import place, publish_hero
from worker.admission import ALLOWANCES, HEADERS, Sender, admit, cors_headers, too_large
from worker.answers import DONE, Answer
from worker.asked import AskedPage
from worker.cookies import COOKIE as NAME
from worker.visitor import PURPOSE, Visitor, write_visitor

KEYS = read_keys("k:0123456789abcdef")
TOKENS = read_keys("crm:crm-crm-crm-crm-1,shop:shop-shop-shop-shop-2")
URL = "https://shop.test/_usher/events"
FRIEND = "https://www.example.com"
SITE = publish_hero(place("a", "b"), origins=[FRIEND])
COOKIE = write_visitor(Visitor("v-1", "u-1", Session(started_ms=5)), KEYS)[0].partition(";")[0]
BROWSER = {
    "content_type": "application/json",
    "cookie": COOKIE,
    "cf_connecting_ip": "203.0.113.9",
    "user_agent": "Mobi",
}
SERVER = {"content_type": "application/json", "authorization": "Bearer crm-crm-crm-crm-1"}


def asked(method: str = "POST", /, **headers: str) -> AskedPage:
    values = [headers.get(name.replace("-", "_"), "") for name in HEADERS.split("\n")]
    return AskedPage("\n".join([method, URL, *values]), HEADERS)


def admitted(site: Snapshot | None = SITE, /, **headers: str) -> Sender | Answer:
    return admit(asked(**headers), site, KEYS, TOKENS)


def refused(site: Snapshot | None = SITE, /, **headers: str) -> tuple[int, object]:
    answer = admitted(site, **headers)
    assert isinstance(answer, Answer)
    assert answer.body is None or answer.body["remedy"]
    return answer.status, None if answer.body is None else answer.body["error"]


def is_done(site: Snapshot | None = SITE, /, **headers: str) -> bool:
    """Whether the sender is told that the batch is done with."""
    answer = admitted(site, **headers)
    assert isinstance(answer, Answer)
    return DONE in answer.headers


def test_a_browser_is_known_by_its_cookie_and_limited_by_visitor_and_address() -> None:
    assert admitted(**BROWSER) == Sender(
        source="browser",
        visitor="v-1",
        session_ms=5,
        user_agent="Mobi",
        allowance=ALLOWANCES["browser"],
        limits={"VISITOR_LIMIT": "v-1", "ADDRESS_LIMIT": "203.0.113.9"},
    )


def test_a_server_is_known_by_its_token_needs_no_cookie_and_may_send_more() -> None:
    sender = admitted(**SERVER)
    assert sender == Sender(
        source="server", visitor="", session_ms=0, user_agent="", allowance=ALLOWANCES["server"], limits={}
    )
    assert admitted(**{**SERVER, "authorization": "bearer   shop-shop-shop-shop-2 "}) == sender
    browser, server = ALLOWANCES["browser"], ALLOWANCES["server"]
    assert (server.bytes, server.events) > (browser.bytes, browser.events)


@pytest.mark.parametrize(
    "token", ["", "crm", "crm-crm-crm-crm-", "crm-crm-crm-crm-12", "crm:crm-crm-crm-crm-1", "ü", "\ud800"]
)
def test_a_wrong_token_is_refused_even_beside_a_good_cookie(token: str) -> None:
    answer = admitted(**{**BROWSER, "authorization": f"Bearer {token}"})
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (401, (("www-authenticate", "Bearer"),))
    assert answer.body is not None
    assert "USHER_SERVER_TOKENS" in str(answer.body["remedy"])


def test_without_tokens_no_server_is_known() -> None:
    answer = admit(asked(**SERVER), SITE, KEYS, {})
    assert isinstance(answer, Answer)
    assert answer.status == 401


def test_the_password_of_a_site_that_is_not_open_yet_is_no_token() -> None:
    assert isinstance(admitted(**{**BROWSER, "authorization": "Basic dTpw"}), Sender)


def test_a_server_needs_no_keys_of_cookies() -> None:
    assert isinstance(admit(asked(**SERVER), SITE, None, TOKENS), Sender)
    answer = admit(asked(**BROWSER), SITE, None, TOKENS)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (503, (("retry-after", "60"),))


@pytest.mark.parametrize(
    ("cookie", "problem"),
    [
        ("", None),
        ("a=1", None),
        (COOKIE[:-1] + "~", "visitor_cookie_forged"),
        (COOKIE.replace("u-1", "u-2"), "visitor_cookie_forged"),
        (f"{NAME}={sign(KEYS, PURPOSE, '4!v-1')}", "visitor_cookie_unknown_version"),
    ],
)
def test_a_browser_without_a_valid_cookie_is_refused_and_a_cookie_that_is_not_believed_counted(
    cookie: str, problem: str | None
) -> None:
    assert refused(**{**BROWSER, "cookie": cookie}) == (401, "no_visitor")
    answer = admitted(**{**BROWSER, "cookie": cookie})
    assert isinstance(answer, Answer)
    assert (answer.problem, answer.headers) == (problem, ()), "the next page brings a cookie: the events may come again"


@pytest.mark.parametrize(("site", "status"), [(SITE, 204), (None, 204)])
def test_events_under_global_privacy_control_are_forgotten(site: Snapshot | None, status: int) -> None:
    assert refused(site, **{**BROWSER, "sec_gpc": "1"}) == (status, None)
    assert is_done(site, **{**BROWSER, "sec_gpc": "1"})


def test_events_of_whom_nobody_may_tell_apart_are_forgotten_but_for_those_of_servers() -> None:
    careful = publish_hero(place("a", "b"), consent={"cookie": "agreed", "granted": "yes"})
    assert refused(careful, **BROWSER) == (204, None)
    assert isinstance(admitted(careful, **{**BROWSER, "cookie": f"{COOKIE}; agreed=yes"}), Sender)
    assert refused(**{**BROWSER, "cookie": f"{COOKIE}; usher-optout=1"}) == (204, None)
    assert isinstance(admitted(careful, **SERVER), Sender)


def test_global_privacy_control_is_for_browsers_and_where_the_site_honours_it() -> None:
    assert isinstance(admitted(**{**SERVER, "sec_gpc": "1"}), Sender)
    indifferent = publish_hero(place("a", "b"), honour_gpc=False)
    assert isinstance(admitted(indifferent, **{**BROWSER, "sec_gpc": "1"}), Sender)


@pytest.mark.parametrize("origin", ["", "https://shop.test", FRIEND])
@pytest.mark.parametrize("sender", [BROWSER, SERVER])
def test_pages_of_this_host_and_of_named_origins_may_send(origin: str, sender: dict[str, str]) -> None:
    assert isinstance(admitted(**{**sender, "origin": origin}), Sender)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://shop.test",
        "https://shop.tes",
        "https://shop.test:8443",
        "https://evil.example",
        f"{FRIEND}.evil.example",
    ],
)
@pytest.mark.parametrize("sender", [BROWSER, SERVER])
def test_pages_of_foreign_origins_are_refused_and_get_no_permission(origin: str, sender: dict[str, str]) -> None:
    headers = {**sender, "origin": origin}
    assert refused(**headers) == (403, "origin")
    assert not is_done(**headers)
    assert cors_headers(asked(**headers), SITE) == (("vary", "Origin"),)


def test_while_the_configuration_is_not_known_a_foreign_origin_is_put_off() -> None:
    answer = admitted(None, **{**BROWSER, "origin": FRIEND})
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (503, (("retry-after", "1"),))
    assert isinstance(admitted(None, **{**BROWSER, "origin": "https://shop.test"}), Sender)


def test_a_named_origin_may_send_with_cookies_and_read_the_answer() -> None:
    headers = dict(cors_headers(asked(origin=FRIEND), SITE))
    assert headers == {
        "vary": "Origin",
        "access-control-allow-origin": FRIEND,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Retry-After, Usher",
    }
    assert cors_headers(asked(origin=FRIEND), None) == (("vary", "Origin"),)


def test_a_preflight_is_answered_without_a_cookie() -> None:
    request = asked("OPTIONS", origin=FRIEND)
    answer = admit(request, SITE, KEYS, TOKENS)
    assert answer == Answer(status=204, body=None, headers=(("allow", "POST, OPTIONS"),))
    headers = dict(cors_headers(request, SITE))
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == "Content-Type"
    assert headers["access-control-max-age"] == "7200"
    assert "authorization" not in str(headers).lower()


def test_the_preflight_of_a_foreign_origin_is_refused() -> None:
    answer = admit(asked("OPTIONS", origin="https://evil.example"), SITE, KEYS, TOKENS)
    assert isinstance(answer, Answer)
    assert answer.status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_with_those_there_are(method: str) -> None:
    answer = admit(asked(method, **BROWSER), SITE, KEYS, TOKENS)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (405, (("allow", "POST, OPTIONS"),))


@pytest.mark.parametrize(
    ("content_type", "encoding", "length"),
    [
        ("application/json", "", ""),
        ("application/json; charset=utf-8", "identity", "120"),
        ("text/plain;charset=UTF-8", "", "0"),
        ("Text/Plain", " Identity ", str(ALLOWANCES["browser"].bytes)),
        ("application/json", "", "many"),
        ("application/json", "", "-1"),
    ],
)
def test_a_request_of_the_usual_headers_is_read(content_type: str, encoding: str, length: str) -> None:
    more = {"content_type": content_type, "content_encoding": encoding, "content_length": length}
    assert isinstance(admitted(**{**BROWSER, **more}), Sender)


@pytest.mark.parametrize("kind", ["", "text/html", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_refused_for_good(kind: str) -> None:
    assert refused(**{**BROWSER, "content_type": kind}) == (415, "content_type")
    assert is_done(**{**BROWSER, "content_type": kind})


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused_for_good(encoding: str) -> None:
    assert refused(**{**BROWSER, "content_encoding": encoding}) == (415, "content_encoding")
    assert is_done(**{**BROWSER, "content_encoding": encoding})


@pytest.mark.parametrize(("sender", "source"), [(BROWSER, "browser"), (SERVER, "server")])
def test_a_body_that_says_it_is_too_large_is_refused_unread(sender: dict[str, str], source: str) -> None:
    allowance = ALLOWANCES[source]
    for length in (str(allowance.bytes + 1), "9" * 300):
        assert admitted(**{**sender, "content_length": length}) == too_large(allowance).to_answer()
    assert DONE in too_large(allowance).to_answer().headers
    assert too_large(allowance).remedy == f"send at most {allowance.bytes} bytes a request"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:12:34:5678:9abc:def0:1", "2001:db8:12:34::/64"),
        ("2001:DB8:12:34::1", "2001:db8:12:34::/64"),
        ("2001:0db8:0012:0034::", "2001:db8:12:34::/64"),
        ("2001:db8::1", "2001:db8:0:0::/64"),
        ("2001:db8::7:5678:9abc:def0:1", "2001:db8:0:7::/64"),
        ("::1", "0:0:0:0::/64"),
        ("::", "0:0:0:0::/64"),
        ("::9:8:7:6:5:4:3", "0:9:8:7::/64"),
    ],
)
def test_a_host_that_takes_another_address_of_its_network_is_limited_as_the_same(address: str, network: str) -> None:
    sender = admitted(**{**BROWSER, "cf_connecting_ip": address})
    assert isinstance(sender, Sender)
    assert sender.limits == {"VISITOR_LIMIT": "v-1", "ADDRESS_LIMIT": network}
    if ":" in network:
        assert IPv6Address(address) in IPv6Network(network)


def test_without_an_address_the_visitor_is_limited_alone() -> None:
    sender = admitted(**{**BROWSER, "cf_connecting_ip": ""})
    assert isinstance(sender, Sender)
    assert sender == replace(sender, limits={"VISITOR_LIMIT": "v-1"})
