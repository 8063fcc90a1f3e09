"""Who may send events: servers by token, users by signature, pages of named origins; and how many requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from origin.config import Config
from scripts.runtime.edge import LOCAL_IDENTIFY_KEYS, LOCAL_SERVER_TOKENS, LOCAL_USER_KEY, run_edge
from shared.identity import hash_user, sign_user
from shared.signing import read_keys
from tests.e2e.world import Browser, World, make_world, now_ms, read_lines

FRIEND = "https://www.example.com"
TOKEN = LOCAL_SERVER_TOKENS.partition(":")[2]
USER = "anna@example.com"
HASH = hash_user(LOCAL_USER_KEY.encode(), USER)
VISITOR_LIMIT, ADDRESS_LIMIT = 3, 8


def limit(number: str, most: int) -> dict[str, object]:
    return {"namespace_id": number, "simple": {"limit": most, "period": 10}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, demo_config: Config) -> Iterator[World]:
    """The demo shop with a named origin, and limits that are soon reached."""
    site = demo_config.site.model_copy(update={"origins": (FRIEND,)})
    config = demo_config.model_copy(update={"site": site})
    limits = {"VISITOR_LIMIT": limit("1", VISITOR_LIMIT), "ADDRESS_LIMIT": limit("2", ADDRESS_LIMIT)}
    options = {"queue": {"maxBatchTimeout": 0.2}, "ratelimits": limits}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200"}, options=options) as edge:
        made: World = make_world(edge, tmp_path_factory.mktemp("senders"), config)
        made.publish_untrained()
        yield made
        made.kv.close()


def visitor_of(world: World, address: str) -> Browser:
    """A visitor who has seen a page, at an address of their own."""
    browser: Browser = world.browser(cf_connecting_ip=address)
    browser.get("/")
    return browser


def send(world: World, *events: dict[str, object], **headers: str) -> httpx.Response:
    """Send events as a server does; each gets an id and a time where it has none."""
    sent = now_ms()
    whole = [{"event_id": f"{sent:x}-{i}", "created_ms": sent, **event} for i, event in enumerate(events)]
    headers = {"authorization": f"Bearer {TOKEN}", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return httpx.post(f"{world.edge.url}/_usher/events", json={"sent_ms": sent, "events": whole}, headers=headers)


def test_a_server_reports_what_it_knows_of_users_and_visitors(world: World) -> None:
    opened: dict[str, object] = {"type": "email_open", "mailing": "may", "user": USER, "event_id": "server-1"}
    bought: dict[str, object] = {
        "type": "purchase", "value": 120.5, "currency": "EUR", "visitor": "v-7", "event_id": "server-2",
    }  # fmt: skip
    answer = send(world, opened, bought)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "quarantined": []})
    stored = {
        str(event["event_id"]): event
        for event in world.events(lambda event: str(event["event_id"]).startswith("server-"), least=2)
    }
    assert [(each["source"], each["session_ms"]) for each in stored.values()] == [("server", 0)] * 2
    assert (stored["server-1"]["user"], stored["server-1"]["visitor"]) == (HASH, "")
    assert (stored["server-2"]["visitor"], stored["server-2"]["value"]) == ("v-7", 120.5)


def test_a_wrong_token_is_refused_with_what_to_send(world: World) -> None:
    answer = send(world, {"type": "email_open", "mailing": "may", "user": USER}, authorization="Bearer guessed")
    assert (answer.status_code, answer.json()["error"]) == (401, "token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "USHER_SERVER_TOKENS" in answer.json()["remedy"]


def test_a_server_may_send_more_at_once_than_a_browser(world: World) -> None:
    pad = "x" * 150
    many: list[dict[str, object]] = [
        {"type": "support_ticket", "ticket": f"t-{i}", "topic": pad, "user": USER, "event_id": f"many-{i}"}
        for i in range(1_000)
    ]
    answer = send(world, *many)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1_000, "quarantined": []})
    found = world.events(lambda event: str(event["event_id"]).startswith("many-"), least=1_000)
    assert len(found) == 1_000
    answer = send(world, *many, {"type": "support_ticket", "ticket": "one too many", "user": USER})
    assert (answer.status_code, answer.json()["error"]) == (413, "too_many_events")


def test_a_server_is_not_limited_by_its_address(world: World) -> None:
    event: dict[str, object] = {"type": "feature_used", "feature": "export", "user": USER}
    answers = [send(world, event, cf_connecting_ip="198.51.100.1") for _ in range(2 * ADDRESS_LIMIT + 1)]
    assert {answer.status_code for answer in answers} == {202}


def test_a_signed_user_is_stored_as_a_hash(world: World) -> None:
    browser = visitor_of(world, "203.0.113.1")
    signature = sign_user(read_keys(LOCAL_IDENTIFY_KEYS), USER)
    sent = now_ms()
    event = {"type": "identify", "user": USER, "signature": signature, "event_id": "who-1", "created_ms": sent}
    answer = browser.post({"sent_ms": sent, "events": [event]})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    [stored] = world.events(lambda each: each["event_id"] == "who-1")
    assert (stored["type"], stored["visitor"], stored["user"]) == ("identify", browser.visitor, HASH)
    assert USER not in str(stored) and "signature" not in stored


def test_a_user_that_nobody_signed_goes_to_quarantine_without_the_id(world: World) -> None:
    browser = visitor_of(world, "203.0.113.2")
    sent = now_ms()
    event = {"type": "identify", "user": USER, "signature": "site.00", "event_id": "who-2", "created_ms": sent}
    answer = browser.post({"sent_ms": sent, "events": [event]})
    [refused] = answer.json()["quarantined"]
    assert (answer.status_code, answer.json()["accepted"], refused["code"]) == (202, 0, "signature")
    browser.report("hero_click", event_id="after-who-2")
    world.events(lambda each: each["event_id"] == "after-who-2")
    [kept] = [line for line in read_lines(world.lake.quarantine) if line["visitor"] == browser.visitor]
    assert (kept["code"], kept["source"], kept["index"]) == ("signature", "browser", 0)
    assert USER not in str(kept) and USER not in answer.text


@pytest.mark.parametrize("origin", ["own", FRIEND])
def test_pages_of_this_host_and_of_named_origins_may_send(world: World, origin: str) -> None:
    browser = visitor_of(world, "203.0.113.3")
    browser.headers["origin"] = world.edge.url if origin == "own" else origin
    answer = browser.report("hero_click")
    assert answer.status_code == 202
    assert answer.headers["vary"] == "Origin"
    assert answer.headers.get("access-control-allow-origin") == (None if origin == "own" else FRIEND)
    assert answer.headers.get("access-control-allow-credentials") == (None if origin == "own" else "true")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{FRIEND}:8443"])
def test_pages_of_other_origins_are_refused_and_nothing_is_stored(world: World, origin: str) -> None:
    browser = visitor_of(world, "203.0.113.4")
    browser.headers["origin"] = origin
    answer = browser.report("hero_click", event_id="evil")
    assert (answer.status_code, answer.json()["error"]) == (403, "origin")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    del browser.headers["origin"]
    browser.report("hero_click", event_id=f"after-{origin}")
    world.events(lambda event: event["event_id"] == f"after-{origin}")
    assert not [line for line in read_lines(world.lake.events) if line["event_id"] == "evil"]


def test_even_a_refusal_can_be_read_by_a_named_origin(world: World) -> None:
    answer = httpx.post(f"{world.edge.url}/_usher/events", content="{", headers={"origin": FRIEND})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["access-control-expose-headers"] == "Retry-After, Usher"


def test_a_preflight_is_answered_for_named_origins_only(world: World) -> None:
    url = f"{world.edge.url}/_usher/events"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    answer = httpx.options(url, headers={**asked, "origin": FRIEND})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "Content-Type"
    refused = httpx.options(url, headers={**asked, "origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_a_visitor_who_sends_too_often_is_put_off_and_pages_never_are(world: World) -> None:
    browser = visitor_of(world, "203.0.113.5")
    answers = [browser.report("hero_click") for _ in range(2 * VISITOR_LIMIT + 1)]  # a window may end in between
    assert answers[0].status_code == 202
    refused = [answer for answer in answers if answer.status_code != 202]
    assert refused
    assert {(each.status_code, each.json()["error"], each.headers["retry-after"]) for each in refused} == {
        (429, "visitor_limit", "10")
    }
    assert [browser.get("/").status_code for _ in range(2 * ADDRESS_LIMIT)] == [200] * 2 * ADDRESS_LIMIT
    other = visitor_of(world, "203.0.113.5")
    assert other.report("hero_click").status_code == 202


def test_an_address_that_sends_too_often_is_put_off_whoever_sends(world: World) -> None:
    visitors = [visitor_of(world, "203.0.113.6") for _ in range(2 * ADDRESS_LIMIT + 1)]
    refused = [answer for each in visitors if (answer := each.report("hero_click")).status_code != 202]
    assert {(answer.status_code, answer.json()["error"]) for answer in refused} == {(429, "address_limit")}
    assert visitor_of(world, "203.0.113.7").report("hero_click").status_code == 202


def test_a_body_is_not_even_read_of_a_visitor_who_sends_too_often(world: World) -> None:
    browser = visitor_of(world, "203.0.113.8")
    statuses = {browser.post("no batch").status_code for _ in range(2 * VISITOR_LIMIT + 1)}
    assert statuses == {400, 429}


def test_without_limiters_and_secrets_the_intake_works_and_says_what_is_not_configured(
    tmp_path: Path, demo_config: Config
) -> None:
    nothing = {"USHER_USER_KEY": "", "USHER_IDENTIFY_KEYS": "", "USHER_SERVER_TOKENS": ""}
    options = {"queue": {"maxBatchTimeout": 0.2}, "ratelimits": {}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200", **nothing}, options=options) as edge:
        world = make_world(edge, tmp_path, demo_config)
        world.publish_untrained()
        browser = visitor_of(world, "203.0.113.9")
        assert {browser.report("hero_click").status_code for _ in range(40)} == {202}
        sent = now_ms()
        event = {"type": "identify", "user": USER, "signature": "site.00", "event_id": "who", "created_ms": sent}
        [refused] = browser.post({"sent_ms": sent, "events": [event]}).json()["quarantined"]
        assert refused["code"] == "not_configured"
        assert "USHER_IDENTIFY_KEYS" in refused["reason"]
        assert send(world, {"type": "email_open", "mailing": "may", "user": USER}).status_code == 401
        world.kv.close()
