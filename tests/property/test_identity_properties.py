"""Identity: however links arrive, persons come out the same, and as a plain union-find says."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.config import IdentityConfig
from origin.identity.persons import read_persons
from origin.identity.state import read_state
from origin.identity.stitch import stitch
from origin.lake import Lake
from tests.origin.test_identity_guard import Link, outcomes_of

DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS
LAST_MS = START_MS + 1_000 * DAY_MS

Seen = tuple[int, int, int]  # visitor, user (0: none), hour
VISITORS = 8
seen = st.tuples(st.integers(1, VISITORS), st.integers(0, 5), st.integers(0, 40))
guards = st.builds(
    IdentityConfig,
    users_per_visitor=st.integers(1, 4),
    window_days=st.just(1),
    visitors_per_user=st.integers(1, 8),
    user_window_days=st.integers(1, 3),
    visitors_per_person=st.integers(1, 6),
    person_window_days=st.integers(1, 60),
)
GENEROUS = IdentityConfig(users_per_visitor=1_000, visitors_per_user=1_000, visitors_per_person=1_000)


def store(lake: Lake, events: list[Seen], batch: str) -> None:
    """Put events into the lake under the days of their hours."""
    for day in {hour // 24 for _, _, hour in events}:
        lines = [
            json.dumps({
                "type": "identify" if user else "page_view",
                "event_id": f"{visitor}-{user}-{hour}",
                "received_ms": START_MS + hour * DAY_MS // 24,
                "visitor": f"v{visitor}",
                "user": f"u{user}" if user else "",
            })
            for visitor, user, hour in events
            if hour // 24 == day
        ]  # fmt: skip
        content = gzip.compress("\n".join(lines).encode())
        lake.write(lake.events / f"2026-01-{day + 1:02}" / "00" / f"{batch}.ndjson.gz", content)


def outcome(lake: Lake, guard: IdentityConfig) -> tuple[object, object, object]:
    """All that a stitching leaves but for its trail: links with outcomes, visitors, persons."""
    folder = read_state(lake).folder
    assert folder is not None
    links, visitors = (pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("links", "visitors"))
    return links, visitors, read_persons(lake, guard, LAST_MS)


def union_find(events: list[Seen]) -> dict[str, tuple[str, ...]]:
    """The persons of several visitors, without a guard: their visitors by when they were first seen."""
    parent: dict[str, str] = {}

    def find(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    first: dict[str, int] = {}
    for visitor, user, hour in events:
        name = f"v{visitor}"
        first[name] = min(hour, first.get(name, hour))
        find(name)
        if user:
            parent[find(name)] = find(f"u{user}")
    groups: dict[str, list[str]] = {}
    for name in sorted(first, key=lambda each: (first[each], each)):
        groups.setdefault(find(name), []).append(name)
    return {group[0]: tuple(group) for group in groups.values() if len(group) > 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(seen, min_size=1, max_size=40), guards, st.data())
def test_events_in_any_order_and_any_number_of_runs_give_what_one_run_over_all_gives(
    events: list[Seen], guard: IdentityConfig, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Lake(Path(folder) / "whole"), Lake(Path(folder) / "parts")
        store(whole, events, "all")
        stitch(whole, guard, LAST_MS)
        for run, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(events)], strict=True)):
            store(parts, shuffled[start:end], f"batch-{run}")
            stitch(parts, guard, LAST_MS + run)
        assert outcome(parts, guard) == outcome(whole, guard)


@settings(max_examples=25, deadline=None)
@given(st.lists(seen, min_size=1, max_size=40))
def test_without_a_guard_persons_are_those_of_a_plain_union_find(events: list[Seen]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        store(lake, events, "all")
        stitch(lake, GENEROUS, LAST_MS)
        assert read_persons(lake, GENEROUS, LAST_MS).units == union_find(events)


links_of = st.lists(
    st.tuples(
        st.sampled_from([f"u{i}" for i in range(4)] + [f"v{i}" for i in range(9)]),
        st.sampled_from([f"v{i}" for i in range(9)]),
        st.integers(0, 40),
    ).filter(lambda link: link[0] < link[1]),
    unique_by=lambda link: link[:2],
    max_size=40,
)


def judge_slowly(links: list[Link], guard: IdentityConfig) -> dict[tuple[str, str], str]:
    """The rules, word by word: one link after the other, persons searched anew for each."""
    found: dict[tuple[str, str], str] = {}
    beside: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    shared: list[str] = []  # in the order in which that was found, the visitor of a link before its user

    def find_person(node: str) -> set[str]:
        person = {node}
        while (
            more := {each for pair, was in found.items() if was == "joined" and person & {*pair} for each in pair}
            - person
        ):
            person |= more
        return person

    def is_shared(node: str, day: float, most: int, days: int) -> bool:
        """Whether the link of that day, which is one of the node's, shows that it is shared."""
        beside.setdefault(node, []).append(day)
        return sum(day - each <= days for each in beside[node]) > most and node not in shared

    for a, b, day in sorted(links, key=lambda link: (link[2], link[0], link[1])):
        first.setdefault(a, day)
        first.setdefault(b, day)
        if a.startswith("u"):
            is_visitor_shared = is_shared(b, day, guard.users_per_visitor, guard.window_days)
            is_user_shared = is_shared(a, day, guard.visitors_per_user, guard.user_window_days)
            for node, is_found, undone in ((b, is_visitor_shared, "undone"), (a, is_user_shared, "user_undone")):
                if is_found:
                    found |= {pair: undone for pair, was in found.items() if node in pair and was == "joined"}
                    shared.append(node)
        fault = next((node for node in shared if node in (a, b)), None)
        if fault is not None:
            found[a, b] = "shared" if fault.startswith("v") else "user_shared"
            continue
        here, there = find_person(a), find_person(b)
        visitors = [node for node in here | there if node.startswith("v")]
        if min(len(here), len(there)) == 1:
            visitors = [node for node in visitors if day - first[node] <= guard.person_window_days]
        is_joined = here == there or len(visitors) <= guard.visitors_per_person
        found[a, b] = "joined" if is_joined else "too_large"
    return found


@settings(max_examples=300, deadline=None)
@given(links_of, guards)
def test_links_are_judged_as_the_rules_say(links: list[Link], guard: IdentityConfig) -> None:
    assert outcomes_of(links, **guard.model_dump()) == judge_slowly(links, guard)


@settings(max_examples=200, deadline=None)
@given(links_of, guards, st.integers(0, 40))
def test_what_comes_later_never_changes_what_was_refused(links: list[Link], guard: IdentityConfig, day: int) -> None:
    before = outcomes_of([link for link in links if link[2] <= day], **guard.model_dump())
    after = outcomes_of(links, **guard.model_dump())
    for pair, outcome in before.items():
        assert after[pair] == outcome or (outcome == "joined" and after[pair] in ("undone", "user_undone"))
