"""Whatever fails, the page arrives: with the page's own content and a counted reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from origin.config import Config
from origin.publish import make_snapshot
from origin.train import train
from scripts.runtime.edge import Edge, run_edge
from shared.records import FORMAT
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY
from tests.e2e.world import ROOT, Browser, World, eventually, make_world, now_ms

PAGE = (ROOT / "site" / "index.html").read_bytes()
LATER = "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture(scope="module")
def edge(modules_under_test: Path) -> Iterator[Edge]:
    options = {"modules": str(modules_under_test), "queue": {"maxBatchTimeout": 0.2}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "100"}, options=options) as running:
        yield running


@pytest.fixture
def world(edge: Edge, tmp_path: Path, demo_config: Config) -> Iterator[World]:
    """An isolate as new with nothing published, and faults to order."""
    made: World = make_world(edge, tmp_path, demo_config)
    keys = httpx.get(f"{made.settings.kv_namespace_url()}/keys").json()["result"]
    names = [key["name"] for key in keys]
    if names:
        httpx.post(f"{made.settings.kv_namespace_url()}/bulk/delete", json=names).raise_for_status()
    httpx.post(f"{edge.url}/_test/forget").raise_for_status()
    edge.log.clear()
    yield made
    made.kv.close()


def set_faults(world: World, **faults: dict[str, object]) -> None:
    world.fail(**faults)


def asked(world: World, method: str) -> int:
    """How often a faulty method was called since its fault was ordered."""
    counts = httpx.post(f"{world.edge.url}/_test/asked").json()
    return int(counts.get(method, 0))


def publishable(world: World) -> tuple[str, str]:
    model = train(world.config, world.lake, now_ms(), now_ms())
    version, text = make_snapshot(world.config, model, now_ms())
    return version, text


def point_to(world: World, version: str) -> None:
    world.kv.put({POINTER_KEY: json.dumps({"snapshot": version, "published_ms": 1, "confirmed_ms": 1})})


def assert_own_page(world: World, reason: str, cache_control: str = "private, no-cache") -> None:
    response = world.browser().get("/")
    assert response.status_code == 200
    assert response.content == PAGE
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == cache_control
    eventually(lambda: world.edge.counted(reason) or None, f"the counter {reason}")


def test_an_empty_kv(world: World) -> None:
    assert_own_page(world, "nothing_published", "public, max-age=0, must-revalidate")


def test_a_pointer_to_a_snapshot_that_is_not_there(world: World) -> None:
    point_to(world, "20260101T000000Z-none")
    assert_own_page(world, "snapshot_missing")


@pytest.mark.parametrize("pointer", ["", "{}", "no json", "[" * 50_000])
def test_a_pointer_that_is_no_pointer(world: World, pointer: str) -> None:
    world.kv.put({POINTER_KEY: pointer})
    assert_own_page(world, "pointer_invalid")


def test_a_truncated_snapshot(world: World) -> None:
    version, text = publishable(world)
    world.kv.put({SNAPSHOT_KEY + version: text[: len(text) // 2]})
    point_to(world, version)
    assert_own_page(world, "snapshot_invalid")


def test_a_snapshot_of_an_unknown_format(world: World) -> None:
    version, text = publishable(world)
    world.kv.put({SNAPSHOT_KEY + version: text.replace(f'"format":{FORMAT}', '"format":99', 1)})
    point_to(world, version)
    assert_own_page(world, "snapshot_unknown_format")


def test_a_slow_kv(world: World) -> None:
    world.retrain()
    set_faults(world, SCORES_get={"delay_ms": 10_000})
    eventually(lambda: (world.browser().get("/") and asked(world, "SCORES.get")) or None, "a refresh under way")
    response = httpx.get(world.edge.url, headers={"accept": "text/html"}, timeout=5)
    assert "set-cookie" in response.headers, "the isolate serves the last good snapshot meanwhile"


def test_a_kv_that_is_slow_from_the_start(world: World) -> None:
    set_faults(world, SCORES_get={"delay_ms": 3_000})
    assert_own_page(world, "kv_deadline")


def test_a_profile_that_is_damaged_or_late_leaves_the_page_decided_without_it(world: World) -> None:
    version, text = publishable(world)
    world.kv.put({SNAPSHOT_KEY + version: text.replace('"has_profiles":false', '"has_profiles":true', 1)})
    point_to(world, version)

    def known() -> Browser | None:
        browser: Browser = world.browser()
        browser.get("/")
        return browser if browser.cookie else None

    browser = eventually(known, "a visitor")
    world.kv.put({f"profile:{browser.visitor}": "no profile"})
    assert "set-cookie" in browser.get("/").headers
    eventually(lambda: world.edge.counted("profile_invalid") or None, "the damaged profile counted")
    set_faults(world, SCORES_get={"delay_ms": 3_000})
    assert "set-cookie" in browser.get("/").headers
    eventually(lambda: world.edge.counted("profile_deadline") or None, "the late profile counted")
    set_faults(world, SCORES_get={"error": "KV GET failed: 500"})
    before = world.edge.counted("kv_failed")
    assert "set-cookie" in browser.get("/").headers
    eventually(lambda: world.edge.counted("kv_failed") > before or None, "the failed read counted")


def test_a_kv_that_fails(world: World) -> None:
    set_faults(world, SCORES_get={"error": "KV GET failed: 500"})
    assert_own_page(world, "kv_failed")
    assert_own_page(world, "no_snapshot")


def test_after_a_failure_the_last_good_snapshot_stays_and_a_later_one_is_taken(world: World) -> None:
    first = world.retrain()
    set_faults(world, SCORES_get={"error": "KV GET failed: 500"})
    eventually(lambda: (world.browser().get("/") and world.edge.counted("kv_failed")) or None, "a failed refresh")
    assert world.served_version(world.browser()) == first.version
    set_faults(world)
    world.kv.put({POINTER_KEY: "garbage"})
    eventually(lambda: (world.browser().get("/") and world.edge.counted("pointer_invalid")) or None, "a bad pointer")
    assert world.served_version(world.browser()) == first.version
    version, text = publishable(world)
    renamed = text.replace(version, f"{version}-again", 1)
    world.kv.put({f"{SNAPSHOT_KEY}{version}-again": renamed})
    point_to(world, f"{version}-again")
    world.await_version(f"{version}-again")


def test_one_damaged_touchpoint_leaves_the_others(world: World) -> None:
    version, text = publishable(world)
    lines = [
        line if not line.startswith("touchpoint:pick\t") else 'touchpoint:pick\t{"variants":[]}'
        for line in text.split("\n")
    ]
    world.kv.put({SNAPSHOT_KEY + version: "\n".join(lines)})
    point_to(world, version)

    def seen() -> set[str] | None:
        browser = world.browser()
        browser.get("/")
        return set(world.exposures(browser)) if browser.cookie else None

    assert eventually(seen, "a personalised page") == {"hero"}
    assert world.edge.counted("touchpoint_invalid") >= 1


def test_a_full_queue_is_said_to_the_client_and_does_not_hold_the_page(world: World) -> None:
    world.retrain()
    browser = world.browser()
    browser.get("/")
    set_faults(world, EVENTS_send={"error": "Queue send failed: Too Many Requests"})
    answer = browser.report("hero_click")
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "queue", "5")
    assert browser.get("/").status_code == 200
    assert world.edge.counted("queue_failed") == 1
    eventually(lambda: world.edge.counted("queue_bypassed") or None, "the page's exposures gone round the queue")


def test_a_bucket_that_fails_gets_the_batch_again_and_nothing_is_lost_or_doubled(world: World) -> None:
    world.retrain()
    set_faults(world, LAKE_put={"error": "put: internal error"})
    browser = world.browser()
    browser.get("/")
    browser.report("hero_click", event_id="kept")
    eventually(lambda: asked(world, "LAKE.put") or None, "a failed put")
    set_faults(world)
    found = world.events(lambda event: event.get("event_id") == "kept")
    assert len(found) == 1


def test_a_bucket_that_stays_away_longer_than_the_queue_tries_loses_nothing(
    tmp_path: Path, demo_config: Config, modules_under_test: Path
) -> None:
    options = {
        "modules": str(modules_under_test),
        "queue": {"maxBatchTimeout": 0.2, "maxRetries": 1},
        "dead": {"maxBatchTimeout": 0.2},
    }
    with run_edge(variables={"SNAPSHOT_TTL_MS": "100"}, options=options) as edge:
        made = make_world(edge, tmp_path, demo_config)
        made.publish_untrained()
        browser = made.browser()
        browser.get("/")
        set_faults(made, LAKE_put={"error": "put: internal error"})
        assert browser.report("hero_click", event_id="kept").status_code == 202
        eventually(lambda: asked(made, "LAKE.put") > 4 or None, "more tries than the first queue makes")
        set_faults(made)
        assert len(made.events(lambda event: event.get("event_id") == "kept")) == 1
        made.kv.close()


@pytest.mark.parametrize("broken", ["_describe", "_is_observed", "without_ours"])
def test_a_request_that_fails_before_its_page_is_asked_for_keeps_the_cache_rule(world: World, broken: str) -> None:
    world.publish_untrained()
    known = {"if-none-match": world.browser().get("/journal/").headers.get("etag", '"any"'), "if-modified-since": LATER}
    httpx.post(f"{world.edge.url}/_test/break", content=broken).raise_for_status()
    page = world.browser(**known).get("/")
    assert (page.status_code, page.content) == (200, PAGE)
    assert page.headers["cache-control"] == "private, no-cache"
    assert page.headers["cdn-cache-control"] == "no-store"
    assert not {"etag", "last-modified", "expires", "age", "set-cookie"} & set(page.headers)
    assert world.browser().get("/men/nothing.svg").status_code == 404
    eventually(lambda: world.edge.counted("request_failed") or None, "the failure counted")


def test_a_limiter_that_fails_lets_everything_through_and_is_counted(world: World) -> None:
    world.publish_untrained()
    browser = world.browser()
    browser.get("/")
    set_faults(world, VISITOR_LIMIT_limit={"error": "internal error"})
    assert browser.report("hero_click").status_code == 202
    eventually(lambda: world.edge.counted("limit_failed") or None, "the failure counted")


def test_an_intake_that_fails_puts_the_events_off(world: World) -> None:
    world.publish_untrained()
    browser = world.browser()
    browser.get("/")
    httpx.post(f"{world.edge.url}/_test/break", content="_number").raise_for_status()
    answer = browser.report("hero_click")
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "failed", "60")
    eventually(lambda: world.edge.counted("intake_failed") or None, "the failure counted")


def test_events_are_never_passed_to_the_site(world: World) -> None:
    world.publish_untrained()
    browser = world.browser()
    browser.get("/")
    httpx.post(f"{world.edge.url}/_test/break", content="_describe").raise_for_status()
    answer = browser.report("hero_click")
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "failed", "60")


def test_a_refused_request_is_counted_by_its_code(world: World) -> None:
    world.publish_untrained()
    assert world.browser().report("hero_click").status_code == 401
    eventually(lambda: world.edge.counted("intake_refused") or None, "the refusal counted")


def test_without_keys_the_page_passes_and_events_are_put_off(
    tmp_path: Path, demo_config: Config, modules_under_test: Path
) -> None:
    options = {"modules": str(modules_under_test)}
    with run_edge(variables={"USHER_KEYS": "short"}, options=options) as edge:
        made = make_world(edge, tmp_path, demo_config)
        version, text = publishable(made)
        made.kv.put({SNAPSHOT_KEY + version: text})
        point_to(made, version)
        assert_own_page(made, "no_keys")
        assert made.edge.counted("setting_invalid") == 1
        assert made.browser().report("hero_click").status_code == 503
        made.kv.close()
