"""A page decided at the edge: what arrives, what does not change, and what is logged of it."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest

from shared.situation import is_in_holdout
from tests.e2e.world import ROOT, World, eventually

SITE = ROOT / "site"
SLOT = re.compile(r'(<(section|article)[^>]*data-usher="(\w+)"[^>]*>)(.*?)(</\2>)', re.DOTALL)
SCRIPT = re.compile(r'<script src="/_usher/usher.js" data-view="[0-9a-f-]+" data-gpc="1" defer></script>')


def slots(html: str) -> dict[str, str]:
    return {match[3]: match[4] for match in SLOT.finditer(html)}


def without_slots(html: str) -> str:
    return SLOT.sub(r"\1\5", SCRIPT.sub("", html))


def test_the_decided_variants_are_in_the_first_response(shop: World) -> None:
    browser = shop.browser()
    page = browser.get("/")
    exposures = shop.exposures(browser)
    assert page.status_code == 200
    assert set(exposures) == {"hero", "pick"}
    own = slots((SITE / "index.html").read_text())
    for name, event in exposures.items():
        variants = {variant.name: variant.html for variant in shop.config.touchpoints[name].expanded_variants}
        html = variants[str(event["variant"])]
        assert slots(page.text)[name] == (own[name] if html is None or event["holdout"] else html)


def test_outside_the_slots_the_page_is_the_origins_byte_for_byte(shop: World) -> None:
    page = shop.browser().get("/")
    assert len(SCRIPT.findall(page.text)) == 1
    assert without_slots(page.text) == without_slots((SITE / "index.html").read_text())


def test_every_outcome_carries_the_same_cache_headers(shop: World) -> None:
    treated = shop.browser().get("/")
    opted_out = shop.browser(sec_gpc="1").get("/")
    forged = shop.browser(cookie="__Host-usher=local.1!a!a!1!1.forged").get("/")
    for response in (treated, opted_out, forged):
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["cdn-cache-control"] == "no-store"
        assert not {"etag", "last-modified", "expires", "age"} & set(response.headers)


def test_who_opted_out_by_global_privacy_control_gets_the_page_as_it_is_and_no_cookie(shop: World) -> None:
    response = shop.browser(sec_gpc="1").get("/")
    assert response.content == (SITE / "index.html").read_bytes()
    assert "set-cookie" not in response.headers


def test_a_visitor_keeps_variants_within_a_session(shop: World) -> None:
    browser = shop.browser()
    first, second = browser.get("/"), browser.get("/")
    assert slots(first.text) == slots(second.text)


def test_a_visitor_keeps_variants_when_the_context_changes_within_a_session(shop: World) -> None:
    feature = shop.config.segments["uf1-2d03"].condition["user_feature_1"]
    for _ in range(6):
        browser = shop.browser()
        first = browser.get(f"/?uf1={feature}")
        assert slots(browser.get("/").text) == slots(first.text)


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_a_page_fetched_ahead_of_its_time_is_logged_as_not_shown_yet(shop: World, purpose: str) -> None:
    ahead = shop.browser(user_agent="Ahead/1.0")
    ahead.get("/", sec_purpose=purpose)
    exposures = shop.exposures(ahead).values()
    assert [(event["is_shown"], event["user_agent"]) for event in exposures] == [(False, "Ahead/1.0")] * 2
    ahead.get("/")
    later = shop.events(lambda event: event["visitor"] == ahead.visitor and event["is_shown"] is True, least=2)
    assert {event["page_view"] for event in later}.isdisjoint({event["page_view"] for event in exposures})


def test_the_cookie_is_first_party_signed_and_out_of_reach_of_scripts(shop: World) -> None:
    cookie = shop.browser().get("/").headers["set-cookie"]
    assert cookie.startswith("__Host-usher=local.3!")
    assert cookie.endswith("; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Lax")


def test_a_forged_cookie_makes_a_new_visitor_and_is_counted(shop: World) -> None:
    before = shop.edge.counted("visitor_cookie_forged")
    browser = shop.browser()
    browser.get("/")
    honest = browser.visitor
    browser.cookie = browser.cookie[:-3] + "AAA"
    browser.get("/")
    assert browser.visitor != honest
    eventually(lambda: shop.edge.counted("visitor_cookie_forged") > before or None, "the forged cookie counted")


@pytest.mark.parametrize("path", ["/men/", "/shop.css", "/items/14.svg"])
def test_pages_without_touchpoints_and_assets_pass_untouched(shop: World, path: str) -> None:
    file = SITE / (path.strip("/") + ("/index.html" if path.endswith("/") else ""))
    response = shop.browser().get(path)
    assert response.content == file.read_bytes()
    assert "set-cookie" not in response.headers
    assert "etag" in response.headers
    again = httpx.get(shop.edge.url + path, headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304


def test_a_missing_page_stays_missing(shop: World) -> None:
    assert shop.browser().get("/men/nowhere").status_code == 404


def test_a_head_request_has_the_pages_headers_and_no_body(shop: World) -> None:
    response = httpx.head(shop.edge.url + "/", headers={"accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.content == b""


def test_a_preview_link_shows_its_variant_and_is_left_out_of_learning(shop: World) -> None:
    from origin.preview import preview_link

    browser = shop.browser()
    page = browser.get(preview_link(shop.config, shop.settings, "/", "hero", "craft"))
    event = shop.exposures(browser)["hero"]
    assert 'class="look look-craft"' in page.text
    assert (event["variant"], event["reason"], event["randomised"], event["propensity"]) == (
        "craft",
        "preview",
        False,
        1.0,
    )


def test_a_preview_link_that_nobody_signed_is_ignored(shop: World) -> None:
    browser = shop.browser()
    browser.get("/?usher-preview=local.hero=craft.AAAA")
    assert shop.exposures(browser)["hero"]["reason"] != "preview"


def test_the_holdout_sees_the_pages_own_content_and_is_logged_with_what_it_would_have_been(shop: World) -> None:
    site, share = shop.config.site.id, shop.config.site.holdout_share
    for _ in range(200):
        browser = shop.browser()
        page = browser.get("/")
        if is_in_holdout(site, browser.visitor, share):
            break
    else:
        pytest.fail("nobody of 200 visitors in a holdout of a tenth")
    assert without_slots(page.text) == without_slots((SITE / "index.html").read_text())
    assert slots(page.text) == slots((SITE / "index.html").read_text())
    for event in shop.exposures(browser).values():
        assert (event["holdout"], event["randomised"], event["reason"]) == (True, False, "holdout")
        probabilities = event["probabilities"]
        assert isinstance(probabilities, list)
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-9)


def test_the_client_script_is_at_most_2_kb_as_served_and_is_not_sent_twice(shop: World) -> None:
    response = httpx.get(shop.edge.url + "/_usher/usher.js")
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert len(gzip.compress(response.content, 9)) <= 2048
    again = httpx.get(shop.edge.url + "/_usher/usher.js", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_cron_trigger_finds_a_fresh_snapshot_fresh(shop: World) -> None:
    response = httpx.get(shop.edge.url + "/cdn-cgi/local/scheduled", params={"cron": "0 * * * *"})
    assert response.status_code == 200
    assert shop.edge.counted("snapshot_stale") == 0
