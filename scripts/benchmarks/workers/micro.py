"""Functions of the core, called many times inside workerd.

`PUT /snapshots/<name>` keeps the text of a snapshot; `GET /<case>?n=1000` calls the case that often. Clocks stand still
between I/O here, so the time is taken outside: of n calls, less that of none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import js
from workers import WorkerEntrypoint

from shared.choice import win_race
from shared.decision import Unit, decide
from shared.policy import thompson_probabilities
from shared.signing import read_keys, sign, verify
from shared.snapshot import Snapshot
from shared.uniform import uniform
from worker.context import read_context
from worker.plan import expose, plan_page, touchpoints_on
from worker.storage import to_messages
from worker.visitor import COOKIE, Visitor, read_visitor, write_visitor

NOW_MS = 1_800_000_000_000
DESKTOP = {"path": "/", "device": "desktop", "language": "en"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
KEYS = read_keys("bench:bench-bench-bench-bench")
VISITOR = Visitor(id="v" * 22, unit="v" * 22, session_ms=NOW_MS, seen_ms=NOW_MS)
texts: dict[str, str] = {}
_parsed: dict[str, Snapshot] = {}

Case = Callable[[int], object]


def _snapshot(name: str) -> Snapshot:
    if name not in _parsed:
        _parsed[name] = Snapshot.from_text(texts[name])
    return _parsed[name]


def _visitor(i: int) -> Visitor:
    unit = _unit(i)
    return Visitor(id=unit.id, unit=unit.id, session_ms=unit.session_ms, seen_ms=NOW_MS)


def _unit(i: int) -> Unit:
    return Unit(id=f"unit-{i}", session_ms=NOW_MS)


def _decide(name: str) -> Case:
    """Decide every touchpoint of a snapshot, each time for another unit."""
    snapshot = _snapshot(name)
    names = list(snapshot.header.pages)

    def call(i: int) -> object:
        unit = _unit(i)
        return [decide(each, unit, snapshot, DESKTOP, NOW_MS) for each in names]

    return call


def _plan(name: str) -> Case:
    snapshot = _snapshot(name)
    return lambda i: plan_page(touchpoints_on(snapshot, "/"), snapshot, _visitor(i), DESKTOP, NOW_MS, forced={})


def _log(name: str) -> Case:
    """Turn a page's decisions into exposures and queue messages."""
    snapshot = _snapshot(name)
    plan = plan_page(touchpoints_on(snapshot, "/"), snapshot, _visitor(0), DESKTOP, NOW_MS, forced={})

    def call(i: int) -> object:
        view = f"view-{i}"
        events = [expose(each, plan, DESKTOP, visitor="v", page_view=view, now_ms=NOW_MS) for each in plan.slots]
        return to_messages([event.to_dict() for event in events], ())

    return call


def _thompson(count: int) -> Case:
    means = [-3.0 + 0.02 * (i * 7 % count) for i in range(count)]
    sds = [0.1 + 0.1 * (i * 5 % count) / count for i in range(count)]
    return lambda _: thompson_probabilities(means, sds)


def _race(count: int) -> Case:
    shares = [1.0 / count] * count
    return lambda i: win_race(shares, [uniform("site", "hero", f"unit-{i}", f"variant-{v}") for v in range(count)])


def _verify(_: str) -> Case:
    signed = sign(KEYS, "visitor", "1!" + "v" * 22)
    return lambda _: verify(KEYS, "visitor", signed)


def _read_cookie(_: str) -> Case:
    header = f"theme=dark; {write_visitor(VISITOR, KEYS).partition(';')[0]}; basket=3"
    assert COOKIE in header
    return lambda _: read_visitor(header, KEYS)


def _context(name: str) -> Case:
    headers = {"user-agent": AGENT, "accept-language": "en-GB,en;q=0.9", "referer": "https://example.com/a?b=c"}
    sources = _snapshot(name).header.attributes
    return lambda _: read_context("https://shop.example/?uf1=abc", headers.get, sources)


# A case is a name, perhaps with an argument after the slash; its function prepares the call that is repeated.
CASES: dict[str, Callable[[str], Case]] = {
    "nothing": lambda _: lambda _: None,
    "decide": _decide,
    "plan": _plan,
    "log": _log,
    "thompson": lambda count: _thompson(int(count)),
    "uniform": lambda _: lambda i: uniform("site", "hero", "session 1", f"unit-{i}", "variant"),
    "race": lambda count: _race(int(count)),
    "sign": lambda _: lambda _: sign(KEYS, "visitor", "1!" + "v" * 22),
    "verify": _verify,
    "read-cookie": _read_cookie,
    "write-cookie": lambda _: lambda _: write_visitor(VISITOR, KEYS),
    "context": _context,
    "from-text": lambda name: lambda _: Snapshot.from_text(texts[name]),
}


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Keeps snapshots and calls cases."""

    async def fetch(self, request: Any) -> Any:
        """Keep a snapshot, or call a case n times."""
        request = getattr(request, "js_object", request)
        url = js.URL.new(request.url)
        name, _, argument = url.pathname.removeprefix("/").partition("/")
        if request.method == "PUT":
            texts[argument] = await request.text()
            _parsed.pop(argument, None)
            return js.Response.new("kept")
        call = CASES[name](argument)
        for i in range(int(url.searchParams.get("n"))):
            call(i)
        return js.Response.new(json.dumps({"case": name}))
