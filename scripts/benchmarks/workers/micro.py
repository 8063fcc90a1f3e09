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
from shared.decision import Frozen, decide
from shared.policy import live_probabilities, thompson_probabilities
from shared.profile import Profile, write_profile
from shared.session import Left, Session, Viewed, fold, start
from shared.signing import read_keys, sign, verify
from shared.situation import DAY_MS, Situation, situate
from shared.slate import rank
from shared.snapshot import Snapshot
from shared.uniform import uniform, uniforms
from worker.context import read_context
from worker.plan import expose, plan_page
from worker.receipts import Receipts
from worker.storage import event_line, fit_line, pack_messages
from worker.visitor import Visitor, read_visitor, write_visitor

NOW_MS = 1_800_000_000_000
DESKTOP = {"path": "/", "device": "desktop", "language": "en"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
KEYS = read_keys("bench:bench-bench-bench-bench")
SESSION = Session(started_ms=NOW_MS)
texts: dict[str, str] = {}
_parsed: dict[str, Snapshot] = {}

Case = Callable[[int], object]


def _snapshot(name: str) -> Snapshot:
    if name not in _parsed:
        _parsed[name] = Snapshot.from_text(texts[name])
    return _parsed[name]


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
    receipts = Receipts("bench")
    plan = plan_page(snapshot.touchpoints_on("/"), _situation(0, snapshot), (), forced={})

    def call(i: int) -> object:
        view = f"view-{i}"
        events = [
            expose(each, plan, visitor="v", page_view=view, user_agent=AGENT, is_shown=True) for each in plan.slots
        ]
        lines = [fit_line(event_line(event.to_dict()), NOW_MS) for event in events]
        return pack_messages(lines, receipts, NOW_MS)

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


def _visited(categories: int, pages: int) -> Session:
    """A visitor's third visit, so many pages of so many categories long, every one read to the end."""
    session = start(Viewed(NOW_MS - 2 * DAY_MS, "view-000000", "category-0", "search"))
    for i in range(1, 2 * pages):
        at_ms = NOW_MS - (DAY_MS if i < pages else 0) + i * 1_000
        session = fold(session, Viewed(at_ms, f"view-{i:06}", f"category-{i % categories}"))
        session = fold(session, Left(f"view-{i:06}", 95, 40))
    return session


TYPICAL = _visited(categories=4, pages=6)
FULL = _visited(categories=12, pages=30)


def _fold(event: str) -> Case:
    """One event: a page view, what was left of one, or a page view that begins a visit after many pages."""
    at_ms = TYPICAL.seen_ms + 1_000
    if event == "left":
        return lambda i: fold(TYPICAL, Left("view-000010", 96 + i % 4, 41 + i % 100))
    if event == "visit":
        return lambda _: fold(FULL, Viewed(FULL.seen_ms + DAY_MS, "view-999999", "category-1"))
    return lambda _: fold(TYPICAL, Viewed(at_ms, "view-999999", "category-1"))


def _visitor(name: str) -> Visitor:
    """A visitor with the state of a few pages, or of many, and two decisions made for the session."""
    session = FULL if name == "full" else TYPICAL
    frozen = tuple(
        Frozen(
            touchpoint=touchpoint,
            epoch=f"session {session.started_ms}",
            excluded="",
            variants=("variant-1",),
            propensities=(0.37281,),
            level="segment",
            cell="mobile",
            snapshot="20261122T175610742Z-5dba45a7c585",
            randomised=True,
        )
        for touchpoint in ("hero", "pick")
    )
    return Visitor("v" * 22, "v" * 22, session, frozen)


def _text() -> str:
    """What is signed of a visitor's cookie."""
    value = write_visitor(_visitor(""), KEYS)[0].partition(";")[0].partition("=")[2]
    text = verify(KEYS, "visitor", value)
    assert text is not None
    return text


def _sign(_: str) -> Case:
    text = _text()
    return lambda _: sign(KEYS, "visitor", text)


def _verify(_: str) -> Case:
    signed = sign(KEYS, "visitor", _text())
    return lambda _: verify(KEYS, "visitor", signed)


def _read_cookie(name: str) -> Case:
    header = f"theme=dark; {write_visitor(_visitor(name), KEYS)[0].partition(';')[0]}; basket=3"
    return lambda _: read_visitor(header, KEYS)


def _write_cookie(name: str) -> Case:
    visitor = _visitor(name)
    return lambda _: write_visitor(visitor, KEYS)


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
    "fold": _fold,
    "attributes": lambda _: lambda _: TYPICAL.to_attributes(),
    "sign": _sign,
    "verify": _verify,
    "read-cookie": _read_cookie,
    "write-cookie": _write_cookie,
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
