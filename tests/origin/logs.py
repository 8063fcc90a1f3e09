"""Lakes that hold logged decisions: what the Worker's own code logs for made-up visitors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from origin.lake import Lake
from shared.profile import Profile
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import NOW_MS
from worker.page_view import PageRequest, PageView
from worker.storage import event_line, pack_batch
from worker.visitor import Visitor


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
    exposures = [each for view in views for each in view.exposures(range(len(view.plan.slots)))]
    message = "\n".join(event_line(each.to_dict()) for each in exposures)
    for stored in pack_batch([(name, NOW_MS, message)]):
        lake.write(lake.root / stored.key, stored.content)
