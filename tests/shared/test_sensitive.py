from __future__ import annotations

import pytest

from shared.sensitive import SENSITIVE, SENSITIVE_PAIRS, find_sensitive, is_sensitive


@pytest.mark.parametrize(
    "name",
    [
        "health", "profile.health", "profile.Health", "HEALTH", "householdIncome", "household_income", "HTTPGender",
        "session.preferences.religion", "is-pregnant", "user.creditScore", "credit_rating", "trade union", "skinColor",
        "profile.net.worth", "sexualOrientation", "dna2", "race",
    ],
)  # fmt: skip
def test_a_name_with_a_sensitive_word_is_refused_however_it_is_written(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "device", "session.views", "profile.orders", "plan", "credit", "creditCard", "score", "union", "homepage",
        "essex", "raceway", "trace", "brace", "sextant", "healthily", "score.credit", "worth",
    ],
)  # fmt: skip
def test_harmless_names_are_not_mistaken(name: str) -> None:
    assert not is_sensitive(name)


def test_every_word_of_the_list_is_found_by_itself() -> None:
    assert len(SENSITIVE) > 80
    assert all(is_sensitive(word) and is_sensitive(word.capitalize()) for word in SENSITIVE)
    assert all(is_sensitive(f"{first}_{second}") for first, second in SENSITIVE_PAIRS)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("profile.income", "profile.income"),
        ("profile.orders", None),
        (3, None),
        (None, None),
        ({"profile.health": 3}, "profile.health"),
        ({"topic": {"$in": ["hats", "Pregnancy", "hiv"]}}, "Pregnancy"),
        ({"$or": ({"a": 1}, {"b": {"$not": {"$regex": "^gay"}}})}, "^gay"),
        ({"topic": ["hats", None, {}, True]}, None),
    ],
)
def test_the_first_sensitive_name_or_text_within_data_is_found(data: object, found: str | None) -> None:
    assert find_sensitive(data) == found
