"""The exposure as it is stored."""

from __future__ import annotations

import json

from shared.decision import Decision
from shared.events import EVENT_TYPES, LOGGED, SCHEMA, STORED, Exposures
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import ask, cell, frozen_of, place, profile_of, publish_hero, variant

NOW_MS = 1_700_000_000_000


def exposure_of(decision: Decision, *, is_shown: bool = True) -> dict[str, object]:
    """The stored exposure of a decision."""
    exposures = Exposures(
        page_view="pv-1",
        visitor="v-1",
        at_ms=NOW_MS,
        url_path="/",
        user_agent="Mozilla/5.0",
        is_shown=is_shown,
        segments=("vip",),
        context={"device": "mobile"},
        session={"started_ms": 5, "views": 2, "preferences": {"topic": "coats"}},
    )
    common, own = exposures.common(), exposures.own(decision)
    assert not common.keys() & own.keys()
    return {**common, **own}


def test_a_stored_exposure_holds_the_decision_beside_the_common_fields(site: Snapshot) -> None:
    decision = ask(site)
    stored = json.loads(json.dumps(exposure_of(decision)))
    assert (stored["type"], stored["schema"], SCHEMA) == ("exposure", 3, 3)
    assert (stored["event_id"], stored["visitor"], stored["page_view"]) == ("pv-1-hero", "v-1", "pv-1")
    assert (stored["created_ms"], stored["received_ms"], stored["url_path"]) == (NOW_MS, NOW_MS, "/")
    assert (stored["sent_ms"], stored["happened_ms"], stored["session_ms"]) == (NOW_MS, NOW_MS, 5)
    assert (stored["source"], stored["user"], stored["user_agent"]) == ("edge", "", "Mozilla/5.0")
    assert stored["context"] == {"device": "mobile"}
    assert stored["session"] == {"started_ms": 5, "views": 2, "preferences": {"topic": "coats"}}
    assert stored["segments"] == ["vip"]
    for name in LOGGED:
        value = getattr(decision, name)
        assert stored[name] == (list(value) if isinstance(value, tuple) else value)
    for name in ("decision", "variant_index", "distribution", "slate", "slate_propensities"):
        assert name not in stored


def test_an_exposure_has_the_fields_of_the_definition(site: Snapshot) -> None:
    stored = exposure_of(ask(site))
    own = [field.name for field in EVENT_TYPES["exposure"].fields if not field.name.startswith("slate")]
    assert sorted(stored) == sorted([*(field.name for field in STORED), *own])


def test_a_page_that_was_fetched_ahead_of_its_time_says_so(site: Snapshot) -> None:
    assert exposure_of(ask(site))["is_shown"] is True
    assert exposure_of(ask(site), is_shown=False)["is_shown"] is False


def test_all_that_a_replay_compares_is_logged() -> None:
    replayed = {"touchpoint", "unit", "epoch", "variant", "propensity", "probabilities", "eligible", "excluded"}
    rests_on = {"level", "cell", "snapshot", "profile", "fallbacks", "relaxations", "earlier"}
    assert replayed | rests_on | {"holdout", "randomised", "reason", "because"} == set(LOGGED)
    assert len(set(LOGGED)) == len(LOGGED)


def test_a_stored_exposure_says_what_profile_it_rests_on_and_what_fell_back() -> None:
    site = publish_hero(place("a", "b", finest="individual", models=["m"]))
    stored = exposure_of(
        ask(site, profile=profile_of(scores={("hero", "old"): {"means": [0.0, 0.0], "sds": [1.0, 1.0]}}))
    )
    assert (stored["profile"], stored["fallbacks"]) == ("p1", ("profile_model",))
    assert stored["because"] == "because it was drawn by how well each alternative has done with all visitors"


def test_a_stored_redraw_says_for_which_eligible_sets_its_epoch_had_drawn() -> None:
    site = publish_hero(place("a", "b", variant("phone", condition={"device": "mobile"})))
    first = ask(site)
    second = ask(site, attributes={"device": "desktop"}, frozen=frozen_of(first))
    third = ask(site, frozen=frozen_of(second))
    assert [exposure_of(each)["earlier"] for each in (first, second)] == [(), ("",)]
    stored = exposure_of(third)
    assert (stored["earlier"], stored["randomised"]) == ((frozen_of(second).excluded, ""), False)


def test_a_stored_slate_has_all_its_positions() -> None:
    site = publish_hero(place("a", "b", "c", slots=2), cells={"global:": cell([0.0, 0.1, 0.2])})
    decision = ask(site, session=Session(started_ms=1))
    stored = json.loads(json.dumps(exposure_of(decision)))
    assert stored["slate"] == list(decision.slate)
    assert stored["slate_propensities"] == list(decision.slate_propensities)
    assert stored["variant"] == stored["slate"][0]
    assert sorted(stored) == sorted(field.name for field in (*STORED, *EVENT_TYPES["exposure"].fields))
