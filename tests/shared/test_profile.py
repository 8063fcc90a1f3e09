from __future__ import annotations

import json
import math

import pytest

from shared.errors import InvalidProfile
from shared.policy import live_probabilities
from shared.profile import FORMAT, PROFILE_KEY, Draw, Profile, ProfileHeader, write_profile

Record = dict[str, object]

HEADER: Record = {"unit": "u-1", "version": "p1", "computed_ms": 9, "cluster": "c7", "attributes": {"orders": 3}}
SCORES: dict[tuple[str, str], Record] = {
    ("hero", "m1"): {"means": [-3.0, 0.1 + 0.2], "sds": [0.5, 1e-12]},
    ("hero", "m2"): {"means": [1.0, 2.0], "sds": [1.0, 1.0]},
    ("banner", "m1"): {"means": [0.0], "sds": [1.0]},
}

DRAW: Record = {
    "touchpoint": "hero", "epoch": "week 9", "excluded": ["late"], "variants": ["craft"], "propensities": [0.1 + 0.2],
    "level": "segment", "cell": "vip", "snapshot": "v1", "randomised": False, "is_slate": False,
}  # fmt: skip


def text_of(**header: object) -> str:
    return json.dumps({"format": FORMAT, **HEADER, **header})


def test_what_was_written_is_read_to_the_last_bit() -> None:
    profile = Profile.from_text(write_profile(HEADER, SCORES))
    assert profile.header == ProfileHeader(
        unit="u-1", version="p1", computed_ms=9, cluster="c7", attributes={"orders": 3}, several_devices=False, draws=()
    )
    scores = profile.scores("hero", ("m1",), 2)
    assert scores is not None
    assert (scores.means, scores.sds) == ((-3.0, 0.30000000000000004), (0.5, 1e-12))
    assert (scores.level, scores.name) == ("individual", "")


def test_the_probabilities_that_a_page_would_integrate_go_along_to_the_last_bit() -> None:
    means, sds = [0.0, 0.3, 0.1], [1.0, 0.5, 0.7]
    text = write_profile(HEADER, {("hero", "m1"): {"means": means, "sds": sds}})
    scores = Profile.from_text(text).scores("hero", ("m1",), 3)
    assert scores is not None
    assert scores.probabilities == tuple(live_probabilities(means, sds))
    again = write_profile(HEADER, {("hero", "m1"): json.loads(text.splitlines()[1].split("\t")[2])})
    assert again == text


def test_a_profile_without_probabilities_is_read_as_well() -> None:
    scores = Profile.from_text(f'{text_of()}\n\nhero\tm1\t{{"means":[0],"sds":[1]}}').scores("hero", ("m1",), 1)
    assert scores is not None
    assert (scores.means, scores.probabilities) == ((0.0,), ())


def test_the_profile_of_several_devices_brings_along_what_was_drawn() -> None:
    slate = {**DRAW, "variants": ["a", "b"], "propensities": [0.5, 1], "randomised": True, "is_slate": True}
    text = write_profile({**HEADER, "several_devices": True, "draws": [DRAW, slate]}, SCORES)
    header = Profile.from_text(text).header
    assert header.several_devices
    assert header.draws == (
        Draw("hero", "week 9", ("late",), ("craft",), (0.30000000000000004,), "segment", "vip", "v1", False, False),
        Draw("hero", "week 9", ("late",), ("a", "b"), (0.5, 1.0), "segment", "vip", "v1", True, True),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": []}, "header.draws[1].variants: is empty"),
        ({"variants": [7]}, "header.draws[1].variants[0]: expected a string, got 7"),
        ({"propensities": []}, "header.draws[1].propensities: expected 1 numbers, got 0"),
        ({"propensities": [2]}, "header.draws[1].propensities[0]: expected a number from 0 to 1, got 2"),
        ({"level": "none"}, "header.draws[1].level: expected one of individual, cluster, segment, global, got "
                            "the text 'none'"),
        ({"excluded": "late"}, "header.draws[1].excluded: expected a list, got the text 'late'"),
        ({"touchpoint": None}, "header.draws[1].touchpoint: expected a string, got nothing"),
        ({"epoch": "e" * 201}, "header.draws[1].epoch: 201 characters; at most 200 are allowed"),
        ({"cell": 1}, "header.draws[1].cell: expected a string, got 1"),
        ({"snapshot": []}, "header.draws[1].snapshot: expected a string, got a list"),
        ({"randomised": 1}, "header.draws[1].randomised: expected true or false, got 1"),
        ({"is_slate": None}, "header.draws[1].is_slate: expected true or false, got nothing"),
    ],
)  # fmt: skip
def test_a_draw_not_of_the_form_is_refused_with_its_place(change: Record, message: str) -> None:
    with pytest.raises(InvalidProfile) as raised:
        Profile.from_text(text_of(several_devices=True, draws=[DRAW, {**DRAW, **change}]))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("models", "mean"), [(("m1",), -3.0), (("m2", "m1"), 1.0), (("m9", "m1"), -3.0), (("m9",), None), ((), None)]
)
def test_the_scores_of_the_first_accepted_model_are_taken(models: tuple[str, ...], mean: float | None) -> None:
    scores = Profile.from_text(write_profile(HEADER, SCORES)).scores("hero", models, 2)
    assert (scores.means[0] if scores is not None else None) == mean


def test_a_touchpoint_without_scores_has_none() -> None:
    assert Profile.from_text(write_profile(HEADER, SCORES)).scores("gone", ("m1",), 2) is None
    assert Profile.from_text(text_of()).scores("hero", ("m1",), 2) is None


def test_a_damaged_line_is_found_only_when_it_is_asked_for() -> None:
    profile = Profile.from_text(write_profile(HEADER, SCORES).replace("[1.0,2.0]", "[1.0,2.0"))
    assert profile.scores("hero", ("m1",), 2) is not None
    with pytest.raises(InvalidProfile, match=r"^hero\.m2: is not JSON \("):
        profile.scores("hero", ("m2",), 2)


@pytest.mark.parametrize(
    ("record", "count", "message"),
    [
        ({"means": [0.0], "sds": [1.0]}, 2, "hero.m1.means: expected 2 numbers, got 1"),
        ({"means": [0.0, 1.0], "sds": [1.0]}, 2, "hero.m1.sds: expected 2 numbers, got 1"),
        ({"means": [2e6], "sds": [1.0]}, 1, "hero.m1.means[0]: expected a number from -1e+06 to 1e+06, got 2000000.0"),
        ({"means": [0.0], "sds": [0.0]}, 1, "hero.m1.sds[0]: expected a number from 1e-12 to 1e+06, got 0.0"),
        ({"means": [0.0], "sds": [None]}, 1, "hero.m1.sds[0]: expected a number, got nothing"),
        ({"means": [0.0], "sds": [1.0], "probabilities": []}, 1, "hero.m1.probabilities: expected 1 numbers, got 0"),
        ({"means": [0.0], "sds": [1.0], "probabilities": [0.9]}, 1, "hero.m1.probabilities: sum to 0.9, not to 1"),
        ([], 1, "hero.m1: expected an object, got a list"),
    ],
)
def test_scores_not_of_the_form_are_refused_with_their_place(record: object, count: int, message: str) -> None:
    profile = Profile.from_text(f"{text_of()}\nhero\tm1\t{json.dumps(record)}\n")
    with pytest.raises(InvalidProfile) as raised:
        profile.scores("hero", ("m1",), count)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "header.format: this version reads format 1, got 2"),
        ({"format": True}, "header.format: this version reads format 1, got True"),
        ({"format": None}, "header.format: this version reads format 1, got None"),
        ({"unit": 7}, "header.unit: expected a string, got 7"),
        ({"unit": "u" * 201}, "header.unit: 201 characters; at most 200 are allowed"),
        ({"version": None}, "header.version: expected a string, got nothing"),
        ({"computed_ms": -1}, f"header.computed_ms: expected a whole number from 0 to {1 << 53}, got -1"),
        ({"computed_ms": 1.5}, f"header.computed_ms: expected a whole number from 0 to {1 << 53}, got 1.5"),
        ({"cluster": None}, "header.cluster: expected a string, got nothing"),
        ({"attributes": []}, "header.attributes: expected an object, got a list"),
        ({"several_devices": 1}, "header.several_devices: expected true or false, got 1"),
        ({"draws": {}}, "header.draws: expected a list, got an object"),
        ({"draws": ["hero"]}, "header.draws[0]: expected an object, got the text 'hero'"),
    ],
)
def test_a_header_not_of_the_form_is_refused_with_its_place(change: Record, message: str) -> None:
    with pytest.raises(InvalidProfile) as raised:
        Profile.from_text(text_of(**change))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "header: expected an object, got a list"),
        ("{}", "header.format: this version reads format 1, got None"),
        (f"{text_of()}\njunk", "scores: a line without touchpoint and model: 'junk'"),
        (f"{text_of()}\nhero\t{{}}", "scores: a line without touchpoint and model: 'hero\\t{}'"),
        (f"{text_of()}\n{'x' * 99}", f"scores: a line without touchpoint and model: {'x' * 40!r}"),
    ],
)
def test_what_is_no_profile_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidProfile) as raised:
        Profile.from_text(text)
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["", "\n", "not json", '{"format":1', "[" * 100_000, '{"format":NaN}', "9" * 5_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidProfile, match=r"^header: is not JSON \("):
        Profile.from_text(text)


def test_not_a_number_is_never_written() -> None:
    with pytest.raises(InvalidProfile, match="cannot be written as JSON"):
        write_profile({**HEADER, "attributes": {"spend": math.nan}}, {})
    with pytest.raises(InvalidProfile, match=r"^hero\.m1\.means\[0\]: expected a number"):
        write_profile(HEADER, {("hero", "m1"): {"means": [math.inf], "sds": [1.0]}})


@pytest.mark.parametrize(
    "record",
    [{"means": [0.0], "sds": []}, {"means": "many", "sds": [1.0]}, {"sds": [1.0]}, {"means": [0.0], "sds": [-1.0]}],
)
def test_what_a_reader_would_refuse_is_never_written(record: Record) -> None:
    with pytest.raises(InvalidProfile, match=r"^hero\.m1\."):
        write_profile(HEADER, {("hero", "m1"): record})


def test_a_profile_that_lacks_a_field_is_never_written() -> None:
    with pytest.raises(InvalidProfile, match=r"^header\.unit: missing"):
        write_profile({key: value for key, value in HEADER.items() if key != "unit"}, {})


def test_the_key_of_a_profile_ends_with_its_unit() -> None:
    assert PROFILE_KEY == "profile:"
