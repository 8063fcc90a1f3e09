"""The golden cases of visitors who come again, and of eligible variants that cannot meet the constraints.

One site for both. What was frozen is repeated, drawn anew, or drawn with a `u` that is used up; the reference keeps its
own account of that, and takes shares from quadrature and bisection.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from shared.decision import Frozen, decide, freeze
from shared.policy import thompson_probabilities
from shared.session import Session
from shared.situation import situate
from shared.snapshot import Snapshot, write_snapshot
from tests.vectors.check import describe, describe_frozen
from tests.vectors.make import Case, by_hash, by_quadrature, near, same
from tests.vectors.make_constraints import by_the_rules
from tests.vectors.make_decisions import touchpoint, variants
from tests.vectors.make_races import by_slots

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
MEANS, SDS = [-3.0, -2.9, -2.8, -3.1], [0.1, 0.2, 0.15, 0.3]
GOLD, MOBILE, EAGER = {"plan": "gold"}, {"device": "mobile"}, {"session.views": {"$gte": 3}}

PLACES: dict[str, dict[str, Any]] = {
    # What only some visitors' variants cannot meet.
    "floors": touchpoint(variants("a b c d", a={"floor": 0.2}, b={"floor": 0.7, "condition": GOLD},
                                  c={"floor": 0.7, "condition": MOBILE}, d={"cap": 0.4})),
    "caps": touchpoint(variants("a b c d", a={"cap": 0.3}, b={"cap": 0.4}, c={"cap": 0.4, "condition": GOLD},
                                d={"cap": 0.4, "condition": MOBILE})),
    "share": touchpoint(variants("coats shoes hats plain", coats={"interests": ["coats"]},
                                 shoes={"interests": ["shoes"], "cap": 0.2},
                                 hats={"interests": ["hats"], "cap": 0.1, "condition": GOLD}), interest_share=0.4),
    "ranked": touchpoint(variants("coats shoes hats plain", coats={"interests": ["coats"]},
                                  shoes={"interests": ["shoes"]}, hats={"interests": ["hats"], "condition": GOLD}),
                         interest_share=0.2, slots=4, interest_slots=[1, 2]),
    # What changes while a decision lasts.
    "hero": touchpoint(variants("quiet call loud late", call={"condition": EAGER}, loud={"condition": MOBILE})),
    "daily": touchpoint(variants("quiet call loud late", call={"condition": EAGER}), epoch="day"),
    "lasting": touchpoint(variants("quiet call loud late", loud={"condition": MOBILE}), epoch="forever"),
    "list": touchpoint(variants("quiet call loud late", call={"condition": EAGER}), slots=3),
}  # fmt: skip


def site() -> dict[str, object]:
    """What stands at the head of both files."""
    header: dict[str, object] = {
        "version": "v7", "site": "shop", "created_ms": 0, "holdout_share": 0.1, "attributes": [], "goals": ["order"],
        "segments": [], "pages": {name: ["/"] for name in PLACES}, "interest": "session.preferences.topic",
    }  # fmt: skip
    records = {f"touchpoint:{name}": place for name, place in PLACES.items()}
    cell: dict[str, object] = {"means": MEANS, "sds": SDS, "probabilities": thompson_probabilities(MEANS, SDS)}
    records |= {f"cell:{name}:global:": cell for name in PLACES}
    return {"now_ms": NOW_MS, "snapshot": write_snapshot(header, records)}


def relaxed() -> tuple[dict[str, object], list[Case]]:
    head = site()
    snapshot = Snapshot.from_text(str(head["snapshot"]))
    cases: list[Case] = []
    for number in range(96):
        name = ["floors", "caps", "share", "ranked"][number % 4]
        attributes = {"device": ["mobile", "desktop"][number // 4 % 2], "plan": ["gold", "free"][number // 8 % 2]}
        topic = ["coats", "shoes", "socks", ""][number // 16 % 4]
        session: dict[str, Any] = {"started_ms": number, "preferences": {"topic": topic} if topic else {}}
        unit = f"r-{number}"
        situation = situate(unit, snapshot, None, Session(**session), attributes, NOW_MS)
        made = decide(name, situation)
        shown, propensities, relaxations = by_the_design(name, unit, attributes, session, NOW_MS)
        same([list(made.slate) or [made.variant], list(made.relaxations)], [shown, relaxations])
        near(list(made.slate_propensities) or [made.propensity], propensities, 1e-8)
        case = {"touchpoint": name, "unit": unit, "session": session, "attributes": attributes, "profile": None}
        cases.append({**case, "expected": describe(made)})
    found = {tuple(each["expected"]["relaxations"]) for each in cases}  # type: ignore[index]
    same(found, {(), ("floors",), ("caps",), ("interest_share",), ("interest_slots",)})
    return head, cases


def visits() -> tuple[dict[str, object], list[Case]]:
    head = site()
    snapshot = Snapshot.from_text(str(head["snapshot"]))
    cases: list[Case] = []
    for number in range(48):
        name = ["hero", "daily", "lasting", "list"][number % 4]
        unit = f"f-{number}"
        steps = [make_step(number, i) for i in range(6)]
        account = Account(name, unit)
        frozen: Frozen | None = None
        expected = []
        for step in steps:
            situation = situate(unit, snapshot, None, Session(**step["session"]), step["attributes"], step["now_ms"])
            made = decide(name, situation, frozen)
            now = freeze(made)
            account.check(step, made.slate or (made.variant,), made.slate_propensities or (made.propensity,), now)
            same([made.reason == "kept", made.randomised], [account.kept, account.randomised])
            expected.append({"decision": describe(made), "frozen": describe_frozen(now)})
            frozen = now or frozen
        cases.append({"touchpoint": name, "unit": unit, "visits": steps, "expected": expected})
    return head, cases


def make_step(number: int, i: int) -> dict[str, Any]:
    """A page view: more of them, now and then on another device, some in the next session and on the next day."""
    later = i >= 4 and number % 3 == 0
    session = {"started_ms": 1_000 + number + (DAY_MS if later else 0), "views": [1, 2, 3, 1, 4, 2][i]}
    device = "mobile" if (number // 4 + i * (number % 5)) % 3 == 0 else "desktop"
    return {
        "session": session,
        "attributes": {"device": device},
        "now_ms": NOW_MS + i * 60_000 + (DAY_MS if later else 0),
    }


class Account:
    """The reference's own memory of a visitor's decisions at a touchpoint."""

    def __init__(self, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self.epoch = self.hidden = ""
        self.drawn_for: list[str] = []
        self.shown: list[str] = []
        self.propensities: list[float] = []
        self.kept = self.randomised = False

    def check(
        self, step: dict[str, Any], shown: tuple[str, ...], propensities: tuple[float, ...], now: Frozen | None
    ) -> None:
        """Compare with what the design says of a page view, and remember it."""
        epoch, hidden = epoch_of(self.name, step["session"], step["now_ms"]), hidden_from(self.name, step)
        is_holdout = by_hash(["shop", "holdout", self.unit]) < 0.1
        same_epoch = epoch == self.epoch and not is_holdout
        self.kept = same_epoch and hidden == self.hidden
        if not self.kept:
            self.randomised = not is_holdout and not (same_epoch and hidden in self.drawn_for)
            self.drawn_for = [*(self.drawn_for if same_epoch else []), hidden]
            self.epoch, self.hidden = epoch, hidden
            found = by_the_design(self.name, self.unit, step["attributes"], step["session"], step["now_ms"])
            self.shown, self.propensities = found[:2]
        same(list(shown), self.shown)
        near(propensities, self.propensities, 1e-8)
        same(now is None, is_holdout or self.kept)
        if now is not None:
            digest = sha256(hidden.encode()).hexdigest()[:8] if hidden else ""
            same([now.excluded, list(now.variants), now.epoch], [digest, self.shown, epoch])


def epoch_of(name: str, session: dict[str, Any], now_ms: int) -> str:
    kind = PLACES[name]["epoch"]
    names = {"session": f"session {session['started_ms']}", "day": f"day {now_ms // DAY_MS}", "forever": "forever"}
    return names[kind]


def hidden_from(name: str, step: dict[str, Any]) -> str:
    """The variants whose condition does not hold, joined."""
    views, device, plan = (
        step["session"].get("views", 0), step["attributes"].get("device"), step["attributes"].get("plan"),
    )  # fmt: skip
    holds = {str(GOLD): plan == "gold", str(MOBILE): device == "mobile", str(EAGER): views >= 3}
    listed = PLACES[name]["variants"]
    return "|".join([each["name"] for each in listed if "condition" in each and not holds[str(each["condition"])]])


def by_the_design(
    name: str, unit: str, attributes: dict[str, Any], session: dict[str, Any], now_ms: int
) -> tuple[list[str], list[float], list[str]]:
    """Variants, propensities and relaxations of a fresh draw, computed with the references only."""
    place = PLACES[name]
    listed = place["variants"]
    hidden = hidden_from(name, {"session": session, "attributes": attributes})
    eligible = [i for i, each in enumerate(listed) if each["name"] not in hidden.split("|")]
    topic = session.get("preferences", {}).get("topic", "")
    tags = [listed[i].get("interests", []) for i in eligible]
    share = place.get("interest_share", 0.0)
    outside = [bool(each) and topic not in each for each in tags] if topic and share else []
    floors, caps = ([float(listed[i].get(key, free)) for i in eligible] for key, free in (("floor", 0.0), ("cap", 1.0)))
    shares = by_quadrature([MEANS[i] for i in eligible], [SDS[i] for i in eligible])
    served, relaxations = by_the_rules(shares, floors, caps, outside, share)
    if by_hash(["shop", "holdout", unit]) < 0.1:
        return [listed[0]["name"]], [1.0], relaxations
    salt = ["shop", name, epoch_of(name, session, now_ms), unit, hidden]
    names = [listed[i]["name"] for i in eligible]
    drawn, others = ([by_hash([*salt, *more, each]) for each in names] for more in ([], ["interest"]))
    slots, positions = place.get("slots", 1), place.get("interest_slots", [])
    indices, propensities, more_relaxations = by_slots(served, drawn, slots, outside, positions, others)
    return [names[i] for i in indices], propensities, relaxations + more_relaxations
