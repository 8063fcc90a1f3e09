"""The browser's script as a file, and what the edge says about it; tests/e2e shows what it does."""

from __future__ import annotations

import gzip
import re

import pytest

from scripts import minify
from shared.events import BROWSER, EVENT_TYPES
from worker import client, intake
from worker.answers import DONE
from worker.cookies import MOST_PREFERENCES, PREFERENCES_COOKIE

SOURCE = minify.SOURCE.read_text(encoding="utf-8")


def test_what_is_served_is_what_the_source_gives() -> None:
    assert minify.minify() == client.SCRIPT, "usher.js has changed: run python -m scripts.minify"


def test_the_script_is_at_most_2_kb() -> None:
    assert len(gzip.compress(client.SCRIPT.encode(), 9)) <= 2048


def test_the_script_reports_to_the_intake() -> None:
    posted = set(re.findall(r'"(/_usher/[^"]*)"', client.SCRIPT))
    assert posted == {intake.PATH}
    assert f'.get("{DONE[0]}")' in client.SCRIPT


def test_every_event_of_the_script_is_one_that_browsers_may_send() -> None:
    sent = set(re.findall(r'\b(?:add|keep)\("(\w+)"', SOURCE))
    assert sent == {"page_view", "shown", "engagement", "goal", "custom", "identify", "preference"}
    assert {BROWSER in EVENT_TYPES[name].senders for name in sent} == {True}


def test_tracked_by_their_type_are_goals_and_what_a_goal_may_be_reached_by_in_a_browser() -> None:
    [listed] = re.findall(r"const STANDARD = \[(.*)\];", SOURCE)
    expected = {name for name, each in EVENT_TYPES.items() if each.is_goal and BROWSER in each.senders}
    assert set(re.findall(r'"(\w+)"', listed)) == expected | {"goal"}


def test_nothing_keeps_pages_out_of_the_back_forward_cache() -> None:
    assert not re.search(r"\b(unload|beforeunload|BroadcastChannel|locks|indexedDB)\b", SOURCE)


def test_the_script_writes_the_cookie_of_preferences_that_the_edge_reads() -> None:
    assert f'"{PREFERENCES_COOKIE}"' in client.SCRIPT
    assert f".slice(-{MOST_PREFERENCES})" in client.SCRIPT


@pytest.mark.parametrize(
    ("is_shown", "honours_gpc", "more"),
    [
        (True, False, ""),
        (True, True, ' data-gpc="1"'),
        (False, True, ' data-fetched="1" data-gpc="1"'),
    ],
)
def test_the_script_is_added_by_source_so_that_a_strict_policy_allows_it(
    is_shown: bool, honours_gpc: bool, more: str
) -> None:
    tag = client.script_tag("0a1b", is_shown=is_shown, honours_gpc=honours_gpc)
    assert tag == f'<script src="/_usher/usher.js" data-view="0a1b"{more} defer></script>'


def test_the_script_may_be_cached_by_everybody() -> None:
    assert client.CACHE_CONTROL.startswith("public, max-age=")


@pytest.mark.parametrize(
    ("sent", "is_known"),
    [(None, False), ("", False), ('"0000000000000000"', False), (client.ETAG, True), (f'"x", W/{client.ETAG}', True)],
)
def test_a_browser_that_has_the_script_is_not_sent_it_again(sent: str | None, is_known: bool) -> None:
    assert client.is_known(sent) is is_known
