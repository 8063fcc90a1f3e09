"""Cases of the micro-benchmark about deciding: pages, whole decisions and their steps, and the records they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from scripts.benchmarks.workers.micro_state import NOW_MS, TYPICAL, VISITS, Case
from shared.choice import win_race
from shared.constraints import constrain
from shared.decision import INTEREST_RACE, decide
from shared.parse import load_json
from shared.policy import live_probabilities, thompson_probabilities
from shared.profile import Profile, write_profile
from shared.records import read_cell
from shared.session import Session
from shared.situation import Situation, situate
from shared.slate import rank
from shared.snapshot import Snapshot
from shared.uniform import uniform, uniforms
from worker.context import read_context
from worker.plan import expose, plan_page
from worker.receipts import Receipts
from worker.storage import event_lines, fit_line, pack_messages

DESKTOP = {"path": "/", "device": "desktop", "language": "en"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
EMPTY = Session(started_ms=NOW_MS)
PROFILES = 50
texts: dict[str, str] = {}
_parsed: dict[str, Snapshot] = {}


def keep_snapshot(name: str, text: str) -> None:
    """Take the text of a snapshot for the cases that name it."""
    texts[name] = text
    _parsed.pop(name, None)


def _snapshot(name: str) -> Snapshot:
    if name not in _parsed:
        _parsed[name] = Snapshot.from_text(texts[name])
    return _parsed[name]


def _situation(i: int, snapshot: Snapshot, session: Session, profile: Profile | None = None) -> Situation:
    return situate(f"unit-{i}", snapshot, profile, session, DESKTOP, NOW_MS)


def decide_first(name: str) -> Case:
    """Decide every touchpoint of a snapshot, each time for another unit, of whose visit nothing is known yet."""
    return _decide(name, [EMPTY])


def decide_visited(name: str) -> Case:
    """The same for visitors who come back, of whose visits the state knows pages of four categories."""
    return _decide(name, VISITS)


def _decide(name: str, sessions: Sequence[Session]) -> Case:
    snapshot = _snapshot(name)
    names = list(snapshot.header.pages)

    def call(i: int) -> object:
        situation = _situation(i, snapshot, sessions[i % len(sessions)])
        return [decide(each, situation) for each in names]

    return call


def decide_individual(name: str) -> Case:
    """The same with a profile that is read and holds scores of every touchpoint; its numbers differ from call to
    call."""
    snapshot = _snapshot(name)
    names = list(snapshot.header.pages)
    profiles = [_profile(snapshot, names, k) for k in range(PROFILES)]

    def call(i: int) -> object:
        profile = Profile.from_text(profiles[i % PROFILES])
        situation = _situation(i, snapshot, VISITS[i % len(VISITS)], profile)
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


def plan(name: str) -> Case:
    """Decide a page of a visitor who comes back, and find the HTML."""
    snapshot = _snapshot(name)
    names = snapshot.touchpoints_on("/")
    return lambda i: plan_page(names, _situation(i, snapshot, TYPICAL), (), forced={})


def log(name: str) -> Case:
    """Turn a page's decisions into exposures and queue messages."""
    snapshot = _snapshot(name)
    receipts = Receipts("bench")
    page = plan_page(snapshot.touchpoints_on("/"), _situation(0, snapshot, TYPICAL), (), forced={})

    def call(i: int) -> object:
        exposures = expose(page, visitor="v", page_view=f"view-{i}", user_agent=AGENT, is_shown=True)
        own = [exposures.own(slot.decision) for slot in page.slots]
        lines = [fit_line(line, NOW_MS) for line in event_lines(exposures.common(), own)]
        return pack_messages(lines, receipts, NOW_MS)

    return call


def read_attributes(name: str) -> Case:
    """Read a request's context."""
    headers = {"user-agent": AGENT, "accept-language": "en-GB,en;q=0.9", "referer": "https://example.com/a?b=c"}
    sources = _snapshot(name).header.attributes
    return lambda _: read_context("https://shop.example/?uf1=abc", headers.get, sources)


def integrate(argument: str) -> Case:
    """Thompson probabilities as they are published."""
    return _integrate(thompson_probabilities, argument)


def integrate_live(argument: str) -> Case:
    """The same as they are integrated for one decision."""
    return _integrate(live_probabilities, argument)


def _integrate(function: Callable[[list[float], list[float]], list[float]], argument: str) -> Case:
    """A number of variants whose spreads are like, or a hundredfold `apart`."""
    number, _, apart = argument.partition("-")
    count = int(number)
    means = [-3.0 + 0.02 * (i * 7 % count) for i in range(count)]
    sds = [0.1 + 0.1 * (i * 5 % count) / count for i in range(count)]
    if apart:
        sds = [0.01 * 100.0 ** (i / (count - 1)) for i in range(count)]
    return lambda _: function(means, sds)


def _shares(count: int) -> list[float]:
    """An uneven distribution: the likeliest variant up to count² times as likely as the least likely one."""
    weights = [(i * 7 % count + 1.0) ** 2 for i in range(count)]
    return [weight / sum(weights) for weight in weights]


def draw(_: str) -> Case:
    """One uniform."""
    return lambda i: uniform("site", "hero", "session 1", f"unit-{i}", "variant")


def hash_only(number: str) -> Case:
    """So many hashes of what a draw hashes, which no way of writing `decide` can do without."""
    count = int(number)
    return lambda i: [sha256(b"site\x1fhero\x1fsession 1\x1funit-%d\x1f\x1fv0" % i).digest() for _ in range(count)]


def race(number: str) -> Case:
    """Draw the uniforms of so many variants and choose one."""
    count = int(number)
    shares, names = _shares(count), [b"variant-%d" % v for v in range(count)]
    return lambda i: win_race(shares, uniforms(b"site\x1fhero\x1fsession 1\x1funit-%d\x1f\x1f" % i, names))


def rank_slots(number: str) -> Case:
    """Draw the uniforms of so many variants and rank ten, two of the slots kept for other interests."""
    count = int(number)
    shares, names = _shares(count), [b"variant-%d" % v for v in range(count)]
    outside = [v % 3 > 0 for v in range(count)]

    def call(i: int) -> object:
        salt = b"site\x1fhero\x1fsession 1\x1funit-%d\x1f\x1f" % i
        drawn, others = uniforms(salt, names), uniforms(salt + INTEREST_RACE, names)
        return rank(shares, drawn, 10, outside=outside, interest_positions=(2, 6), interest_uniforms=others)

    return call


def constrain_shares(number: str) -> Case:
    """Floors, caps and the interest share all bind."""
    count = int(number)
    shares, floors, caps = _shares(count), [0.3 / count] * count, [2.5 / count] * count
    outside = [v % 3 == 1 for v in range(count)]
    return lambda _: constrain(shares, floors=floors, caps=caps, outside=outside, share=0.6)


def parse_snapshot(name: str) -> Case:
    """The header and the outline of a snapshot."""
    return lambda _: Snapshot.from_text(texts[name])


def parse_touchpoint(name: str) -> Case:
    """The record of a snapshot's first touchpoint, and the HTML of its first variant."""
    header, line = _snapshot(name).header, _records(name)["touchpoint:t0"]
    return lambda _: Snapshot(header, {"touchpoint:t0": line}).html("t0", 0)


def parse_cell(name: str) -> Case:
    """The record of the posteriors of its first touchpoint for all visitors."""
    count, place = len(_snapshot(name).touchpoint("t0").variants), "cell:t0:global:"
    record = _records(name)[place]
    return lambda _: read_cell("global", "", count, load_json(record), place)


def parse_profile(name: str) -> Case:
    """A profile with scores of every touchpoint of a snapshot, and the scores of the first."""
    snapshot = _snapshot(name)
    place = snapshot.touchpoint("t0")
    text = _profile(snapshot, list(snapshot.header.pages), 0)
    return lambda _: Profile.from_text(text).scores("t0", place.models, len(place.variants))


def _records(name: str) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in texts[name].splitlines()[1:])
