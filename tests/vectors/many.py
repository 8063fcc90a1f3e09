"""Many decisions of a made-up site, as one digest: the same wherever the core runs.

The site has a touchpoint for every way a decision can go: published cells of several levels, targeting on the live
intent, a session shift, individual scores, caps, floors and an interest share, and a ranked slate with a kept position.
Needs nothing but the standard library and `shared`, so that it runs inside the edge runtime as well.
"""

from __future__ import annotations

from hashlib import sha256

from shared.decision import Decision, decide, freeze
from shared.policy import thompson_probabilities
from shared.profile import Profile, write_profile
from shared.session import REFERRALS, Session
from shared.situation import Situation, situate
from shared.snapshot import Snapshot, write_snapshot

Record = dict[str, object]

NOW_MS = 1_800_000_000_000
TOUCHPOINTS = ("plain", "targeted", "shifted", "bounded", "slate", "personal")
# Whose turn it is: the cheap ones come more often, so that a million take two minutes.
TURNS = ("plain", "targeted", "plain", "bounded", "plain", "shifted", "plain", "personal", "plain", "bounded", "slate")
PLANS = ("free", "gold", "staff")
TOPICS = ("coats", "shoes", "knits")


def make_site() -> Snapshot:
    """The site. Its numbers are irregular on purpose, and made of exact operations."""
    records: dict[str, Record] = {}
    for number, name in enumerate(TOUCHPOINTS):
        count = 12 if name == "slate" else 4
        records[f"touchpoint:{name}"] = _touchpoint(name, count)
        for level, cell in (("global", ""), ("segment", "gold"), ("cluster", "c1")):
            records[f"cell:{name}:{level}:{cell}"] = _cell(count, number * 3 + len(level))
    header: Record = {
        "version": "many-1",
        "site": "many",
        "created_ms": NOW_MS,
        "holdout_share": 0.1,
        "segments": [{"name": "gold", "condition": {"plan": {"$in": ["gold", "staff"]}}}],
        "attributes": [],
        "goals": ["order"],
        "pages": {name: ["*"] for name in TOUCHPOINTS},
        "interest": "session.preferences.topic",
        "intent": {"bias": -1.5, "weights": {"session.views": 0.3, "session.referral=search": 0.7}},
        "has_profiles": True,
    }
    return Snapshot.from_text(write_snapshot(header, records))


def digest_decisions(first: int, count: int) -> str:
    """The SHA-256 of `count` decisions, those of the visitors from number `first` on, one touchpoint each in turn."""
    snapshot = make_site()
    profiles = [_profile(snapshot, number) for number in range(20)]
    digest = sha256()
    for number in range(first, first + count):
        name = TURNS[number % len(TURNS)]
        # Individual scores are integrated anew each time, so only one visitor in five has any.
        profile = profiles[number // 5 % 20] if number % 5 == 0 else None
        decision = decide(name, _situate(snapshot, profile, number))
        digest.update(_line(decision).encode())
        if number % 3 == 0:
            # The same visitor comes again, perhaps more eager by now, so that some are repeated and others redrawn; the
            # profile may be missing by then.
            later = _situate(snapshot, profile if number % 2 else None, number, later=number % 5)
            again = decide(name, later, freeze(decision))
            digest.update(_line(again).encode())
    return digest.hexdigest()


def _line(decision: Decision) -> str:
    shares = (decision.propensity, *decision.probabilities, *decision.slate_propensities)
    words = (decision.variant, decision.level, decision.cell, decision.reason, *decision.relaxations, *decision.slate)
    if not decision.randomised:
        words += ("repeat",)
    return " ".join((*words, *[share.hex() for share in shares])) + "\n"


def _situate(snapshot: Snapshot, profile: Profile | None, number: int, later: int = 0) -> Situation:
    session = Session(
        started_ms=NOW_MS - number % 1_000,
        views=1 + number % 9 + later,
        visits=1 + number // 7 % 4,
        referral=REFERRALS[number // 11 % len(REFERRALS)],
        preferences={"topic": TOPICS[number // 13 % 3]} if number % 3 else {},
    )
    return situate(f"unit-{number}", snapshot, profile, session, {"plan": PLANS[number // 17 % 3]}, NOW_MS)


def _touchpoint(name: str, count: int) -> Record:
    variants: list[Record] = [{"name": f"v{i}", "html": f"<p>{i}</p>", "floor": 0.02} for i in range(count)]
    more: Record = {}
    if name == "targeted":
        variants[3]["condition"] = {"session.intent": {"$gte": 0.5}}
    if name == "shifted":
        weights = [[0.1 * i, -0.05 * i] for i in range(count)]
        covariances = [[[0.01, 0.002], [0.002, 0.02 + 0.01 * i]] for i in range(count)]
        features = ["session.referral=search", "session.views"]
        more["shift"] = {"features": features, "weights": weights, "covariances": covariances}
    if name in ("bounded", "slate"):
        for i, variant in enumerate(variants):
            variant["interests"] = [TOPICS[i % 3]]
            variant["cap"] = 0.45
        more["interest_share"] = 0.3
    if name == "slate":
        more |= {"slots": 5, "interest_slots": [2]}
    if name == "personal":
        more |= {"finest": "individual", "models": ["m1-many"]}
    if name == "plain":
        more["finest"] = "cluster"
    return {"variants": variants, "default": 0, "epoch": "session", "pages": ["*"], "goal": "order", **more}


def _cell(count: int, seed: int) -> Record:
    means = [-3.0 + (i * 7 + seed) % 11 * 0.05 for i in range(count)]
    sds = [0.08 + (i * 5 + seed) % 7 * 0.03 for i in range(count)]
    return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}


def _profile(snapshot: Snapshot, number: int) -> Profile:
    cell = _cell(len(snapshot.touchpoint("personal").variants), number)
    header = {
        "unit": "any",
        "version": f"p{number}",
        "computed_ms": NOW_MS - number * 86_400_000 // 8,
        "cluster": "c1" if number % 2 else "",
        "attributes": {},
        "several_devices": number % 4 == 2,
    }
    scores = {("personal", "m1-many"): {"means": cell["means"], "sds": cell["sds"]}}
    return Profile.from_text(write_profile(header, scores))
