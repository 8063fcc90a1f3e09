"""What training makes of persons, and how it reaches their devices."""

from __future__ import annotations

import dataclasses

import ibis
import pytest

from origin.config import Config
from origin.decisions import Goal, read_decisions
from origin.identity.persons import read_persons
from origin.identity.stitch import stitch
from origin.individuals import name_model
from origin.kv import KvClient
from origin.lake import Lake
from origin.people import Person, read_people
from origin.publish import publish
from origin.train import Model, train
from shared.profile import Profile
from shared.snapshot import Snapshot
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, USHER_TOML, VARIANTS, Event, exposure, goal, make_config, store
from tests.origin.test_identity_stitch import identify

NEXT_DAY_MS = NOON_MS + DAY_MS
MODEL = name_model(VARIANTS)
PERSONAL = """
[touchpoints.hero.levels]
require_gain = false
cluster_min_people = 0
cluster_min_days = 0
individual_min_people = {people}
individual_min_days = 0
"""


@pytest.fixture
def personal(lake: Lake) -> Config:
    return make_config(lake.root / "config", USHER_TOML + PERSONAL.format(people=0))


def visits(visitor: str, times: int, likes: str, unit: str | None = None, start_ms: int = NOON_MS) -> list[Event]:
    """A visitor who comes several times, sees the variants in turn, and clicks the one that is liked."""
    events: list[Event] = []
    for k in range(times):
        moment = start_ms + k * 2 * HOUR_MS
        of = {"visitor": visitor, "received_ms": moment}
        shown = {"event_id": f"{visitor}-{k}", "unit": unit or visitor, "epoch": f"session {moment}"}
        events.append(exposure(0, VARIANTS[k % 3], **of, **shown))
        if VARIANTS[k % 3] == likes:
            reached = {"received_ms": moment + 1, "happened_ms": moment + 1}
            events.append({**goal(0), **of, **reached, "event_id": f"{visitor}-{k}-goal"})
    return events


def train_on(
    config: Config, lake: Lake, events: list[Event], as_of_ms: int = NEXT_DAY_MS
) -> tuple[Model, list[Person]]:
    store(lake, events)
    stitch(lake, config.identity, NEXT_DAY_MS)
    model = train(config, lake, as_of_ms, NEXT_DAY_MS)
    return model, list(read_people(lake, model.version, model.people))


def test_the_decisions_of_all_devices_train_one_set_of_scores(personal: Config, lake: Lake) -> None:
    both = [*visits("laptop", 3, "craft"), *visits("phone", 3, "craft"), *visits("other", 3, "offer")]
    model, people = train_on(personal, lake, [*both, identify("phone", "u"), identify("laptop", "u", 5)])
    [person] = people
    assert (person.unit, person.units) == ("laptop", ["laptop", "phone"])
    assert person.attributes == {"decisions": 6, "rewards": 2, "days": 1}
    assert list(person.scores) == [("hero", MODEL)]
    assert (model.people, model.linked, model.touchpoints["hero"].people) == (1, 1, 1)


def test_decisions_made_after_a_device_took_the_persons_unit_over_are_the_persons_too(
    personal: Config, lake: Lake
) -> None:
    later_ms = NOON_MS + 8 * HOUR_MS
    events = [*visits("laptop", 2, "craft"), *visits("phone", 2, "craft"), identify("phone", "u")]
    events += [identify("laptop", "u", 5), *visits("phone", 2, "craft", unit="laptop", start_ms=later_ms)]
    for number, event in enumerate(events):
        event["event_id"] = f"{event['event_id']}-{number}"
    _, [person] = train_on(personal, lake, events)
    assert person.attributes["decisions"] == 6


def test_who_was_never_stitched_is_a_person_of_its_own(personal: Config, lake: Lake) -> None:
    model, people = train_on(personal, lake, [*visits("a", 5, "craft"), *visits("b", 6, "craft")])
    assert [(person.unit, person.units) for person in people] == [("a", ["a"]), ("b", ["b"])]
    assert model.linked == 0


def test_a_training_as_of_a_moment_knows_the_persons_of_then(personal: Config, lake: Lake) -> None:
    both = [*visits("laptop", 5, "craft"), *visits("phone", 5, "craft"), identify("phone", "u")]
    _, people = train_on(personal, lake, [*both, identify("laptop", "u", DAY_MS)])
    assert [person.unit for person in people] == ["laptop"]
    _, people = train_on(personal, lake, [], as_of_ms=NEXT_DAY_MS - 1)
    assert [person.unit for person in people] == ["laptop", "phone"]


def test_graduation_counts_persons(lake: Lake) -> None:
    config = make_config(lake.root / "config", USHER_TOML + PERSONAL.format(people=3))
    events = [event for name in "abcd" for event in visits(name, 1, "craft")]
    model, _ = train_on(config, lake, [*events, identify("a", "u"), identify("b", "u"), identify("c", "u")])
    assert model.touchpoints["hero"].reason == "individual level: 2 of 3 people so far"


def test_devices_that_decided_nothing_are_joined_all_the_same(config: Config, lake: Lake) -> None:
    model, people = train_on(config, lake, [identify("a", "u"), identify("b", "u", 1), identify("c", "w")])
    none = {"decisions": 0, "rewards": 0, "days": 0}
    assert people == [Person(unit="a", units=["a", "b"], attributes=none, scores={})]
    assert (model.people, model.linked) == (1, 1)


def test_whom_conditions_ask_about_is_kept_from_the_least_number_of_decisions_on(lake: Lake) -> None:
    text = USHER_TOML.replace('{ device = "mobile" }', '{ "profile.days" = { "$gt" = 3 } }')
    config = make_config(lake.root / "config", text)
    _, people = train_on(config, lake, [*visits("a", 4, "craft"), *visits("b", 5, "craft")])
    assert [(person.unit, person.attributes["decisions"], dict(person.scores)) for person in people] == [("b", 5, {})]


def test_a_profile_decided_on_for_one_device_is_there_on_the_next(personal: Config, lake: Lake, kv: KvClient) -> None:
    events = [*visits("laptop", 6, "craft"), identify("laptop", "u", 5), identify("phone", "u", DAY_MS)]
    model, _ = train_on(personal, lake, events, as_of_ms=NEXT_DAY_MS)
    done = publish(personal, model, lake, kv, NEXT_DAY_MS)
    assert done.profiles.written == 2
    laptop, phone = kv.get("profile:laptop"), kv.get("profile:phone")
    assert phone is not None and phone == laptop
    profile = Profile.from_text(phone)
    assert profile.header.unit == "laptop"
    scores = profile.scores("hero", (MODEL,), 3)
    assert scores is not None and max(zip(scores.means, VARIANTS, strict=True))[1] == "craft"


def test_the_edge_looks_for_profiles_once_there_are_devices_to_join(config: Config, lake: Lake, kv: KvClient) -> None:
    """Before any touchpoint is individual: the devices must come to the same holdout arm and variants."""
    model, _ = train_on(config, lake, visits("laptop", 2, "craft"))
    text = kv.get(publish(config, model, lake, kv, NEXT_DAY_MS).keys[0])
    assert text is not None and not Snapshot.from_text(text).header.has_profiles
    store(lake, [identify("laptop", "u", 5), identify("phone", "u", 6)], "2")
    stitch(lake, config.identity, NEXT_DAY_MS)
    joined = publish(config, train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS + 1), lake, kv, NEXT_DAY_MS + 1)
    text = kv.get(joined.keys[0])
    assert text is not None and Snapshot.from_text(text).header.has_profiles
    phone = kv.get("profile:phone")
    assert phone is not None and Profile.from_text(phone).header.unit == "laptop"


def test_the_edge_looks_for_profiles_as_long_as_anybody_may_have_to_find_back(
    config: Config, lake: Lake, kv: KvClient
) -> None:
    """The kiosk and the phone were one person, the only one of several devices; four users show that they are not."""
    crossed = {"type": "crossing", "unit_before": "phone", "unit": "kiosk", "event_id": "crossing"}
    store(lake, [identify("kiosk", "u1"), identify("phone", "u1", 1), identify("phone", "", 2, **crossed)])
    store(lake, [identify("kiosk", f"u{number}", 1_000 + number) for number in (2, 3, 4)], "2")
    stitch(lake, config.identity, NEXT_DAY_MS)
    for as_of_ms, linked, crossings in ((NOON_MS + 10, 1, 1), (NEXT_DAY_MS, 0, 1)):
        model = train(config, lake, as_of_ms, NEXT_DAY_MS)
        text = kv.get(f"snapshot:{publish(config, model, lake, kv, NEXT_DAY_MS).version}")
        assert (model.linked, model.crossed) == (linked, crossings)
        assert text is not None and Snapshot.from_text(text).header.has_profiles
    phone = kv.get("profile:phone")
    assert phone is not None and Profile.from_text(phone).header.unit == "phone"


def test_what_two_devices_of_a_person_draw_in_one_epoch_is_one_decision(personal: Config, lake: Lake) -> None:
    today = {"unit": "laptop", "epoch": f"day {NOON_MS // DAY_MS}"}
    shown = [
        exposure(1, "craft", visitor="laptop", **today),
        exposure(2, "craft", visitor="phone", received_ms=NOON_MS + 5, reason="kept", **today),
        exposure(3, "offer", visitor="phone", received_ms=NOON_MS + 9, unit="laptop", epoch="session 9"),
    ]
    signed_in = [identify("laptop", "u", 1), identify("phone", "u", 2)]
    reached = [goal(2, visitor="phone", event_id="one"), goal(3, 90_000, visitor="phone", event_id="two")]
    model, [person] = train_on(personal, lake, [*shown, *signed_in, *reached])
    assert (model.touchpoints["hero"].decisions, person.attributes["decisions"]) == (2, 2)


def test_conditions_on_profiles_have_profiles_to_read(lake: Lake, kv: KvClient) -> None:
    text = USHER_TOML.replace('{ device = "mobile" }', '{ "profile.days" = { "$gt" = 3 } }')
    config = make_config(lake.root / "config", text)
    model, _ = train_on(config, lake, visits("a", 5, "craft"))
    done = publish(config, model, lake, kv, NEXT_DAY_MS)
    snapshot = kv.get(done.keys[0])
    assert snapshot is not None and Snapshot.from_text(snapshot).header.has_profiles
    profile = kv.get("profile:a")
    assert profile is not None
    assert Profile.from_text(profile).header.attributes == {"decisions": 5, "rewards": 2, "days": 1}
    nobody = dataclasses.replace(model, people=0)
    again = kv.get(publish(config, nobody, lake, kv, NEXT_DAY_MS + 1).keys[0])
    assert again is not None and not Snapshot.from_text(again).header.has_profiles


def read_rewarded(config: Config, lake: Lake) -> list[tuple[str, str]]:
    """The variant and unit of every rewarded decision, persons known."""
    connection = ibis.duckdb.connect()
    try:
        senders = read_persons(lake, config.identity, NEXT_DAY_MS).list_senders()
        table = read_decisions(connection, lake, {"hero": Goal("click", 1.0)}, NEXT_DAY_MS, senders)
        rows = connection.to_pyarrow(table.filter(table.reward == 1.0).order_by("unit")).to_pylist()
    finally:
        connection.disconnect()
    return [(row["variant"], row["unit"]) for row in rows]


def by_user(number: int, user: str) -> Event:
    """A goal that a server reports of a user."""
    return goal(number, visitor="", source="server", user=user)


@pytest.mark.parametrize(
    ("reports", "rewarded"),
    [
        ([by_user(1, "u")], [("offer", "visitor-2")]),
        ([by_user(1, "nobody")], []),
        ([goal(1)], [("craft", "visitor-1")]),
        ([goal(2)], [("offer", "visitor-2")]),
        ([goal(4)], [("offer", "visitor-2")]),  # a device of theirs that has seen nothing
        ([goal(4, after_ms=3)], [("craft", "visitor-1")]),
        ([goal(3)], [("house", "visitor-3")]),
        # The browser and a server report one purchase, which the server's clock puts elsewhere.
        ([goal(1, after_ms=3), by_user(1, "u")], [("craft", "visitor-1")]),
    ],
)
def test_a_goal_rewards_once_what_its_visitor_or_else_the_person_saw_last_before_it(
    personal: Config, lake: Lake, reports: list[Event], rewarded: list[tuple[str, str]]
) -> None:
    shown = [exposure(1, "craft"), exposure(2, "offer", received_ms=NOON_MS + 5), exposure(3, "house")]
    signed_in = [identify("visitor-1", "u", 1), identify("visitor-2", "u", 2), identify("visitor-3", "other", 3)]
    signed_in.append(identify("visitor-4", "u", 4))
    model, _ = train_on(personal, lake, [*shown, *signed_in, *reports])
    assert read_rewarded(personal, lake) == rewarded
    assert model.touchpoints["hero"].rewards == len(rewarded)
