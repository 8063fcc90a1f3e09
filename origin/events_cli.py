"""The commands below `usher events`: their balance, their figures, and how they come."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from origin.terminal import locked_lake, out, print_errors, reported, settings_of_environment

if TYPE_CHECKING:
    from origin.audit import HourBalance
    from origin.tail import Event

events = typer.Typer(help="The events: their balance, their figures, and how they come.", no_args_is_help=True)
DAY_MS = 86_400_000
DaysOption = Annotated[int, typer.Option("--days", min=1, help="of so many days until now")]
COLOURS = {"exposure": "cyan", "goal": "green", "purchase": "green", "page_view": "blue", "custom": "magenta"}


@events.command()
def audit(days: DaysOption = 7) -> None:
    """Print the balance of each hour; exit with 1 where something is lost, overdue, or does not fit.

    No message tells of the last of its isolate. So it also says of how many isolates the books end in these hours.
    """
    from origin.audit import audit as balance
    from origin.audit import show_hour

    with reported(), locked_lake(settings_of_environment()) as lake, out.status("drawing up the balance"):
        now_ms = _now_ms()
        found = balance(lake, now_ms, since_ms=now_ms - days * DAY_MS)
    if not found.hours:
        out.print("no events with receipts in that time; [bold]usher pull[/] brings new ones")
        return
    table = Table("hour", *_columns(found.hours[0]))
    for hour in found.hours:
        style = "red" if hour.lost or not hour.is_balanced else "yellow" if hour.in_flight else None
        table.add_row(show_hour(hour.start_ms), *(f"{value:,}" for value in _columns(hour).values()), style=style)
    table.add_section()
    totals = [sum(values) for values in zip(*(_columns(hour).values() for hour in found.hours), strict=True)]
    table.add_row("all", *(f"{value:,}" for value in totals))
    out.print(table)
    out.print(
        f"{found.isolates:,} isolate{' was' if found.isolates == 1 else 's were'} last heard of in these hours: what "
        "was sent later and never came cannot be known"
    )
    if found.problems:
        print_errors(found.problems)
        raise typer.Exit(1)
    out.print("[green]balanced[/] received = stored + quarantined + duplicates + in flight")


@events.command()
def stats(
    days: DaysOption = 7,
    with_bots: Annotated[bool, typer.Option("--bots", help="count what bots did in all figures")] = False,
) -> None:
    """Print how many events there are by type and source, how late they came, bots, and reasons of quarantine.

    Bots are counted apart; with --bots, in the other figures too.
    """
    from origin.stats import SHARES, read_stats

    with reported(), locked_lake(settings_of_environment()) as lake, out.status("counting"):
        found = read_stats(lake, since_ms=_now_ms() - days * DAY_MS, with_bots=with_bots)
    if not found.types and not found.bots and not found.codes:
        out.print("no events in that time; [bold]usher pull[/] brings new ones")
        return
    if found.types:
        table = Table("type", "source", "events")
        for (kind, source), count in found.types.items():
            table.add_row(escape(kind), escape(source), f"{count:,}")
        out.print(table)
    if found.lateness_ms:
        table = Table("received after it happened", *("longest" if share == 1 else f"{share:.0%}" for share in SHARES))
        for source, lateness in found.lateness_ms.items():
            table.add_row(escape(source), *(f"{late_ms / 1000:,.1f} s" for late_ms in lateness))
        out.print(table)
    if found.bots:
        table = Table("bots, counted above too" if with_bots else "bots, left out above", "visitors", "events")
        for reason, (visitors, count) in found.bots.items():
            table.add_row(escape(reason), f"{visitors:,}", f"{count:,}")
        out.print(table)
    if found.codes:
        table = Table("quarantined", "events")
        for code, count in found.codes.items():
            table.add_row(escape(code), f"{count:,}")
        out.print(table)


@events.command()
def tail(
    kind: Annotated[list[str] | None, typer.Option("--type", help="only events of this type; may be repeated")] = None,
    visitor: Annotated[str | None, typer.Option(help="only events of this visitor")] = None,
    last: Annotated[
        int, typer.Option(min=0, help="so many earlier events first, if the newest 100 objects have them")
    ] = 10,
    every: Annotated[float, typer.Option(min=0.1, help="seconds between two looks")] = 2.0,
    for_s: Annotated[float | None, typer.Option("--for", min=0, metavar="SECONDS", help="stop after so long")] = None,
    once: Annotated[bool, typer.Option("--once", help="print the earlier events and stop")] = False,
) -> None:
    """Show events as they come into the bucket. Nothing is stored, and the lake is not touched.

    What the Queue delivers hours late stands under an older hour. These are looked at in turns: it shows in minutes.
    """
    from origin.tail import describe, follow

    def show(event: Event) -> None:
        received = event.get("received_ms")
        clock = f"{datetime.fromtimestamp(received / 1000, UTC):%H:%M:%S}" if isinstance(received, int) else "?"
        name = str(event.get("type"))
        colour = COLOURS.get(name, "white")
        who = str(event.get("visitor") or event.get("user") or "-")[:12]
        out.print(
            f"[dim]{clock}[/] [{colour}]{escape(name):<14}[/] [dim]{escape(who):<12}[/] {escape(describe(event))}"
        )

    with reported(), suppress(KeyboardInterrupt):
        follow(
            settings_of_environment(),
            show,
            types=kind or (),
            visitor=visitor,
            last=last,
            every_s=every,
            for_s=0 if once else for_s,
        )


def _columns(hour: HourBalance) -> dict[str, int]:
    return {
        "received": hour.received,
        "stored": hour.stored,
        "quarantined": hour.quarantined,
        "duplicates": hour.duplicates,
        "in flight": hour.in_flight,
        "lost": hour.lost,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
