"""Whatever is published or sent: a typed error, or a decision; never another exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decision import decide, preview
from shared.errors import InvalidProfile, InvalidSnapshot, InvalidValue
from shared.events import Exposures
from shared.profile import Profile, write_profile
from shared.reasons import REASONS
from shared.situation import situate
from shared.snapshot import Pointer, Snapshot, write_snapshot
from tests.asking import NOW_MS, SESSION, Record, Records, cell, place, profile_of, variant
from tests.property.documents import Json

CONTEXT = {"device": "mobile", "plan": "gold", "topic": "coats"}
SHIFT = {
    "features": ["session.views", "device=mobile"],
    "weights": [[0.1, 0.2]] * 3,
    "covariances": [[[0.1, 0.0], [0.0, 0.1]]] * 3,
}
RICH: Record = place(
    variant("a", cap=0.9, interests=["coats"], because="it is warm"),
    variant("b", floor=0.1, condition={"session.views": {"$lt": 9}}),
    variant("c", html="<b>c</b>", interests=["shoes"]),
    finest="individual",
    models=["m1"],
    interest_share=0.2,
    slots=2,
    interest_slots=[1],
    shift=SHIFT,
)
RECORDS: Records = {
    "touchpoint:hero": RICH,
    "cell:hero:global:": cell([0.0, 0.5, 1.0]),
    "cell:hero:segment:gold": cell([0.0, 0.0, 0.0]),
    "cell:hero:cluster:c1": cell([1.0, 0.0, 0.0]),
}
HEADER: Record = {
    "version": "v1",
    "site": "shop",
    "created_ms": 0,
    "holdout_share": 0.1,
    "segments": [{"name": "gold", "condition": {"plan": "gold"}, "because": "you are gold"}],
    "attributes": [{"attribute": "plan", "source": "query", "name": "p"}],
    "goals": ["order"],
    "pages": {"hero": ["/"]},
    "interest": "topic",
    "intent": {"bias": -1.0, "weights": {"session.views": 0.5}},
    "phrases": {"session.views": "you saw {value} pages"},
    "has_profiles": True,
}
SNAPSHOT = write_snapshot(HEADER, RECORDS)
PROFILE_HEADER: Record = {
    "unit": "u-1",
    "version": "p1",
    "computed_ms": NOW_MS,
    "cluster": "c1",
    "attributes": {"orders": 3},
    "several_devices": True,
    "draws": [
        {
            "touchpoint": "hero",
            "epoch": "forever",
            "excluded": [],
            "variants": ["a"],
            "propensities": [0.5],
            "level": "global",
            "cell": "",
            "snapshot": "v1",
        }
    ],
}
PROFILE = write_profile(PROFILE_HEADER, {("hero", "m1"): {"means": [0.0, 1.0, 2.0], "sds": [1.0, 1.0, 0.5]}})
POINTER = Pointer(version="v1", published_ms=1, confirmed_ms=2).to_text()
KNOWN = Profile.from_text(PROFILE)
SITE = Snapshot.from_text(SNAPSHOT)
SPLICES = st.text(max_size=4) | st.sampled_from(
    [
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1",
        "9" * 5_000,
        '"x"',
        "[]",
        "{}",
        "\n",
        "\t",
        "true",
        "[" * 300,
    ]
)


def decide_all(snapshot: Snapshot, profile: Profile | None) -> None:
    """Decide, preview and log whatever a snapshot holds; only a damaged record may be refused."""
    for unit in ("u-1", "u-2", "u-3"):
        situation = situate(unit, snapshot, profile, SESSION, CONTEXT, NOW_MS)
        for name in {*snapshot.header.pages, "hero"}:
            try:
                decision = decide(name, situation)
                assert decision.reason in REASONS
                assert 0.0 < decision.propensity <= 1.0
                assert preview(name, 0, situation).propensity == 1.0
                for i in snapshot.touchpoint(name).everyone:
                    (snapshot.html(name, i) or "").encode()
            except InvalidSnapshot as error:
                assert str(error)
                continue
            except KeyError:
                assert name not in snapshot._touchpoints
                assert f"touchpoint:{name}" not in snapshot._lines
                continue
            exposures = Exposures(
                page_view="p", visitor="v", at_ms=0, url_path="/", user_agent="", is_shown=True, segments=(),
                context=CONTEXT, session={},
            )  # fmt: skip
            json.dumps([exposures.common(), exposures.own(decision)], allow_nan=False)


def is_a_snapshot(text: str) -> bool:
    try:
        snapshot = Snapshot.from_text(text)
    except InvalidSnapshot as error:
        assert str(error)
        return False
    decide_all(snapshot, KNOWN)
    return True


def is_a_profile(text: str) -> bool:
    try:
        profile = Profile.from_text(text)
    except InvalidProfile as error:
        assert str(error)
        return False
    decide_all(SITE, profile)
    return True


def is_a_pointer(text: str) -> bool:
    try:
        pointer = Pointer.from_text(text)
    except InvalidSnapshot as error:
        assert str(error)
        return False
    assert Pointer.from_text(pointer.to_text()) == pointer
    return True


# As an older version wrote it.
OLDER: str = json.loads((Path(__file__).parents[1] / "vectors" / "older.json").read_text())["snapshot"]
PUBLISHED = [(is_a_snapshot, SNAPSHOT), (is_a_snapshot, OLDER), (is_a_profile, PROFILE), (is_a_pointer, POINTER)]
Reads = Callable[[str], bool]


@pytest.mark.parametrize(("reads", "text"), PUBLISHED)
def test_what_is_published_is_read(reads: Reads, text: str) -> None:
    assert reads(text)


@pytest.mark.parametrize(("reads", "text"), PUBLISHED)
def test_what_is_cut_off_anywhere_is_refused_or_still_decides(reads: Reads, text: str) -> None:
    read = [reads(text[:length]) for length in range(len(text))]
    assert not any(read[: len(text.splitlines()[0])])  # never without the end of the first line


@settings(max_examples=300)
@given(st.data())
@pytest.mark.parametrize(("reads", "text"), PUBLISHED)
def test_any_cut_and_any_insertion_is_refused_or_still_decides(reads: Reads, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)) | st.just(len(text)))
    reads(text[:start] + data.draw(SPLICES) + text[end:])


@settings(max_examples=200)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for reads, _ in PUBLISHED:
        reads(text)


@settings(max_examples=200)
@given(Json, st.lists(st.tuples(st.text(max_size=20) | st.sampled_from([*RECORDS, "hero\tm1"]), Json), max_size=4))
def test_any_json_lines_are_read_or_refused(header: object, records: list[tuple[str, object]]) -> None:
    text = "\n".join([json.dumps(header), *(f"{key}\t{json.dumps(record)}" for key, record in records)])
    for reads, _ in PUBLISHED:
        reads(text)


def places_in(value: object) -> list[tuple[str | int, ...]]:
    """The paths of all values inside a JSON document."""
    found: list[tuple[str | int, ...]] = [()]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += [(key, *rest) for rest in places_in(each)]
    return found


def replaced(value: object, path: tuple[str | int, ...], new: object) -> object:
    if not path:
        return new
    first, *rest = path
    if isinstance(value, dict):
        return {key: replaced(each, tuple(rest), new) if key == first else each for key, each in value.items()}
    assert isinstance(value, list)
    return [replaced(each, tuple(rest), new) if i == first else each for i, each in enumerate(value)]


HOSTILE = Json | st.sampled_from(
    [1e6, -1e6, 1e-12, 10**400, -(10**400), 1 << 60, 0.0, -0.0, "", "a" * 300, [], {}, [[]]]
)


@settings(max_examples=500)
@given(st.data())
@pytest.mark.parametrize(("reads", "text"), PUBLISHED)
def test_any_value_at_any_depth_replaced_is_refused_or_still_decides(
    reads: Reads, text: str, data: st.DataObject
) -> None:
    lines = text.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    parts = lines[at].split("\t")
    k = data.draw(st.sampled_from([k for k, part in enumerate(parts) if part == "null" or part[0] in '{"']))
    document = json.loads(parts[k])
    parts[k] = json.dumps(replaced(document, data.draw(st.sampled_from(places_in(document))), data.draw(HOSTILE)))
    lines[at] = "\t".join(parts)
    reads("\n".join(lines))


@pytest.mark.parametrize("version", [0, 1, 4, 99, -1, None, True, "3", [3], 2.5])
def test_another_format_is_refused_by_name(version: object) -> None:
    header = json.loads(SNAPSHOT.splitlines()[0])
    text = SNAPSHOT.replace(SNAPSHOT.splitlines()[0], json.dumps({**header, "format": version}))
    with pytest.raises(InvalidSnapshot, match=r"^header\.format: this version reads format 3, and 2 before it; got "):
        Snapshot.from_text(text)
    if version != 1 or version is True:
        known = json.loads(PROFILE.splitlines()[0])
        with pytest.raises(InvalidProfile, match=r"^header\.format: this version reads format 1, got "):
            Profile.from_text(json.dumps({**known, "format": version}))


@pytest.mark.parametrize(("reads", "text"), PUBLISHED[:2])
def test_lines_that_stand_there_twice_are_refused_or_still_decide(reads: Reads, text: str) -> None:
    lines = text.splitlines()
    for line in lines[1:]:
        assert reads("\n".join([*lines, line])) is (reads is is_a_profile)
    reads("\n".join([lines[0], *lines]))


@pytest.mark.parametrize("depth", [50, 101, 1_000, 100_000])
@pytest.mark.parametrize("bracket", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_anywhere_is_refused_or_still_decides(depth: int, bracket: str) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[bracket]
    deep = bracket * depth + "1" + closing * depth
    for reads, text in PUBLISHED:
        for line in text.splitlines():
            key, tab, record = line.rpartition("\t")
            reads(text.replace(line, f"{key}{tab}{deep}"))
            field = record.partition(":")[0]
            reads(text.replace(line, f"{key}{tab}{field}:{deep}}}"))


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["plan", "session", "profile", "topic", "device"]), Json))
def test_any_context_and_any_profile_attributes_decide(attributes: dict[str, object]) -> None:
    written = json.loads(json.dumps(attributes, default=str).replace("NaN", "0").replace("Infinity", "1"))
    profile = profile_of(attributes=written, cluster="c1")
    assert decide("hero", situate("u-1", SITE, profile, SESSION, attributes, NOW_MS)).propensity > 0.0


def test_typed_errors_are_of_one_family() -> None:
    assert issubclass(InvalidSnapshot, InvalidValue)
    assert issubclass(InvalidProfile, InvalidValue)
    assert not issubclass(InvalidProfile, InvalidSnapshot)
