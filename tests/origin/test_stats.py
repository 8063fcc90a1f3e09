"""Figures of the lake: each event once, bots apart."""

from __future__ import annotations

from dataclasses import asdict

from origin.lake import Lake
from origin.stats import Stats, read_stats
from tests.origin.mail import Isolate, deliver, sent
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, exposure


def test_stats_of_an_empty_lake_are_empty(lake: Lake) -> None:
    assert read_stats(lake) == Stats()


def test_stats_count_each_event_once(lake: Lake) -> None:
    clicks = [sent("click", number, target="nav") for number in range(3)]
    late = sent("click", 3, target="nav", happened_ms=NOON_MS - 10_000)
    server = sent("purchase", 1, source="server", value=1.0, currency="EUR", happened_ms=NOON_MS - DAY_MS)
    bot = sent("page_view", 1, "crawler", user_agent="Googlebot/2.1", source="browser")
    messages = Isolate("i").send([*clicks, late, server, bot], refused=2)
    deliver(lake, messages, [*messages, *Isolate("j").send([exposure(1, source="edge")])])
    assert asdict(read_stats(lake)) == {
        "types": {
            ("click", "browser"): 4,
            ("receipt", "edge"): 2,
            ("exposure", "edge"): 1,
            ("purchase", "server"): 1,
        },
        "lateness_ms": {"browser": (0, 7_000, 9_699, 10_000), "server": (DAY_MS,) * 4},
        "bots": {"declared:Googlebot": (1, 1)},
        "codes": {"missing": 2},
    }
    assert read_stats(lake, since_ms=NOON_MS + HOUR_MS) == Stats()


def test_bots_are_left_out_unless_they_are_asked_for(lake: Lake) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1)"
    view = sent("page_view", 1, "crawler", user_agent=agent, happened_ms=NOON_MS - 1_000)
    click = sent("click", 1, "crawler", target="nav")
    order = sent("purchase", 1, "crawler", source="server", value=1.0, currency="EUR")
    deliver(lake, Isolate("i").send([view, click, order, sent("click", 2)]))
    without, everything = read_stats(lake), read_stats(lake, with_bots=True)
    human = {("click", "browser"): 1, ("purchase", "server"): 1, ("receipt", "edge"): 1}
    assert without.types == human, "what a server reports of a bot is the server's"
    assert everything.types == {**human, ("click", "browser"): 2, ("page_view", "browser"): 1}
    assert without.bots == everything.bots == {"declared:Googlebot": (1, 2)}
    assert without.lateness_ms["browser"] == (0, 0, 0, 0)
    assert everything.lateness_ms["browser"][-1] == 1_000
