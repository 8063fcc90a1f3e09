from __future__ import annotations

import re

from worker import client, intake
from worker.visitor import MOST_PREFERENCES, PREFERENCES_COOKIE


def test_the_script_reports_to_the_intake() -> None:
    posted = set(re.findall(r'"(/_usher/[^"]*)"', client.SCRIPT))
    assert posted == {intake.PATH}


def test_the_script_sends_the_fields_that_the_intake_reads() -> None:
    for field in ("sent_ms", "events", "type", "event_id", "name", "touchpoint", "page_view", "created_ms"):
        assert re.search(rf"\b{field}\b", client.SCRIPT), field


def test_the_script_is_added_by_source_so_that_a_strict_policy_allows_it() -> None:
    assert client.script_tag("0a1b") == '<script src="/_usher/usher.js" data-view="0a1b" defer></script>'
    assert client.PATH.startswith("/")


def test_the_script_may_be_cached_by_everybody() -> None:
    assert client.CACHE_CONTROL.startswith("public, max-age=")


def test_the_script_writes_the_cookie_of_preferences_that_the_edge_reads() -> None:
    assert f"{PREFERENCES_COOKIE}=" in client.SCRIPT
    assert f".slice(-{MOST_PREFERENCES})" in client.SCRIPT
    assert re.search(r"window\.usher = \{[^}]*\bprefer\b", client.SCRIPT)
