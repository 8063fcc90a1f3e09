"""Bots: visitors whose events are kept, but left out of learning and of reports by default.

A visitor is labelled for what any of their events shows, by the first of these reasons that fits:

    declared:<name>       the user agent is on the maintained list of crawlers, libraries and monitors
    headless:<name>       it is that of a browser driven by a program, or the browser itself says so (webdriver)
    page_view_rate        more than MOST_PAGE_VIEWS pages within any 60 seconds
    event_rate            more than MOST_EVENTS events within any 60 seconds
    no_agent              no request for a page ever named a browser
    no_language           no request for a page ever said which languages are wanted, which every browser does

The label is the visitor's, so all their events have it. Events of servers, of the edge's own books and of nobody are
never labelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from shared.events import EDGE, SERVER

MINUTE_MS: Final = 60_000
MOST_PAGE_VIEWS: Final = 60
MOST_EVENTS: Final = 600
# What the list lacks of what browsers that a program drives call themselves.
_DRIVEN: Final = ("HeadlessChrome", "HeadlessEdg", "PhantomJS", "SlimerJS", "Puppeteer", "Playwright", "jsdom")
_AUTOMATION: Final = "browser-automation"
# So many patterns of the list are tried by one automaton; one of all of them outgrows what RE2 keeps of it.
_AT_ONCE: Final = 150
# Requests say what they accept since this schema.
_FIRST_WITH_AGENTS: Final = 3
# The columns that are read here.
_READ: Final = (
    *("type", "visitor", "page_view", "received_ms", "happened_ms", "schema", "user_agent", "context", "driven"),
)
# By which reason a visitor is labelled where several fit.
_ORDER: Final = ("declared", "headless", "page_view_rate", "event_rate", "no_agent", "no_language")
_LABELS: Final = pa.schema([("bot_visitor", pa.string()), ("bot", pa.string())])


def find_bots(connection: ibis.BaseBackend, events: ir.Table) -> pa.Table:
    """Return the labelled visitors (`bot_visitor`) and their reasons (`bot`) among events that are there once each."""
    human = events.filter(events.visitor != "", events.source.fill_null(EDGE) != SERVER).select(*_READ)
    agents = connection.to_pyarrow(human.filter(human.user_agent.notnull()).select("user_agent").distinct())
    suspects = judge_agents(agents["user_agent"].combine_chunks())
    driven = human.filter(human.driven.fill_null(False))
    reasons = [driven.select("visitor", reason=ibis.literal("headless:webdriver")).distinct()]
    reasons += [*_by_rate(human), *_by_silence(human)]
    if suspects:
        known = ibis.memtable(pa.table({"agent": list(suspects), "reason": list(suspects.values())}))
        declared = human.inner_join(known, human.user_agent == known.agent)
        reasons.append(declared.select("visitor", "reason").distinct())
    found: dict[str, str] = {}
    for row in connection.to_pyarrow(ibis.union(*reasons)).to_pylist():
        visitor, reason = row["visitor"], row["reason"]
        if visitor not in found or _precedence(reason) < _precedence(found[visitor]):
            found[visitor] = reason
    return pa.table([list(found), list(found.values())], schema=_LABELS)


def judge_agents(agents: pa.Array) -> dict[str, str]:
    """Return those of the user agents that are a bot's, each with the reason: `declared:<name>`, `headless:<name>`."""
    found: dict[str, str] = {}
    for name in _DRIVEN:
        driven = agents.filter(pc.match_substring(agents, name, ignore_case=True))
        found |= {agent: f"headless:{name}" for agent in driven.to_pylist() if agent not in found}
    for start in range(0, len(CRAWLER_USER_AGENTS_DATA), _AT_ONCE):
        crawlers = CRAWLER_USER_AGENTS_DATA[start : start + _AT_ONCE]
        suspects = agents.filter(pc.match_substring_regex(agents, "|".join(each["pattern"] for each in crawlers)))
        for agent in suspects.to_pylist():
            if agent not in found:
                found[agent] = next(_describe(each) for each in crawlers if re.search(each["pattern"], agent))
    return found


def _describe(crawler: Mapping[str, Any]) -> str:
    kind = "headless" if _AUTOMATION in crawler.get("tags", ()) else "declared"
    return f"{kind}:{_plain_name(crawler['pattern'])}"


def _plain_name(pattern: str) -> str:
    """A pattern of the list as a name: `[cC]laude[bB]ot` is claudebot, `Googlebot\\/` is Googlebot."""
    plain = re.sub(r"\\[sdwbSDWB]|\[\^?([^\]])[^\]]*\]|[()^$*+?|\\]|/.*", r"\1", pattern)
    return plain.strip() or pattern


def _by_rate(human: ir.Table) -> Iterable[ir.Table]:
    """More than anybody does within any 60 seconds."""
    timed = human.mutate(moment_ms=human.happened_ms.fill_null(human.received_ms))
    # Sixty seconds touch two minutes of the clock, so in one of the two it must have been more than half as many.
    by_minute = timed.group_by("visitor", minute=timed.moment_ms // MINUTE_MS).aggregate(count=timed.count())
    busy = by_minute.filter(by_minute["count"] > MOST_PAGE_VIEWS // 2)
    timed = timed.semi_join(busy, "visitor")
    viewed = timed.filter(timed.type.isin(["exposure", "page_view"]))
    pages = viewed.group_by("visitor", "page_view").aggregate(moment_ms=viewed.moment_ms.min())
    for name, rows, most in (("page_view_rate", pages, MOST_PAGE_VIEWS), ("event_rate", timed, MOST_EVENTS)):
        span = ibis.range_window(preceding=MINUTE_MS - 1, following=0, group_by=rows.visitor, order_by=rows.moment_ms)
        counted = rows.mutate(within=rows.count().over(span))
        yield counted.filter(counted.within > most).select("visitor", reason=ibis.literal(name)).distinct()


def _by_silence(human: ir.Table) -> Iterable[ir.Table]:
    """Pages that were asked for without what every browser says of itself."""
    asked = human.filter(human.type == "exposure", human["schema"] >= _FIRST_WITH_AGENTS)
    language = asked.context.cast("json")["language"].str.fill_null("")
    said = asked.group_by("visitor").aggregate(
        no_agent=asked.user_agent.fill_null("").length().max(), no_language=language.length().max()
    )
    for name in ("no_agent", "no_language"):
        yield said.filter(said[name] == 0).select("visitor", reason=ibis.literal(name))


def _precedence(reason: str) -> tuple[int, str]:
    return _ORDER.index(reason.partition(":")[0]), reason
