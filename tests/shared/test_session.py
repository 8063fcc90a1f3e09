"""What decisions read of a session: its attributes, and the live intent score."""

from __future__ import annotations

import math

import pytest

from shared.features import compile_feature
from shared.session import REFERRALS, Intent, Session, score_intent


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
        "away_days": 0,
        "referral": "direct",
        "preferences": {},
        "engaged_s": 0,
        "depth": 0,
        "pages_read": 0,
        "recent_categories": [],
        "bigrams": [],
        "top_category": "",
        "categories": {},
        "read": {},
        "interests": {},
        "earlier": {"views": 0, "engaged_s": 0, "pages_read": 0, "categories": {}, "read": {}},
    }


def test_the_attributes_name_categories_and_leave_out_what_is_zero() -> None:
    session = Session(
        started_ms=9,
        categories={"pricing": ("a", 2, 0, 6, 0, 0), "case-study": ("b", 1, 1, 6, 3, 1), "blog": ("c", 0, 0, 0, 5, 0)},
        recent="abab",
        earlier=(8, 340, 1),
    )
    attributes = session.to_attributes()
    assert attributes["recent_categories"] == ["pricing", "case-study", "pricing", "case-study"]
    assert attributes["bigrams"] == ["pricing>case-study", "case-study>pricing"]
    assert attributes["categories"] == {"pricing": 2, "case-study": 1}
    assert attributes["read"] == {"case-study": 1}
    assert attributes["interests"] == {"pricing": 6, "case-study": 6}
    assert attributes["top_category"] == "case-study"  # the one that was visited last
    assert attributes["earlier"] == {
        "views": 8,
        "engaged_s": 340,
        "pages_read": 1,
        "categories": {"case-study": 3, "blog": 5},
        "read": {"case-study": 1},
    }


def test_features_read_what_the_session_counts() -> None:
    session = Session(started_ms=9, categories={"case-study": ("a", 2, 1, 7, 3, 0)}, recent="aa")
    attributes = {"session": session.to_attributes()}
    for name, value in (
        ("session.categories.case-study", 2.0),
        ("session.read.case-study", 1.0),
        ("session.interests.case-study", 7.0),
        ("session.earlier.categories.case-study", 3.0),
        ("session.earlier.read.case-study", 0.0),
        ("session.categories.pricing", 0.0),
        ("session.recent_categories=case-study", 1.0),
        ("session.bigrams=case-study>case-study", 1.0),
        ("session.bigrams=case-study>pricing", 0.0),
        ("session.top_category=case-study", 1.0),
    ):
        assert compile_feature(name)(attributes) == value, name


def test_a_copy_is_equal_and_another() -> None:
    session = Session(
        1, 2, 3, 4, "email", {"topic": "hats"}, 5, 6, 7, 8, {"a": ("a", 1, 0, 4, 0, 0)}, "a", "", (1, 2, 3)
    )
    copy = session.copy()
    assert copy == session
    copy.views = 9
    assert session.views == 3


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


def test_the_sources_of_a_session_are_the_documented_ones() -> None:
    assert REFERRALS == ("direct", "search", "social", "email", "campaign", "other")
