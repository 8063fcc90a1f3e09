"""What the lake holds, in figures: events by type and source, how late they came, bots, and what was refused.

Bots are counted apart, and are left out of the other figures by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir

from origin.errors import LakeError
from origin.lake import Lake
from origin.quarantine import read_quarantine
from origin.stored import read_labelled_events
from shared.events import EDGE

SHARES: Final = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures of the lake: events by type and source; the lateness in ms, at SHARES, of what browsers and servers sent,
    by source; bots' visitors and events by reason, whether or not the other figures count them; quarantined events by
    code."""

    types: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lateness_ms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bots: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)


def read_stats(lake: Lake, *, since_ms: int = 0, with_bots: bool = False) -> Stats:
    """Sum up what was received from a moment on, each event once; what bots did only `with_bots`. Raises LakeError."""
    codes: Counter[str] = Counter()
    for hour, records in read_quarantine(lake).items():
        if hour >= since_ms:
            codes.update(records.codes)
    connection = ibis.duckdb.connect()
    try:
        events = read_labelled_events(connection, lake)
        if events is None:
            return Stats(codes=dict(codes.most_common()))
        events = events.filter(events.received_ms >= since_ms)
        shown = events if with_bots else events.filter(events.bot == "")
        return Stats(
            types=_count_types(connection, shown),
            lateness_ms=_find_lateness(connection, shown),
            bots=_count_bots(connection, events),
            codes=dict(codes.most_common()),
        )
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()


def _count_types(connection: ibis.BaseBackend, events: ir.Table) -> dict[tuple[str, str], int]:
    named = events.mutate(kind=events.type.fill_null(""), sender=events.source.fill_null(""))
    counted = named.group_by("kind", "sender").aggregate(count=named.count())
    rows = connection.to_pyarrow(counted.order_by(counted["count"].desc(), "kind", "sender")).to_pylist()
    return {(row["kind"], row["sender"]): row["count"] for row in rows}


def _find_lateness(connection: ibis.BaseBackend, events: ir.Table) -> dict[str, tuple[int, ...]]:
    sent = events.filter(events.source.fill_null(EDGE) != EDGE, events.happened_ms.notnull())
    sent = sent.mutate(late_ms=sent.received_ms - sent.happened_ms)
    shares = {f"share_{i}": sent.late_ms.quantile(share) for i, share in enumerate(SHARES)}
    rows = connection.to_pyarrow(sent.group_by("source").aggregate(**shares).order_by("source")).to_pylist()
    return {row["source"]: tuple(int(row[name]) for name in shares) for row in rows}


def _count_bots(connection: ibis.BaseBackend, events: ir.Table) -> dict[str, tuple[int, int]]:
    bots = events.filter(events.bot != "")
    counted = bots.group_by("bot").aggregate(visitors=bots.visitor.nunique(), count=bots.count())
    rows = connection.to_pyarrow(counted.order_by(counted["count"].desc(), "bot")).to_pylist()
    return {row["bot"]: (row["visitors"], row["count"]) for row in rows}
