from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decision import REASONS, Unit, decide
from shared.policy import thompson_probabilities
from shared.snapshot import EPOCHS, Snapshot, write_snapshot

CONDITIONS = st.sampled_from(
    [
        None,
        {"device": "mobile"},
        {"age": {"$gt": 18}},
        {"plan": {"$in": ["gold", None]}},
        {"$not": {"device": "mobile"}},
    ]
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["mobile", "desktop", 7, None]),
        "age": st.integers(0, 99) | st.text(max_size=3),
        "plan": st.sampled_from(["gold", "silver"]) | st.lists(st.just("gold"), max_size=2),
    },
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 5))

    def cell() -> dict[str, object]:
        means = draw(st.lists(st.floats(-8.0, 2.0), min_size=count, max_size=count))
        sds = draw(st.lists(st.floats(0.05, 3.0), min_size=count, max_size=count))
        return {"means": means, "sds": sds, "probabilities": thompson_probabilities(means, sds)}

    variants = [
        {
            "name": f"v{i}",
            "html": None,
            "floor": draw(st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0])),
            "condition": draw(CONDITIONS),
        }
        for i in range(count)
    ]
    place: dict[str, object] = {
        "variants": variants,
        "default": draw(st.integers(0, count - 1)),
        "epoch": draw(st.sampled_from(EPOCHS)),
        "pages": ["*"],
        "goal": "order",
    }
    records = {"touchpoint:hero": place}
    for key in ("cell:hero:global:", "cell:hero:segment:vip"):
        if draw(st.booleans()):
            records[key] = cell()
    header: dict[str, object] = {
        "version": draw(st.text(max_size=5)),
        "site": "shop",
        "created_ms": 0,
        "holdout_share": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "segments": [{"name": "vip", "condition": {"plan": {"$exists": True}}}],
        "attributes": [],
        "goals": ["order"],
        "pages": {"hero": ["*"]},
    }
    return Snapshot.from_text(write_snapshot(header, records))


@settings(max_examples=80)
@given(snapshots(), ATTRIBUTES, st.text(max_size=8), st.integers(0, 1 << 53))
def test_a_decision_is_always_made_and_always_consistent(
    snapshot: Snapshot, attributes: dict[str, object], unit: str, now_ms: int
) -> None:
    who = Unit(id=unit, session_ms=now_ms)
    decision = decide("hero", who, snapshot, attributes, now_ms)
    place = snapshot.touchpoint("hero")
    assert decision == decide("hero", who, snapshot, attributes, now_ms)
    assert place.variants[decision.variant_index].name == decision.variant
    assert decision.reason in REASONS
    assert len(decision.probabilities) == (0 if decision.level == "none" else len(decision.eligible))
    assert 0.0 < decision.propensity <= 1.0
    if decision.reason == "chosen":
        assert decision.propensity == decision.probabilities[decision.eligible.index(decision.variant)]
        assert decision.randomised
    else:
        assert decision.variant_index == place.default
        assert decision.propensity == 1.0
        assert not decision.randomised
    assert decision.holdout is (decision.reason == "holdout")


@settings(max_examples=80)
@given(snapshots(), ATTRIBUTES)
def test_the_served_distribution_sums_to_one_and_meets_the_floors_it_can(
    snapshot: Snapshot, attributes: dict[str, object]
) -> None:
    decision = decide("hero", Unit(id="u", session_ms=0), snapshot, attributes, 0)
    floors = {variant.name: variant.floor for variant in snapshot.touchpoint("hero").variants}
    wanted = [floors[name] for name in decision.eligible]
    assert sorted((*decision.eligible, *decision.excluded)) == sorted(floors)
    if decision.probabilities:
        assert sum(decision.probabilities) == pytest.approx(1.0, abs=1e-12)
    if not decision.probabilities:
        return
    if sum(wanted) > 1.0:
        assert decision.relaxations == ("floors",)
        assert decision.probabilities == pytest.approx([floor / sum(wanted) for floor in wanted], abs=1e-9)
    else:
        assert decision.relaxations == ()
        assert all(share >= floor - 1e-12 for share, floor in zip(decision.probabilities, wanted, strict=True))
