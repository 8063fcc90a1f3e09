"""How a person looks in the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.markup import escape

from origin.identity.guard import JOINED
from origin.identity.show import Link, ShownPerson
from origin.identity.state import VISITOR
from origin.identity.trail import REFUSED, explain_outcome

# So many links that were not joined are listed; a kiosk may have thousands.
MOST_LISTED: Final = 20


def print_person(out: Console, found: ShownPerson) -> None:
    """Print a person: its devices and users, why each belongs to it, what was refused, and what happened when."""
    unit = f", unit {escape(found.name)}" if found.visitors else ""
    out.print(f"[bold]person {escape(found.name)}[/]{unit}")
    joined = [link for link in found.links if link.outcome == JOINED]
    for visitor, seen_ms in found.visitors.items():
        seen = "never seen by the edge" if seen_ms is None else f"first seen {_time(seen_ms)}"
        out.print(f"visitor {escape(visitor)}: {seen}")
        _print_links(out, [link for link in joined if VISITOR + visitor in (link.a, link.b)])
        for crossing in found.crossings:
            if crossing.visitor == visitor:
                units = f"unit {escape(crossing.unit)} in place of {escape(crossing.unit_before)}"
                out.print(f"  took over {units}, {_time(crossing.crossed_ms)}")
    for user in found.users:
        out.print(f"user {user}")
        _print_links(out, [link for link in joined if user in link.a and not link.b.startswith(VISITOR)])
    refused = [link for link in found.links if link.outcome != JOINED]
    for link in refused[:MOST_LISTED]:
        reason = explain_outcome(link.outcome, found.guard)
        out.print(f"[yellow]not joined[/] {_ends(link.a, link.b)}, {_describe(link)}: {reason}")
    if len(refused) > MOST_LISTED:
        out.print(f"[yellow]not joined[/] {len(refused) - MOST_LISTED:,} more")
    for change in found.changes:
        before = ", ".join(escape(each) for each in dict.fromkeys(change.before))
        result = f": {before} → {escape(change.person)}" if change.kind != REFUSED else ""
        out.print(f"{_time(change.recorded_ms)} {change.kind} by {_ends(change.a, change.b)}{result}")


def _print_links(out: Console, links: list[Link]) -> None:
    for link in links:
        out.print(f"  because of {_ends(link.a, link.b)}: {_describe(link)}")


def _describe(link: Link) -> str:
    return f"{escape(link.source)}, {escape(link.evidence)}, {_time(link.first_ms)}"


def _ends(a: str, b: str) -> str:
    return " and ".join(escape(each.replace(":", " ", 1)) for each in (b, a))


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
