"""What a published record must be like, and what a reader takes for granted where it says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from shared.errors import InvalidSnapshot
from shared.records import CLUSTER_TTL_MS, INDIVIDUAL_TTL_MS, MOST_FEATURES, MOST_SLOTS, read_touchpoint, to_columns
from shared.snapshot import Snapshot, write_snapshot
from tests.asking import Record, Records, cell, place, publish, publish_hero, variant


def message_of(action: Callable[[], object]) -> str:
    with pytest.raises(InvalidSnapshot) as raised:
        action()
    return str(raised.value)


def with_variant(records: Records, index: int, change: Record) -> Records:
    """The records with one field of one variant of `hero` changed; a value of ... removes it."""
    changed = deepcopy(records)
    variants = changed["touchpoint:hero"]["variants"]
    assert isinstance(variants, list)
    for key, value in change.items():
        if value is ...:
            del variants[index][key]
        else:
            variants[index][key] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "header.format: this version reads format 3, and 2 before it; got 1"),
        ({"format": None}, "header.format: this version reads format 3, and 2 before it; got None"),
        ({"version": 7}, "header.version: expected a string, got 7"),
        ({"version": "v" * 201}, "header.version: 201 characters; at most 200 are allowed"),
        ({"site": None}, "header.site: expected a string, got nothing"),
        ({"created_ms": -1}, f"header.created_ms: expected a whole number from 0 to {1 << 53}, got -1"),
        ({"created_ms": 1.0}, f"header.created_ms: expected a whole number from 0 to {1 << 53}, got 1.0"),
        ({"holdout_share": 1.01}, "header.holdout_share: expected a number from 0 to 1, got 1.01"),
        ({"holdout_share": "0.1"}, "header.holdout_share: expected a number, got the text '0.1'"),
        ({"honour_gpc": 1}, "header.honour_gpc: expected true or false, got 1"),
        ({"consent": "yes"}, "header.consent: expected an object, got the text 'yes'"),
        ({"consent": {"granted": "yes"}}, "header.consent.cookie: missing; expected a string"),
        (
            {"consent": {"cookie": "c", "granted": ""}},
            "header.consent.granted: expected a text that is not empty, got the text ''",
        ),
        ({"origins": "https://a.example"}, "header.origins: expected a list, got the text 'https://a.example'"),
        ({"goals": "order"}, "header.goals: expected a list, got the text 'order'"),
        ({"goals": ["order", 2]}, "header.goals[1]: expected a string, got 2"),
        ({"pages": []}, "header.pages: expected an object, got a list"),
        ({"pages": {"hero": "/"}}, "header.pages.hero: expected a list, got the text '/'"),
        ({"pages": {"gone": ["/"]}}, "header.pages.gone: the snapshot holds no such touchpoint"),
        ({"segments": {}}, "header.segments: expected a list, got an object"),
        ({"segments": ["vip"]}, "header.segments[0]: expected an object, got the text 'vip'"),
        ({"segments": [{"name": "vip"}]}, "header.segments[0].condition: missing; expected an object"),
        ({"segments": [{"condition": {}}]}, "header.segments[0].name: missing; expected a string"),
        (
            {"segments": [{"name": "vip", "condition": {"$and": 5}}]},
            "header.segments[0].condition.$and: expected a list of conditions, got number '5'",
        ),
        (
            {"attributes": [{"attribute": "a", "source": "cookie", "name": "b"}]},
            "header.attributes[0].source: expected query or header, got the text 'cookie'",
        ),
        (
            {"attributes": [{"attribute": "a", "source": "query"}]},
            "header.attributes[0].name: missing; expected a string",
        ),
    ],
)
def test_a_header_not_of_the_form_is_refused_with_its_place(
    site_header: Record, site_records: Records, change: Record, message: str
) -> None:
    assert message_of(lambda: write_snapshot({**site_header, **change}, site_records)) == message


@pytest.mark.parametrize(
    "key", ["version", "site", "created_ms", "holdout_share", "segments", "attributes", "goals", "pages"]
)
def test_a_header_without_a_required_field_is_refused(site_header: Record, site_records: Records, key: str) -> None:
    header = {name: value for name, value in site_header.items() if name != key}
    assert message_of(lambda: write_snapshot(header, site_records)).startswith(f"header.{key}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": []}, "touchpoint:hero.variants: is empty"),
        ({"variants": {}}, "touchpoint:hero.variants: expected a list, got an object"),
        ({"variants": [7]}, "touchpoint:hero.variants[0]: expected an object, got 7"),
        ({"default": 3}, "touchpoint:hero.default: expected a whole number from 0 to 2, got 3"),
        ({"default": True}, "touchpoint:hero.default: expected a whole number from 0 to 2, got True"),
        (
            {"epoch": "hour"},
            "touchpoint:hero.epoch: expected one of session, day, week, snapshot, forever, got the text 'hour'",
        ),
        ({"pages": None}, "touchpoint:hero.pages: expected a list, got nothing"),
        ({"goal": 1}, "touchpoint:hero.goal: expected a string, got 1"),
    ],
)
def test_a_touchpoint_not_of_the_form_is_refused_with_its_place(
    site_header: Record, site_records: Records, change: Record, message: str
) -> None:
    records = {**site_records, "touchpoint:hero": {**site_records["touchpoint:hero"], **change}}
    assert message_of(lambda: write_snapshot(site_header, records)) == message


@pytest.mark.parametrize(
    ("index", "change", "message"),
    [
        (1, {"name": "house"}, "touchpoint:hero.variants: two variants have the same name"),
        (0, {"name": ...}, "touchpoint:hero.variants[0].name: missing; expected a string"),
        (1, {"weight": 5}, "touchpoint:hero.variants[1].weight: is no field of a variant"),
        (1, {"html": 5}, "touchpoint:hero.variants[1].html: expected a string, got 5"),
        (
            1,
            {"html": "half \ud83d"},
            "touchpoint:hero.variants[1].html: holds half of a surrogate pair, which is no character",
        ),
        (1, {"floor": 1.5}, "touchpoint:hero.variants[1].floor: expected a number from 0 to 1, got 1.5"),
        (1, {"floor": -0.1}, "touchpoint:hero.variants[1].floor: expected a number from 0 to 1, got -0.1"),
        (1, {"floor": ...}, "touchpoint:hero.variants[1].floor: expected a number, got nothing"),
        (2, {"condition": []}, "touchpoint:hero.variants[2].condition: expected an object, got a list"),
        (
            2,
            {"condition": {"$or": [4]}},
            "touchpoint:hero.variants[2].condition.$or[0]: "
            "expected an object of attribute names and operators, got number '4'",
        ),
    ],
)
def test_a_variant_not_of_the_form_is_refused_with_its_place(
    site_header: Record, site_records: Records, index: int, change: Record, message: str
) -> None:
    assert message_of(lambda: write_snapshot(site_header, with_variant(site_records, index, change))) == message


@pytest.mark.parametrize(
    "irregular",
    [
        {"floor": 0}, {"cap": 1}, {"because": None}, {"because": "b" * 200}, {"interests": []},
        {"because": "Größe 😀"},
    ],
)  # fmt: skip
def test_variants_read_by_columns_are_those_that_are_read_one_by_one(irregular: Record) -> None:
    phone: Record = {"device": "mobile"}
    variants = [
        variant("a", html="<b>a</b>", floor=0.1, cap=0.9, because="it is new", interests=["coats", "hats"]),
        variant("b", condition=phone),
        variant("c", condition=dict(phone), cap=0.5),
        variant("d", condition={"device": "desktop"}),
    ]
    plain = read_touchpoint("hero", place(*variants), None)
    # A whole number is nothing that a column is read with at once.
    other = read_touchpoint("hero", place(*variants, variant("e", **irregular), variant("f", floor=0)), None)
    ask_phone, ask_desktop = plain.variants[1].condition, plain.variants[3].condition
    assert ask_phone is plain.variants[2].condition, "the same condition is compiled once"
    assert ask_phone is not None and ask_desktop is not None
    assert (ask_phone(phone, {}), ask_desktop(phone, {}), plain.variants[0].condition) == (True, False, None)
    for one, each in zip(plain.variants, other.variants, strict=False):
        assert (each.condition is None) is (one.condition is None)
        assert replace(each, condition=None) == replace(one, condition=None)
    last = other.variants[4]
    wanted: Record = {"floor": 0.0, "cap": 1.0, "interests": (), "because": "", **irregular}
    wanted |= {"because": wanted["because"] or "", "interests": ()}
    assert {name: getattr(last, name) for name in wanted} == wanted
    assert plain.is_targeted and plain.is_tagged and plain.tags == {"coats", "hats"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": math.nan}, "touchpoint:hero.variants[1].floor: expected a number, got nan"),
        ({"floor": 0.5, "cap": 0.25}, "touchpoint:hero.variants[1].floor: 0.5 is above the cap 0.25"),
        (
            {"because": "half \ud83d"},
            "touchpoint:hero.variants[1].because: holds half of a surrogate pair, which is no character",
        ),
        ({"interests": [7]}, "touchpoint:hero.variants[1].interests[0]: expected a string, got 7"),
        ({"interests": "coats"}, "touchpoint:hero.variants[1].interests: expected a list, got the text 'coats'"),
    ],
)
def test_what_no_column_may_hold_is_refused_with_its_place(change: Record, message: str) -> None:
    assert message_of(lambda: read_touchpoint("hero", place("a", variant("b", **change)), None)) == message


COLUMNS: Record = {"name": ["a", "b", "c"], "floor": [0.0, 0.1, 0.0], "condition": [0, None, 0]}
PHONE: Record = {"device": "mobile"}


def test_variants_are_published_by_columns_and_each_condition_once() -> None:
    rows = [
        variant("a", condition=PHONE),
        variant("b", floor=0.1),
        variant("c", condition=dict(PHONE), interests=["hats"]),
    ]
    columns = to_columns(rows)
    assert columns == {**COLUMNS, "conditions": [PHONE], "interests": [None, None, ["hats"]]}
    assert to_columns([variant("a")]) == {"name": ["a"], "floor": [0.0]}
    htmls = ["null"] * 3
    read = read_touchpoint("hero", {**place(), "variants": columns}, htmls)
    older = read_touchpoint("hero", place(*rows), None)
    assert read.variants[0].condition is read.variants[2].condition is not None
    for one, each in zip(read.variants, older.variants, strict=True):
        assert replace(one, condition=None) == replace(each, condition=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "abc"}, "touchpoint:hero.variants.name: expected a list, got the text 'abc'"),
        ({"floor": [0.0, 0.1]}, "touchpoint:hero.variants.floor: expected 3, one a variant, got 2"),
        ({"cap": {}}, "touchpoint:hero.variants.cap: expected a list, got an object"),
        ({"cap": [None, 0.5, True]}, "touchpoint:hero.variants[2].cap: expected a number, got True"),
        ({"interests": [["a"], None, "b"]}, "touchpoint:hero.variants[2].interests: expected a list, got the text 'b'"),
        (
            {"because": ["b" * 201, "", ""]},
            "touchpoint:hero.variants[0].because: 201 characters; at most 200 are allowed",
        ),
        ({"conditions": None}, "touchpoint:hero.variants.conditions: expected a list, got nothing"),
        ({"condition": None}, "touchpoint:hero.variants.condition: expected a list, got nothing"),
        ({"condition": [None] * 3}, "touchpoint:hero.variants.conditions[0]: is the condition of no variant"),
        ({"conditions": [PHONE, 7]}, "touchpoint:hero.variants.conditions[1]: is the condition of no variant"),
        ({"caps": [0.1] * 3}, "touchpoint:hero.variants.caps: is no field of variants that this version knows"),
        ({"floor": [None, 0.1, 0.0]}, "touchpoint:hero.variants[0].floor: expected a number, got nothing"),
        ({"conditions": []}, "touchpoint:hero.variants[0].condition: expected the index of one of 0 conditions, got 0"),
        ({"conditions": ["x"]}, "touchpoint:hero.variants[0].condition: expected an object, got the text 'x'"),
        (
            {"condition": [0, True, 0]},
            "touchpoint:hero.variants[1].condition: expected the index of one of 1 conditions, got True",
        ),
        (
            {"condition": [0, None, -1]},
            "touchpoint:hero.variants[2].condition: expected the index of one of 1 conditions, got -1",
        ),
    ],
)
def test_columns_not_of_the_form_are_refused_with_their_place(change: Record, message: str) -> None:
    columns: Record = {**COLUMNS, "conditions": [PHONE], **change}
    record = {**place(), "variants": columns}
    assert message_of(lambda: read_touchpoint("hero", record, ["null"] * 3)) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": [0.5, 0.5]}, "cell:hero:global:.probabilities: expected 3 numbers, got 2"),
        ({"probabilities": [0.5, 0.25, 0.125]}, "cell:hero:global:.probabilities: sum to 0.875, not to 1"),
        (
            {"probabilities": [0.5, 0.75, -0.25]},
            "cell:hero:global:.probabilities[2]: expected a number from 0 to 1, got -0.25",
        ),
        ({"probabilities": None}, "cell:hero:global:.probabilities: expected a list, got nothing"),
        ({"means": [0.0, 0.0]}, "cell:hero:global:.means: expected 3 numbers, got 2"),
        ({"means": [0.0, 0.0, None]}, "cell:hero:global:.means[2]: expected a number, got nothing"),
        (
            {"means": [0.0, 2e6, 0.0]},
            "cell:hero:global:.means[1]: expected a number from -1e+06 to 1e+06, got 2000000.0",
        ),
        ({"sds": [0.1, 0.1, 0.0]}, "cell:hero:global:.sds[2]: expected a number from 1e-12 to 1e+06, got 0.0"),
        ({"sds": [0.1, 0.1, 0.1, 0.1]}, "cell:hero:global:.sds: expected 3 numbers, got 4"),
        ({"sds": "wide"}, "cell:hero:global:.sds: expected a list, got the text 'wide'"),
    ],
)
def test_a_cell_not_of_the_form_is_refused_with_its_place(
    site_header: Record, site_records: Records, change: Record, message: str
) -> None:
    records = {**site_records, "cell:hero:global:": {**site_records["cell:hero:global:"], **change}}
    assert message_of(lambda: write_snapshot(site_header, records)) == message


def test_what_an_older_origin_did_not_publish_has_its_default(site: Snapshot) -> None:
    header, hero = site.header, site.touchpoint("hero")
    assert (header.interest, header.intent, header.phrases, header.has_profiles) == ("", None, (), False)
    assert [segment.because for segment in header.segments] == ["", ""]
    assert [(each.cap, each.interests, each.because) for each in hero.variants] == [(1.0, (), "")] * 3
    assert (hero.models, hero.individual_ttl_ms, hero.cluster_ttl_ms) == ((), INDIVIDUAL_TTL_MS, CLUSTER_TTL_MS)
    assert (hero.interest_share, hero.slots, hero.interest_slots, hero.shift) == (0.0, 1, (), None)
    allowed = [level for level in ("individual", "cluster", "segment", "global") if hero.allows(level)]
    assert allowed == ["segment", "global"]


@pytest.mark.parametrize("absent", [None, ...])
def test_null_is_as_good_as_nothing_where_a_whole_object_may_be_absent(absent: object) -> None:
    header = {} if absent is ... else {"interest": None, "intent": None, "phrases": None}
    hero: Record = {} if absent is ... else {"shift": None, "interest_slots": None}
    site = publish_hero(place(variant("a", condition=None, because=None), **hero), **header)
    assert (site.header.intent, site.header.phrases, site.header.interest) == (None, (), "")
    assert (site.touchpoint("hero").shift, site.touchpoint("hero").interest_slots) == (None, ())


def test_what_format_2_may_say_is_read() -> None:
    shift = {"features": ["x"], "weights": [[1.0], [2.0]], "covariances": [[[0.5]], [[0.0]]]}
    hero = place(
        variant("a", cap=0.5, interests=["coats"], because="it is warm", condition={"cold": True}),
        variant("b", floor=0.25),
        finest="individual",
        models=["m1"],
        individual_ttl_ms=1,
        cluster_ttl_ms=2,
        interest_share=0.25,
        slots=2,
        interest_slots=[1],
        shift=shift,
    )
    site = publish_hero(
        hero,
        has_profiles=True,
        interest="profile.topic",
        intent={"bias": -1, "weights": {"a": 2, "b=c": 3.5}},
        phrases={"a": "you did {value}"},
        segments=[{"name": "s", "condition": {}, "because": "you are here"}],
    )
    header, read = site.header, site.touchpoint("hero")
    assert (header.has_profiles, header.interest, header.segments[0].because) == (True, "profile.topic", "you are here")
    assert header.intent is not None
    assert (header.intent.bias, header.intent.names, header.intent.weights) == (-1.0, ("a", "b=c"), (2.0, 3.5))
    assert [(phrase.name, phrase.text) for phrase in header.phrases] == [("a", "you did {value}")]
    assert (read.variants[0].cap, read.variants[0].interests, read.variants[0].because) == (
        0.5,
        ("coats",),
        "it is warm",
    )
    assert (read.models, read.individual_ttl_ms, read.cluster_ttl_ms) == (("m1",), 1, 2)
    assert (read.interest_share, read.slots, read.interest_slots) == (0.25, 2, (1,))
    assert read.shift is not None
    assert (read.shift.names, read.shift.weights) == (("x",), ((1.0,), (2.0,)))
    assert read.shift.covariances == (((0.5,),), ((0.0,),))
    assert (read.is_targeted, read.is_tagged) == (True, True)
    assert (read.names, read.everyone, read.suffixes) == (("a", "b"), (0, 1), (b"a", b"b"))
    assert all(read.allows(level) for level in ("individual", "cluster", "segment", "global"))


REFUSED = "on the sensitive list, and decisions may not rest on it; publish again without it"
MANY = [f"f{i}" for i in range(MOST_FEATURES + 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interest": 5}, "interest: expected a string, got 5"),
        ({"interest": "profile.religion"}, f"interest: 'profile.religion' is {REFUSED}"),
        ({"intent": []}, "intent: expected an object, got a list"),
        ({"intent": {"weights": {}}}, "intent.bias: expected a number, got nothing"),
        ({"intent": {"bias": 0}}, "intent.weights: missing; expected an object"),
        (
            {"intent": {"bias": 1e7, "weights": {}}},
            "intent.bias: expected a number from -1e+06 to 1e+06, got 10000000.0",
        ),
        ({"intent": {"bias": 0, "weights": {"x": "y"}}}, "intent.weights.x: expected a number, got the text 'y'"),
        (
            {"intent": {"bias": 0, "weights": dict.fromkeys(MANY, 1)}},
            "intent.weights: 51 features; at most 50 are allowed",
        ),
        (
            {"intent": {"bias": 0, "weights": {"profile.householdIncome": 1}}},
            f"intent.weights: 'profile.householdIncome' is {REFUSED}",
        ),
        ({"phrases": "x"}, "phrases: expected an object, got the text 'x'"),
        ({"phrases": {"x": 1}}, "phrases.x: expected a string, got 1"),
        ({"phrases": {"x": "w" * 201}}, "phrases.x: 201 characters; at most 200 are allowed"),
        ({"phrases": {"profile.health=poor": "you are ill"}}, f"phrases: 'profile.health=poor' is {REFUSED}"),
        (
            {"phrases": {"session.preferences.topic=Pregnancy": "you are interested in {value}"}},
            f"phrases: 'session.preferences.topic=Pregnancy' is {REFUSED}",
        ),
        (
            {"intent": {"bias": 0, "weights": {"tier=disabled": 1}}},
            f"intent.weights: 'tier=disabled' is {REFUSED}",
        ),
        (
            {"segments": [{"name": "s", "condition": {"profile.income": {"$gt": 3}}}]},
            f"segments[0].condition: 'profile.income' is {REFUSED}",
        ),
        (
            {"segments": [{"name": "s", "condition": {"$or": [{"topic": {"$in": ["hats", "pregnancy"]}}]}}]},
            f"segments[0].condition: 'pregnancy' is {REFUSED}",
        ),
        ({"has_profiles": 1}, "has_profiles: expected true or false, got 1"),
        ({"segments": [{"name": "s", "condition": {}, "because": 1}]}, "segments[0].because: expected a string, got 1"),
    ],
)
def test_what_is_new_in_a_header_is_refused_with_its_place(change: Record, message: str) -> None:
    assert message_of(lambda: publish({}, **change)) == f"header.{message}"


def with_shift(**change: object) -> Record:
    return {"features": ["x"], "weights": [[1.0], [2.0]], "covariances": [[[0.5]], [[0.5]]], **change}


HERO = "touchpoint:hero"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finest": "person"}, "finest: expected one of individual, cluster, segment, global, got the text 'person'"),
        ({"finest": None}, "finest: expected a string, got nothing"),
        ({"models": "m1"}, "models: expected a list, got the text 'm1'"),
        ({"individual_ttl_ms": -1}, f"individual_ttl_ms: expected a whole number from 0 to {1 << 53}, got -1"),
        ({"cluster_ttl_ms": 0.5}, f"cluster_ttl_ms: expected a whole number from 0 to {1 << 53}, got 0.5"),
        ({"interest_share": 1.5}, "interest_share: expected a number from 0 to 1, got 1.5"),
        ({"slots": 0}, f"slots: expected a whole number from 1 to {MOST_SLOTS}, got 0"),
        ({"slots": MOST_SLOTS + 1}, f"slots: expected a whole number from 1 to {MOST_SLOTS}, got {MOST_SLOTS + 1}"),
        ({"slots": 3, "interest_slots": [3]}, "interest_slots[0]: expected a number from 0 to 2, got 3"),
        ({"slots": 3, "interest_slots": [0.5]}, "interest_slots: expected increasing whole positions, got a list"),
        ({"slots": 3, "interest_slots": [1, 0]}, "interest_slots: expected increasing whole positions, got a list"),
        ({"slots": 3, "interest_slots": [1, 1]}, "interest_slots: expected increasing whole positions, got a list"),
        ({"shift": []}, "shift: expected an object, got a list"),
        ({"shift": {}}, "shift.features: missing; expected a list"),
        ({"shift": with_shift(features=MANY)}, "shift.features: 51; at most 50 are allowed"),
        ({"shift": with_shift(features=["profile.gender=f"])}, f"shift.features: 'profile.gender=f' is {REFUSED}"),
        ({"shift": with_shift(features=["topic=pregnancy"])}, f"shift.features: 'topic=pregnancy' is {REFUSED}"),
        (
            {"variants": [variant("a", condition={"topic": "net worth"})]},
            f"variants[0].condition: 'net worth' is {REFUSED}",
        ),
        ({"shift": with_shift(weights=[[1.0]])}, "shift.weights: expected 2 rows, got 1"),
        ({"shift": with_shift(weights=[[1.0], [1.0, 2.0]])}, "shift.weights[1]: expected 1 numbers, got 2"),
        ({"shift": with_shift(weights=[[1.0], 7])}, "shift.weights[1]: expected a list, got 7"),
        ({"shift": with_shift(covariances=[[[0.5]]])}, "shift.covariances: expected one a variant (2), got 1"),
        (
            {"shift": with_shift(covariances=[[[0.5]], [[0.5], [0.5]]])},
            "shift.covariances[1].matrix: expected 1 rows, got 2",
        ),
        (
            {"shift": with_shift(covariances=[[[0.5]], [[-0.5]]])},
            "shift.covariances[1]: is not symmetric and positive semidefinite",
        ),
    ],
)
def test_what_is_new_in_a_touchpoint_is_refused_with_its_place(change: Record, message: str) -> None:
    assert message_of(lambda: publish_hero(place("a", "b", **change))) == f"{HERO}.{message}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cap": 1.5}, "cap: expected a number from 0 to 1, got 1.5"),
        ({"cap": 0.2, "floor": 0.3}, "floor: 0.3 is above the cap 0.2"),
        ({"interests": [1]}, "interests[0]: expected a string, got 1"),
        ({"because": 1}, "because: expected a string, got 1"),
        ({"because": "w" * 201}, "because: 201 characters; at most 200 are allowed"),
    ],
)
def test_what_is_new_in_a_variant_is_refused_with_its_place(change: Record, message: str) -> None:
    assert message_of(lambda: publish_hero(place("a", variant("b", **change)))) == f"{HERO}.variants[1].{message}"


@pytest.mark.parametrize(
    ("matrix", "is_one"),
    [
        ([[1.0, 0.5], [0.5, 1.0]], True),
        ([[1.0, 1.0], [1.0, 1.0]], True),  # of rank one
        ([[0.0, 0.0], [0.0, 1.0]], True),
        ([[0.0, 0.0], [0.0, 0.0]], True),
        ([[1.0, 0.5], [0.4, 1.0]], False),  # not symmetric
        ([[1.0, 2.0], [2.0, 1.0]], False),  # correlated beyond one
        ([[0.0, 0.5], [0.5, 1.0]], False),  # correlated without a variance
        ([[-1.0, 0.0], [0.0, 1.0]], False),
        ([[1e6, 0.0], [0.0, -1.0]], False),
        ([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]], True),
        ([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]], False),  # each pair could be, all three cannot
    ],
)
def test_the_uncertainty_of_weights_must_be_a_covariance(matrix: list[list[float]], is_one: bool) -> None:
    names = [f"f{i}" for i in range(len(matrix))]
    shift = {"features": names, "weights": [[0.0] * len(matrix)], "covariances": [matrix]}
    if is_one:
        assert publish_hero(place("a", shift=shift)).touchpoint("hero").shift is not None
    else:
        expected = f"{HERO}.shift.covariances[0]: is not symmetric and positive semidefinite"
        assert message_of(lambda: publish_hero(place("a", shift=shift))) == expected


def test_a_shift_by_no_features_is_one() -> None:
    shift = (
        publish_hero(place("a", shift={"features": [], "weights": [[]], "covariances": [[]]})).touchpoint("hero").shift
    )
    assert shift is not None
    assert shift.weights == ((),)


def test_a_cell_of_a_cluster_is_checked_like_any_other() -> None:
    cells = {"cluster:c1": {**cell([0.0, 0.0]), "means": [0.0]}}
    message = message_of(lambda: publish_hero(place("a", "b"), cells=cells))
    assert message == "cell:hero:cluster:c1.means: expected 2 numbers, got 1"


def test_there_are_no_cells_of_persons() -> None:
    message = message_of(lambda: publish_hero(place("a"), cells={"individual:u": cell([0.0])}))
    assert message == "cell:hero:individual:u: is neither a touchpoint nor a cell of one"
