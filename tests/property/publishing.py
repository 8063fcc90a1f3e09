"""Hypothesis strategies: whatever a site may publish of one touchpoint, and whoever may come."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.policy import thompson_probabilities
from shared.profile import Profile
from shared.records import EPOCHS
from shared.session import REFERRALS, Session
from shared.snapshot import Snapshot
from tests.asking import Record, profile_of, publish

MODELS = ["m1", "m2"]
INTERESTS = ["coats", "shoes"]
FEATURES = ["session.views", "session.referral=search", "profile.orders", "age", "device=mobile", "session.intent"]
CONDITIONS = st.sampled_from(
    [
        None,
        {"device": "mobile"},
        {"age": {"$gt": 18}},
        {"plan": {"$in": ["gold", None]}},
        {"$not": {"device": "mobile"}},
        {"session.views": {"$gte": 3}},
        {"session.intent": {"$gt": 0.5}},
        {"profile.orders": {"$exists": True}},
    ]
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["mobile", "desktop", 7, None]),
        "age": st.integers(0, 99) | st.text(max_size=3) | st.integers(-(10**400), 10**400) | st.floats(),
        "plan": st.sampled_from(["gold", "silver"]) | st.lists(st.just("gold"), max_size=2),
        "topic": st.sampled_from(INTERESTS),
    },
)
SESSIONS = st.builds(
    Session,
    started_ms=st.integers(0, 1 << 53),
    views=st.integers(1, 1_000_000),
    visits=st.integers(1, 1_000_000),
    referral=st.sampled_from(REFERRALS),
    preferences=st.dictionaries(st.sampled_from(["topic", "size"]), st.sampled_from(INTERESTS), max_size=2),
)
USUAL = (st.floats(-8.0, 2.0), st.floats(0.05, 3.0), st.floats(-2.0, 2.0))
# The bounds of what may be published.
EXTREME = (
    st.floats(-1e6, 1e6) | st.sampled_from([1e6, -1e6, 0.0]),
    st.floats(1e-12, 1e6) | st.sampled_from([1e-12, 1e6, 1.0]),
    st.floats(-1e6, 1e6) | st.sampled_from([1e6, -1e6, 0.0]),
)
Numbers = tuple[st.SearchStrategy[float], st.SearchStrategy[float], st.SearchStrategy[float]]


@st.composite
def posteriors(draw: st.DrawFn, count: int, numbers: Numbers = USUAL) -> Record:
    """Means and standard deviations of `count` variants."""
    return {
        "means": draw(st.lists(numbers[0], min_size=count, max_size=count)),
        "sds": draw(st.lists(numbers[1], min_size=count, max_size=count)),
    }


def as_cell(posterior: Record, *, is_exact: bool) -> Record:
    """A posterior as it is published: with its probabilities, or (where nothing else matters) with even ones."""
    means, sds = posterior["means"], posterior["sds"]
    assert isinstance(means, list) and isinstance(sds, list)
    probabilities = thompson_probabilities(means, sds) if is_exact else [1.0 / len(means)] * len(means)
    return {**posterior, "probabilities": probabilities}


@st.composite
def variants(draw: st.DrawFn, count: int) -> list[Record]:
    """Variants with floors, caps, conditions and interests."""
    listed = []
    for i in range(count):
        floor = draw(st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]))
        listed.append(
            {
                "name": f"v{i}",
                "html": None,
                "floor": floor,
                "cap": draw(st.sampled_from([1.0, 0.6, 0.3, floor])) if floor <= 0.3 else 1.0,
                "condition": draw(CONDITIONS),
                "interests": draw(st.lists(st.sampled_from(INTERESTS), max_size=1)),
            }
        )
    return [dict(each) for each in listed]


@st.composite
def shifts(draw: st.DrawFn, count: int, numbers: Numbers = USUAL) -> Record:
    """Weights of up to three features; the covariances are those of one direction each, so that they are some."""
    names = draw(st.lists(st.sampled_from(FEATURES), max_size=3, unique=True))
    size = len(names)
    diagonal = st.lists(numbers[2].map(abs), min_size=size, max_size=size)
    rows = st.lists(numbers[2], min_size=size, max_size=size)

    def matrix() -> list[list[float]]:
        spread = draw(diagonal)
        return [[spread[i] if i == j else 0.0 for j in range(size)] for i in range(size)]

    return {
        "features": names,
        "weights": [draw(rows) for _ in range(count)],
        "covariances": [matrix() for _ in range(count)],
    }


@st.composite
def sites(draw: st.DrawFn, numbers: Numbers = USUAL) -> Snapshot:
    """A snapshot whose one touchpoint is `hero`, with posteriors at any levels."""
    count = draw(st.integers(1, 5))
    slots = draw(st.sampled_from([1, 1, 1, 2, 4]))
    hero: Record = {
        "variants": draw(variants(count)),
        "default": draw(st.integers(0, count - 1)),
        "epoch": draw(st.sampled_from(EPOCHS)),
        "pages": ["*"],
        "goal": "order",
        "finest": draw(st.sampled_from(["individual", "cluster", "segment", "global"])),
        "models": draw(st.lists(st.sampled_from(MODELS), unique=True)),
        "interest_share": draw(st.sampled_from([0.0, 0.2, 0.9])),
        "slots": slots,
        "interest_slots": draw(st.sampled_from([[], [0], [slots - 1]])),
        "shift": draw(st.none() | shifts(count, numbers)),
    }
    records = {"touchpoint:hero": hero}
    for key in ("global:", "segment:vip", "cluster:c1"):
        if draw(st.booleans()):
            records[f"cell:hero:{key}"] = as_cell(draw(posteriors(count, numbers)), is_exact=numbers is USUAL)
    return publish(
        records,
        version=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        holdout_share=draw(st.sampled_from([0.0, 0.1, 1.0])),
        segments=[{"name": "vip", "condition": {"plan": {"$exists": True}}}],
        interest=draw(st.sampled_from(["", "topic", "session.preferences.topic"])),
        intent=draw(st.none() | st.just({"bias": -1.0, "weights": {"session.views": 0.25, "profile.orders": 1.0}})),
        phrases=draw(st.sampled_from([{}, {"session.views": "{value} pages", "profile.orders": "{value} orders"}])),
        pages={"hero": ["*"]},
    )


@st.composite
def profiles(draw: st.DrawFn, unit: str, numbers: Numbers = USUAL) -> Profile | None:
    """A profile of the unit, fresh or stale, with scores of any number of variants; or none."""
    if draw(st.booleans()):
        return None
    scores: dict[tuple[str, str], Record] = {
        ("hero", model): draw(posteriors(draw(st.integers(1, 5)), numbers))
        for model in draw(st.lists(st.sampled_from([*MODELS, "m9"]), unique=True))
    }
    known: Record = draw(st.sampled_from([{}, {"orders": 3}, {"orders": "many"}, {"orders": -2.5}]))
    return profile_of(
        unit,
        scores=scores,
        age_ms=draw(st.sampled_from([0, 0, 3 * 86_400_000, 40 * 86_400_000])),
        cluster=draw(st.sampled_from(["", "c1", "c2"])),
        attributes=known,
        several_devices=draw(st.booleans()),
    )
