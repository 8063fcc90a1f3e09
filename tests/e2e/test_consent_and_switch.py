"""Consent and the kill switch: who may not be told apart, and what is off, gets the page as the site made it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from origin.config import Config, ConsentConfig
from origin.switch import switch_off, switch_on
from scripts.runtime.edge import run_edge
from tests.e2e.world import ROOT, World, eventually, make_world, now_ms

PAGE = (ROOT / "site" / "index.html").read_bytes()
AGREED = "CookieConsent=%7Bpreferences%3Atrue%7D"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory, demo_config: Config) -> Iterator[World]:
    """The shop, where visitors must agree first."""
    consent = ConsentConfig(cookie="CookieConsent", granted="preferences:true")
    site = demo_config.site.model_copy(update={"holdout_share": 0.0})
    config = demo_config.model_copy(update={"consent": consent, "site": site})
    with run_edge(variables={"SNAPSHOT_TTL_MS": "100"}, options={"queue": {"maxBatchTimeout": 0.2}}) as edge:
        made = make_world(edge, tmp_path_factory.mktemp("careful"), config)
        made.publish_untrained()
        yield made
        made.kv.close()


def visit(world: World, cookies: str = "", **headers: str) -> httpx.Response:
    sent = {"accept": "text/html", "accept-language": "en", "cookie": cookies, **headers}
    return httpx.get(world.edge.url, headers=sent)


def report(world: World, cookies: str, name: str) -> int:
    event = {"type": "goal", "event_id": name, "name": "hero_click", "created_ms": now_ms()}
    body = {"sent_ms": now_ms(), "events": [event]}
    return httpx.post(f"{world.edge.url}/_usher/events", json=body, headers={"cookie": cookies}).status_code


def known(world: World) -> str:
    """The signed cookie of a visitor who has agreed."""
    response = visit(world, AGREED)
    assert b"/_usher/" in response.content
    return response.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("cookies", "headers"),
    [("", {}), ("CookieConsent=preferences:false", {}), (f"{AGREED}; usher-optout=1", {}), (AGREED, {"sec-gpc": "1"})],
)
def test_who_has_not_agreed_gets_the_page_as_it_is_and_nothing_is_stored(
    careful: World, cookies: str, headers: dict[str, str]
) -> None:
    eventually(lambda: "set-cookie" in visit(careful, AGREED).headers or None, "the first snapshot")
    response = visit(careful, cookies, **headers)
    assert (response.status_code, response.content) == (200, PAGE)
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["cdn-cache-control"] == "no-store"


def test_who_takes_the_consent_back_is_forgotten(careful: World) -> None:
    cookie = known(careful)
    assert report(careful, f"{cookie}; {AGREED}", "agreed") == 202
    response = visit(careful, f"{cookie}; usher-left=x.90.12; cart=7")
    assert response.content == PAGE
    removed = response.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in removed] == ["__Host-usher", "usher-left"]
    assert all("; Max-Age=0;" in each for each in removed)
    assert report(careful, cookie, "withdrawn") == 204
    assert report(careful, f"{cookie}; {AGREED}", "again") == 202
    careful.events(lambda event: event["event_id"] == "again")
    stored = careful.events(lambda event: event["type"] == "goal", 2)
    assert {event["event_id"] for event in stored} == {"agreed", "again"}


def test_the_kill_switch_acts_on_one_touchpoint_and_on_the_whole_site(careful: World) -> None:
    start = PAGE.index(b'data-usher="hero"')
    own = PAGE[start : PAGE.index(b"</section>", start)]

    def await_off(cookies: str, is_whole: bool) -> None:
        """Wait until each of a dozen visitors sees the hero's own content, and whether that is all of the page."""

        def look() -> bool | None:
            pages = [visit(careful, cookies).content for _ in range(12)]
            return all(own in page and (page == PAGE) == is_whole for page in pages) or None

        eventually(look, f"the page's own hero for {cookies}")

    eventually(lambda: own not in visit(careful, AGREED).content or None, "another hero")
    cookie = known(careful)
    switch_off(careful.kv, ["hero"])
    await_off(AGREED, is_whole=False)
    await_off(f"{cookie}; {AGREED}", is_whole=False)
    switch_off(careful.kv)
    await_off(AGREED, is_whole=True)
    assert careful.edge.counted("switched_off") >= 12
    switch_on(careful.kv)
    eventually(lambda: own not in visit(careful, AGREED).content or None, "another hero again")
