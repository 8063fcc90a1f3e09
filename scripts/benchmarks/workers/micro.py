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
from shared.constraints import constrain
from shared.decision import decide
from shared.policy import live_probabilities, thompson_probabilities
from shared.profile import Profile, write_profile
from shared.session import Session
from shared.signing import read_keys, sign, verify
from shared.situation import Situation, situate
from shared.slate import rank
from shared.snapshot import Snapshot
from shared.uniform import uniform, uniforms
from worker.context import read_context
from worker.plan import expose, plan_page
from worker.storage import to_messages
from worker.visitor import COOKIE, Visitor, read_visitor, write_visitor

NOW_MS = 1_800_000_000_000
DESKTOP = {"path": "/", "device": "desktop", "language": "en"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
KEYS = read_keys("bench:bench-bench-bench-bench")
VISITOR = Visitor(id="v" * 22, unit="v" * 22, session_ms=NOW_MS, seen_ms=NOW_MS)
SESSION = Session(started_ms=NOW_MS)
texts: dict[str, str] = {}
_parsed: dict[str, Snapshot] = {}

Case = Callable[[int], object]


def _snapshot(name: str) -> Snapshot:
    if name not in _parsed:
        _parsed[name] = Snapshot.from_text(texts[name])
    return _parsed[name]


def _visitor(i: int) -> Visitor:
    return Visitor(id=f"unit-{i}", unit=f"unit-{i}", session_ms=NOW_MS, seen_ms=NOW_MS)


def _situation(i: int, snapshot: Snapshot, profile: Profile | None = None) -> Situation:
    return situate(f"unit-{i}", snapshot, profile, SESSION, DESKTOP, NOW_MS)


def _decide(name: str) -> Case:
    """Decide every touchpoint of a snapshot, each time for another unit."""
    snapshot = _snapshot(name)
    names = list(snapshot.header.pages)

    def call(i: int) -> object:
        situation = _situation(i, snapshot)
        return [decide(each, situation) for each in names]

    return call


def _decide_individual(name: str) -> Case:
    """The same with a profile that holds scores of every touchpoint; its numbers differ from call to call."""
    snapshot = _snapshot(name)
    names = list(snapshot.header.pages)
    texts = [_profile(snapshot, names, k) for k in range(50)]

    def call(i: int) -> object:
        situation = _situation(i, snapshot, Profile.from_text(texts[i % len(texts)]))
        return [decide(each, situation) for each in names]

    return call


def _profile(snapshot: Snapshot, names: list[str], number: int) -> str:
    scores: dict[tuple[str, str], dict[str, object]] = {}
    for name in names:
        place = snapshot.touchpoint(name)
        count = len(place.variants)
        means = [-3.0 + 0.05 * ((i * 7 + number) % count) for i in range(count)]
        sds = [0.2 + 0.02 * ((i * 5 + number) % 10) for i in range(count)]
        scores[name, place.models[0]] = {"means": means, "sds": sds}
    header = {"unit": "u", "version": "p1", "computed_ms": NOW_MS, "cluster": "", "attributes": {"decisions": 9}}
    return write_profile(header, scores)


def _plan(name: str) -> Case:
    snapshot = _snapshot(name)
    return lambda i: plan_page(snapshot.touchpoints_on("/"), _situation(i, snapshot), (), forced={})


def _log(name: str) -> Case:
    """Turn a page's decisions into exposures and queue messages."""
    snapshot = _snapshot(name)
    plan = plan_page(snapshot.touchpoints_on("/"), _situation(0, snapshot), (), forced={})

    def call(i: int) -> object:
        view = f"view-{i}"
        events = [expose(each, plan, visitor="v", page_view=view) for each in plan.slots]
        return to_messages([event.to_dict() for event in events], ())

    return call


def _thompson(integrate: Callable[[list[float], list[float]], list[float]], argument: str) -> Case:
    """A number of variants whose spreads are like, or a hundredfold `apart`."""
    number, _, apart = argument.partition("-")
    count = int(number)
    means = [-3.0 + 0.02 * (i * 7 % count) for i in range(count)]
    sds = [0.1 + 0.1 * (i * 5 % count) / count for i in range(count)]
    if apart:
        sds = [0.01 * 100.0 ** (i / (count - 1)) for i in range(count)]
    return lambda _: integrate(means, sds)


def _shares(count: int) -> list[float]:
    """An uneven distribution: the likeliest variant up to count² times as likely as the least likely one."""
    weights = [(i * 7 % count + 1.0) ** 2 for i in range(count)]
    return [weight / sum(weights) for weight in weights]


def _race(count: int) -> Case:
    shares, names = _shares(count), [b"variant-%d" % v for v in range(count)]
    return lambda i: win_race(shares, uniforms(b"site\x1fhero\x1fsession 1\x1funit-%d\x1f\x1f" % i, names))


def _slate(count: int) -> Case:
    """Ten slots, two of them kept for other interests."""
    shares, names = _shares(count), [b"variant-%d" % v for v in range(count)]
    outside = [v % 3 > 0 for v in range(count)]

    def call(i: int) -> object:
        salt = b"site\x1fhero\x1fsession 1\x1funit-%d\x1f\x1f" % i
        drawn, others = uniforms(salt, names), uniforms(salt + b"interest\x1f", names)
        return rank(shares, drawn, 10, outside=outside, interest_positions=(2, 6), interest_uniforms=others)

    return call


def _constrain(count: int) -> Case:
    """Floors, caps and the interest share all bind."""
    shares, floors, caps = _shares(count), [0.3 / count] * count, [2.5 / count] * count
    outside = [v % 3 == 1 for v in range(count)]
    return lambda _: constrain(shares, floors=floors, caps=caps, outside=outside, share=0.6)


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
    "decide-individual": _decide_individual,
    "plan": _plan,
    "log": _log,
    "thompson": lambda argument: _thompson(thompson_probabilities, argument),
    "thompson-live": lambda argument: _thompson(live_probabilities, argument),
    "uniform": lambda _: lambda i: uniform("site", "hero", "session 1", f"unit-{i}", "variant"),
    "race": lambda count: _race(int(count)),
    "slate": lambda count: _slate(int(count)),
    "constrain": lambda count: _constrain(int(count)),
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
