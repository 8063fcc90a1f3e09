"""The golden cases of whole decisions and of what feeds them: features, intent, session shift.

The reference reads the raw records as the design describes them and shares no code with the core; conditions alone are
written out by hand.
"""

from __future__ import annotations

import math
import random
import re

import numpy as np

from shared.decision import decide
from shared.features import compile_feature
from shared.policy import thompson_probabilities
from shared.posterior import Posterior, Shift, shift_posterior
from shared.profile import Profile, write_profile
from shared.session import Intent, Session, score_intent
from shared.situation import Situation, situate
from shared.snapshot import Snapshot, write_snapshot
from tests.vectors.check import describe
from tests.vectors.make import Case, by_bisection, by_hash, by_quadrature, hexes, near, same

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
INTENT = {"bias": -1.5, "weights": {"session.views": 0.25, "session.referral=email": 1.0, "profile.orders": 0.5}}
CELLS = {
    "global": ([-3.0, -2.9, -2.8, -3.1], [0.1, 0.2, 0.15, 0.3]),
    "vip": ([-3.0, -1.0, -3.0, -2.0], [0.1, 0.2, 0.15, 0.3]),
    "c1": ([-2.5, -2.6, -2.4, -2.5], [0.2, 0.2, 0.2, 0.2]),
}
SCORES = {
    "p0": ([-3.0, -2.5, -2.7, -2.6], [0.3, 0.4, 0.5, 0.35]),
    "p1": ([-1.0, -1.1, -1.3, -1.2], [0.05, 0.4, 0.25, 0.3]),
}
SHIFT_FEATURES = ["session.views", "session.referral=search", "session.preferences.topic=coats"]
SHIFT_WEIGHTS = [[0.0, 0.0, 0.0], [0.05, -0.5, 0.25], [-0.02, 0.75, 0.0], [0.125, 0.0, -0.25]]
SHIFT_VARIANCES = [0.0, 0.001, 0.01, 0.0]


def variants(names: str, **by_name: dict[str, object]) -> list[dict[str, object]]:
    return [{"name": name, "html": None, "floor": 0.0, **by_name.get(name, {})} for name in names.split()]


def touchpoint(listed: list[dict[str, object]], **fields: object) -> dict[str, object]:
    return {"variants": listed, "default": 0, "epoch": "session", "pages": ["/"], "goal": "order", **fields}


def covariance(variance: float) -> list[list[float]]:
    """One direction that all features share, and one of its own for each."""
    return [[variance * (1.0 if i == j else 0.5) for j in range(3)] for i in range(3)]


PLACES: dict[str, dict[str, object]] = {
    "hero": touchpoint(
        variants(
            "house offer craft rest",
            house={"floor": 0.1},
            offer={"floor": 0.05, "cap": 0.6},
            craft={"condition": {"device": "mobile"}, "because": "it is made for phones"},
        ),
        finest="individual",
        models=["m2", "m1"],
    ),
    "offer": touchpoint(
        variants("quiet call loud late", call={"condition": {"session.intent": {"$gte": 0.5}}}),
        epoch="day",
        shift={
            "features": SHIFT_FEATURES,
            "weights": SHIFT_WEIGHTS,
            "covariances": [covariance(each) for each in SHIFT_VARIANCES],
        },
    ),
    "row": touchpoint(
        variants(
            "coats shoes hats plain",
            coats={"interests": ["coats"]},
            shoes={"interests": ["shoes"]},
            hats={"interests": ["hats", "coats"], "floor": 0.05},
            plain={"cap": 0.5},
        ),
        epoch="week",
        finest="cluster",
        interest_share=0.3,
        slots=3,
        interest_slots=[1],
    ),
    "banner": touchpoint(variants("plain sale"), epoch="forever"),
}


def site() -> str:
    def cell(name: str) -> dict[str, object]:
        means, sds = CELLS[name]
        return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}

    header: dict[str, object] = {
        "version": "v1", "site": "shop", "created_ms": 0, "holdout_share": 0.1, "attributes": [], "goals": ["order"],
        "segments": [{"name": "vip", "condition": {"plan": "gold"}, "because": "you are a gold member"}],
        "pages": {name: ["/"] for name in PLACES}, "intent": INTENT, "interest": "session.preferences.topic",
        "phrases": {"session.views": "you looked at {value} pages", "profile.orders": "you ordered {value} times"},
        "has_profiles": True,
    }  # fmt: skip
    records = {f"touchpoint:{name}": place for name, place in PLACES.items()}
    for name in ("hero", "offer", "row"):
        records[f"cell:{name}:global:"] = cell("global")
        records[f"cell:{name}:segment:vip"] = cell("vip")
    records["cell:row:cluster:c1"] = records["cell:hero:cluster:c1"] = cell("c1")
    return write_snapshot(header, records)


def profile_text(number: int, unit: str) -> str | None:
    """Every other visitor has a profile; some are stale, some lack scores, some are of a cluster, some are of persons
    with several devices, and some are older ones without probabilities."""
    if number % 2:
        return None
    ages = [0, DAY_MS, 3 * DAY_MS, 40 * DAY_MS]
    header: dict[str, object] = {
        "unit": unit, "version": f"p{number}", "computed_ms": NOW_MS - ages[number // 2 % 4],
        "cluster": ["c1", "", "c9"][number // 8 % 3], "attributes": {"orders": number % 5},
        **({"several_devices": True} if has_several_devices(number) else {}),
    }  # fmt: skip
    means, sds = SCORES[f"p{number // 4 % 2}"]
    model = ["m1", "m2", "m9"][number // 6 % 3]
    text = write_profile(header, {("hero", model): {"means": means, "sds": sds}})
    return re.sub(r',"probabilities":\[[^]]*\]', "", text) if number % 3 == 0 else text


def has_several_devices(number: int) -> bool:
    return number % 10 == 4


def decisions() -> tuple[dict[str, object], list[Case]]:
    text = site()
    snapshot = Snapshot.from_text(text)
    cases: list[Case] = []
    for number in range(320):
        attributes: dict[str, object] = {"device": "mobile" if number % 3 else "desktop"}
        if number % 4 == 0:
            attributes["plan"] = "gold"
        started_ms = NOW_MS - DAY_MS * (number % 5) if has_several_devices(number) else 1_000 * (number % 5)
        session: dict[str, object] = {
            "started_ms": started_ms, "views": 1 + number % 7, "visits": 1 + number % 3,
            "referral": ["direct", "search", "email"][number // 3 % 3],
            "preferences": {"topic": ["coats", "shoes", "socks"][number % 3]} if number % 5 else {},
        }  # fmt: skip
        touchpoint = "banner" if number % 20 == 19 else ["hero", "offer", "row"][number // 4 % 3]
        unit = f"v-{number}"
        profile = profile_text(number, unit)
        known = Profile.from_text(profile) if profile is not None else None
        situation = situate(unit, snapshot, known, Session(**session), attributes, NOW_MS)  # type: ignore[arg-type]
        made = decide(touchpoint, situation)
        shown, propensities = by_the_design(touchpoint, situation)
        same(list(made.slate) or [made.variant], shown)
        # Live probabilities are exact within 1e-4, and conditional ones divide by what is left.
        near(list(made.slate_propensities) or [made.propensity], propensities, 5e-4)
        case = {"touchpoint": touchpoint, "unit": unit, "session": session, "attributes": attributes}
        cases.append({**case, "profile": profile, "expected": describe(made)})
    return {"now_ms": NOW_MS, "snapshot": text}, cases


# The design, once more, from the raw records


def by_the_design(name: str, situation: Situation) -> tuple[list[str], list[float]]:
    """Variants and propensities as the design describes them, computed with the references only."""
    place, unit, attributes = PLACES[name], situation.unit, situation.attributes
    listed = place["variants"]
    assert isinstance(listed, list)
    names = [str(each["name"]) for each in listed]
    slots = int(str(place.get("slots", 1)))
    if by_hash(["shop", "holdout", unit]) < 0.1 or name == "banner":
        return names[:1], [1.0]
    session = attributes["session"]
    assert isinstance(session, dict)
    intent = by_logistic(session, attributes["profile"])
    hidden = "craft" if name == "hero" and attributes["device"] != "mobile" else ""
    if name == "offer" and intent < 0.5:
        hidden = "call"
    eligible = [i for i, each in enumerate(names) if each != hidden]
    means, sds = by_level(name, situation)
    if name == "offer":
        x = [float(session["views"]), float(session["referral"] == "search")]
        x.append(float(session["preferences"].get("topic") == "coats"))
        means = [m + float(np.dot(w, x)) for m, w in zip(means, SHIFT_WEIGHTS, strict=True)]
        quadratics = [float(np.array(x) @ np.array(covariance(v)) @ np.array(x)) for v in SHIFT_VARIANCES]
        sds = [math.hypot(s, math.sqrt(q)) for s, q in zip(sds, quadratics, strict=True)]
    shares = by_quadrature([means[i] for i in eligible], [sds[i] for i in eligible])
    topic = session["preferences"].get("topic", "") if name == "row" else ""
    tags = [listed[i].get("interests", []) for i in eligible]
    outside = [bool(each) and topic not in each for each in tags] if topic else []
    floors, caps = ([float(listed[i].get(key, free)) for i in eligible] for key, free in (("floor", 0.0), ("cap", 1.0)))
    served = by_bisection(shares, floors, caps, outside, 0.3 if name == "row" else 0.0)
    known = situation.profile
    is_one_of_several = known is not None and has_several_devices(int(known.header.version[1:]))
    started_ms = int(str(session["started_ms"]))
    epoch = {
        "hero": f"day {started_ms // DAY_MS}" if is_one_of_several else f"session {started_ms}",
        "offer": f"day {NOW_MS // DAY_MS}",
        "row": f"week {NOW_MS // (7 * DAY_MS)}",
    }
    salt = ["shop", name, epoch[name], unit, hidden]
    ranked, propensities = by_races(served, [names[i] for i in eligible], salt, slots, outside)
    return [names[eligible[i]] for i in ranked], propensities


def by_logistic(session: dict[str, object], profile: object) -> float:
    assert isinstance(profile, dict)
    orders = float(profile.get("orders", 0.0))
    total = -1.5 + 0.25 * float(str(session["views"])) + (session["referral"] == "email") + 0.5 * orders
    return 1.0 / (1.0 + math.exp(-total))


def by_level(name: str, situation: Situation) -> tuple[list[float], list[float]]:
    profile = situation.profile
    if profile is not None and name in ("hero", "row"):
        number = int(profile.header.version[1:])
        age_ms = [0, DAY_MS, 3 * DAY_MS, 40 * DAY_MS][number // 2 % 4]
        if name == "hero" and age_ms <= 2 * DAY_MS and number // 6 % 3 < 2:
            return SCORES[f"p{number // 4 % 2}"]
        if number // 8 % 3 == 0 and age_ms <= 30 * DAY_MS:
            return CELLS["c1"]
    return CELLS["vip" if situation.attributes.get("plan") == "gold" else "global"]


def by_races(
    served: list[float], names: list[str], salt: list[str], slots: int, outside: list[bool]
) -> tuple[list[int], list[float]]:
    """Slot by slot the first that is left of the race; at position 1, where an interest is known, of the other race."""
    regular = [-math.log(by_hash([*salt, name])) / p for name, p in zip(names, served, strict=True)]
    other = [-math.log(by_hash([*salt, "interest", name])) / p for name, p in zip(names, served, strict=True)]
    ranked: list[int] = []
    propensities = []
    for position in range(min(slots, len(served))):
        left = [i for i in range(len(served)) if i not in ranked]
        others = [i for i in left if outside and outside[i]]
        is_kept = position == 1 and bool(others)
        among, finishes = (others, other) if is_kept else (left, regular)
        ranked.append(min(among, key=lambda i: finishes[i]))
        propensities.append(served[ranked[-1]] / math.fsum(served[i] for i in among))
    return ranked, propensities


# What feeds a decision

ATTRIBUTES: dict[str, object] = {
    "device": "mobile", "age": 41, "share": 0.1, "huge": 10**400, "deep": {"er": {"list": ["a", "b"], "yes": True}},
}  # fmt: skip
FEATURES = {
    "device": 0.0, "device=mobile": 1.0, "device=mob": 0.0, "age": 41.0, "age=41": 0.0, "share": 0.1, "huge": 1e6,
    "deep.er.yes": 1.0, "deep.er.list=b": 1.0, "deep.er.list=c": 0.0, "deep.er": 0.0, "deep.none.list": 0.0, "": 0.0,
}  # fmt: skip


def features() -> list[Case]:
    cases: list[Case] = []
    for name, expected in FEATURES.items():
        same(compile_feature(name)(ATTRIBUTES), expected)
        cases.append({"name": name, "attributes": ATTRIBUTES, "expected": expected.hex()})
    return cases


def intents() -> list[Case]:
    generator = random.Random(13)
    cases: list[Case] = []
    for number in range(40):
        names = [f"x{i}" for i in range(number % 5)]
        weights = {name: generator.uniform(-2.0, 2.0) for name in names}
        attributes: dict[str, object] = {name: generator.uniform(-3.0, 9.0) for name in names}
        bias = generator.choice([-60.0, -1.0, 0.0, 0.5, 60.0])
        total = bias + math.fsum(weights[name] * float(str(attributes[name])) for name in names)
        intent = Intent(
            bias=bias,
            names=tuple(names),
            features=tuple(compile_feature(name) for name in names),
            weights=tuple(weights.values()),
        )
        got = score_intent(intent, attributes)
        near([got], [1.0 / (1.0 + math.exp(-min(max(total, -40.0), 40.0)))], 1e-14)
        cases.append({"bias": bias, "weights": weights, "attributes": attributes, "expected": got.hex()})
    return cases


def shifts() -> list[Case]:
    generator = random.Random(17)
    cases: list[Case] = []
    for number in range(40):
        count, size = 1 + number % 4, number % 5
        roots = [[[generator.uniform(-0.3, 0.3) for _ in range(size)] for _ in range(size)] for _ in range(count)]
        covariances = [(np.array(root).reshape(size, size).T @ np.array(root).reshape(size, size)) for root in roots]
        weights = [[generator.uniform(-1.0, 1.0) for _ in range(size)] for _ in range(count)]
        x = [generator.choice([0.0, 1.0, generator.uniform(-2.0, 5.0)]) for _ in range(size)]
        means = [generator.uniform(-5.0, 1.0) for _ in range(count)]
        sds = [generator.uniform(0.1, 1.0) for _ in range(count)]
        listed = [tuple(tuple(float(each) for each in row) for row in matrix) for matrix in covariances]
        shift = Shift(names=(), features=(), weights=tuple(tuple(row) for row in weights), covariances=tuple(listed))
        posterior = Posterior(level="global", name="", means=tuple(means), sds=tuple(sds), probabilities=())
        got = shift_posterior(posterior, shift, x)
        near(
            got.means,
            [m + math.fsum(w * v for w, v in zip(row, x, strict=True)) for m, row in zip(means, weights, strict=True)],
            1e-14,
        )
        near(
            got.sds,
            [math.sqrt(s * s + float(np.array(x) @ c @ np.array(x))) for s, c in zip(sds, covariances, strict=True)],
            1e-13,
        )
        case = {
            "means": hexes(means),
            "sds": hexes(sds),
            "values": hexes(x),
            "weights": [hexes(row) for row in weights],
        }
        matrices = [[hexes(row) for row in matrix] for matrix in listed]
        cases.append({**case, "covariances": matrices, "expected": [hexes(got.means), hexes(got.sds)]})
    return cases
