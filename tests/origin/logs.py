"""Lakes that hold logged decisions: what the Worker's own code logs for made-up visitors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from origin.lake import Lake
from origin.replay import Difference, replay
from shared.decision import Decision
from shared.profile import Profile
from shared.session import Session
from shared.snapshot import Snapshot, write_snapshot
from tests.asking import NOW_MS, Record, cell
from worker.page_view import PageRequest, PageView
from worker.storage import pack_batch
from worker.visitor import Visitor

Line = dict[str, Any]
HEADER: Record = {
    "version": "v1",
    "site": "shop",
    "created_ms": 0,
    "holdout_share": 0.0,
    "segments": [{"name": "gold", "condition": {"plan": "gold"}}],
    "attributes": [],
    "goals": ["order"],
    "pages": {"hero": ["/"]},
}


def view_of(
    site: Snapshot,
    visitor: Visitor,
    *,
    number: int = 0,
    context: Mapping[str, str] | None = None,
    profile: Profile | None = None,
    forced: Mapping[str, str] | None = None,
) -> PageView:
    """A view of the front page with all touchpoints of a site."""
    request = PageRequest(
        id=f"pv-{visitor.id}-{number}",
        names=list(site.header.pages),
        snapshot=site,
        visitor=visitor,
        session=visitor.session,
        context={"path": "/", "device": "mobile", **(context or {})},
        forced=forced or {},
        now_ms=NOW_MS + number,
        is_shown=True,
        user_agent="",
    )
    return PageView(request, profile)


def visitor_of(name: str, **fields: int) -> Visitor:
    """A visitor whose session began just now."""
    session = Session(started_ms=NOW_MS, seen_ms=NOW_MS, preferences={"topic": "coats"}, **fields)  # type: ignore[arg-type]
    return Visitor(name, name, session)


def log_views(lake: Lake, views: Iterable[PageView], name: str = "m") -> None:
    """Store what the views were, as the Worker does: through messages into objects, each slot written."""
    message = "\n".join(line for view in views for line in view.lines(range(len(view.plan.slots))))
    for stored in pack_batch([(name, NOW_MS, message)]):
        lake.write(lake.root / stored.key, stored.content)


def put_site(lake: Lake, header: Mapping[str, object], records: Mapping[str, Record]) -> Snapshot:
    """A snapshot, which the lake holds."""
    text = write_snapshot(header, records)
    snapshot = Snapshot.from_text(text)
    lake.write(lake.snapshots / f"{snapshot.version}.txt", text.encode())
    return snapshot


def put_hero(lake: Lake, hero: Record, **header: object) -> Snapshot:
    """A snapshot of one touchpoint with four variants, among which gold plans are drawn for otherwise."""
    cells = {"cell:hero:global:": cell([0.4, 0.0, -0.3, 0.2]), "cell:hero:segment:gold": cell([0.0, 3.0, 0.0, 0.0])}
    return put_site(lake, {**HEADER, **header}, {"touchpoint:hero": hero, **cells})


def see(site: Snapshot, visitor: Visitor, number: int, **context: str) -> PageView:
    """The view of that number, so many milliseconds after the first."""
    return view_of(site, visitor, number=number, context=context)


def shown(view: PageView) -> Decision:
    """The decision of a view's first slot."""
    return view.plan.slots[0].decision


def view_thrice(site: Snapshot, name: str) -> list[PageView]:
    """On a phone, then on a desktop, and there again: two draws, and a repeat of the second."""
    first = see(site, visitor_of(name), 0, device="mobile")
    second = see(site, first.visitor, 1, device="desktop")
    third = see(site, second.visitor, 2, device="desktop")
    assert [shown(each).reason == "kept" for each in (first, second, third)] == [False, False, True]
    return [first, second, third]


def view_redrawn(site: Snapshot, name: str) -> list[PageView]:
    """On a phone, on a desktop, and with a gold plan on the phone: the last draws anew, with a `u` that is used up."""
    first, second, _ = view_thrice(site, name)
    third = see(site, second.visitor, 2, plan="gold", device="mobile")
    assert not shown(third).randomised and shown(third).reason != "kept"
    return [first, second, third]


def is_kept(line: Line) -> bool:
    """Whether a line is a repeat."""
    return bool(line["reason"] == "kept")


def edit_lines(lake: Lake, wanted: Callable[[Line], bool], change: Callable[[Line], object], *, most: int = 1) -> Line:
    """Change the first of the wanted lines in the lake, and return the last of those as it was."""
    before: list[Line] = []
    for path in sorted(lake.events.rglob("*.ndjson.gz")):
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for line in lines:
            if len(before) < most and wanted(line):
                before.append(dict(line))
                change(line)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        path.write_bytes(gzip.compress(text.encode()))
    assert len(before) == most
    return before[-1]


def change(lake: Lake, wanted: Callable[[Line], bool], **fields: object) -> Line:
    """Give the first of the wanted lines in the lake these fields, and return it as it was."""
    return edit_lines(lake, wanted, lambda line: line.update(fields))


def first_difference(lake: Lake) -> Difference:
    """The first difference that a replay of the lake finds."""
    found = replay(lake).first_difference
    assert found is not None
    return found
