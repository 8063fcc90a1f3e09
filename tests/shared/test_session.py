from __future__ import annotations

import math

import pytest

from shared.features import compile_feature
from shared.session import REFERRALS, Intent, Session, read_features, score_intent


def intent(bias: float, **weights: float) -> Intent:
    return Intent(
        bias=bias,
        names=tuple(weights),
        features=tuple(compile_feature(name) for name in weights),
        weights=tuple(weights.values()),
    )


def test_a_session_begins_with_one_direct_view_of_a_first_visit() -> None:
    assert Session(started_ms=9).to_attributes() == {
        "started_ms": 9,
        "views": 1,
        "visits": 1,
        "referral": "direct",
        "preferences": {},
    }


def test_sessions_do_not_share_their_preferences() -> None:
    assert Session(started_ms=1).preferences is not Session(started_ms=1).preferences


def test_without_weights_the_intent_is_zero() -> None:
    assert score_intent(None, {"views": 100}) == 0.0


@pytest.mark.parametrize(
    ("attributes", "log_odds"),
    [({}, -1.0), ({"views": 3}, 0.5), ({"views": 3, "age": 2}, -3.5), ({"views": "many"}, -1.0)],
)
def test_the_intent_is_a_logistic_of_a_sum(attributes: dict[str, object], log_odds: float) -> None:
    score = score_intent(intent(-1.0, views=0.5, age=-2.0), attributes)
    assert score == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-14)


@pytest.mark.parametrize(("weight", "score"), [(1e6, 1.0), (-1e6, 0.0)])
def test_an_extreme_intent_is_all_or_nothing(weight: float, score: float) -> None:
    assert score_intent(intent(0.0, views=weight), {"views": 1e9}) == pytest.approx(score, abs=1e-17)


def test_features_are_read_in_their_order() -> None:
    features = [compile_feature(name) for name in ("b", "a", "c=x")]
    assert read_features(features, {"a": 1, "b": 2, "c": "x"}) == (2.0, 1.0, 1.0)
    assert read_features([], {}) == ()


def test_the_sources_of_a_session_are_the_documented_ones() -> None:
    assert REFERRALS == ("direct", "search", "social", "email", "campaign", "other")
