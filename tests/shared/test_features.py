from __future__ import annotations

import math

import pytest

from shared.features import LARGEST, compile_feature, find_attribute, read_features

ATTRIBUTES: dict[str, object] = {
    "device": "mobile",
    "session": {"views": 3, "preferences": {"topic": "coats"}, "categories": ["coats", "hats"], "intent": 0.25},
    "profile": {"loyal": True, "lapsed": False, "spend": -2.5, "pair": ("coats", "socks"), "odd": "a=b"},
    "huge": 10**400,
    "least": -(10**400),
    "nan": math.nan,
    "infinite": math.inf,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device", "mobile"),
        ("session.views", 3),
        ("session.preferences.topic", "coats"),
        ("session.gone.topic", None),
        ("device.length", None),
        ("", None),
        ("session.", None),
        ("session", ATTRIBUTES["session"]),
    ],
)
def test_an_attribute_is_found_step_by_step(path: str, value: object) -> None:
    assert find_attribute(ATTRIBUTES, path) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session.views", 3.0),
        ("session.intent", 0.25),
        ("profile.spend", -2.5),
        ("profile.loyal", 1.0),
        ("profile.lapsed", 0.0),
        ("device", 0.0),
        ("session.categories", 0.0),
        ("session", 0.0),
        ("gone", 0.0),
        ("nan", 0.0),
        ("huge", LARGEST),
        ("least", -LARGEST),
        ("infinite", LARGEST),
    ],
)
def test_a_number_counts_as_it_is_and_all_else_as_zero(name: str, value: float) -> None:
    got = compile_feature(name)(ATTRIBUTES)
    assert got == value
    assert type(got) is float


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device=mobile", 1.0),
        ("device=mob", 0.0),
        ("device=", 0.0),
        ("session.preferences.topic=coats", 1.0),
        ("session.categories=hats", 1.0),
        ("session.categories=socks", 0.0),
        ("profile.pair=socks", 1.0),
        ("session.views=3", 0.0),
        ("profile.odd=a=b", 1.0),
        ("gone=mobile", 0.0),
    ],
)
def test_an_indicator_is_one_where_the_attribute_is_or_holds_the_text(name: str, value: float) -> None:
    assert compile_feature(name)(ATTRIBUTES) == value


def test_features_are_read_in_their_order() -> None:
    features = [compile_feature(name) for name in ("b", "a", "c=x")]
    assert read_features(features, {"a": 1, "b": 2, "c": "x"}) == (2.0, 1.0, 1.0)
    assert read_features([], {}) == ()
