from __future__ import annotations

import pytest

from shared.errors import (
    InvalidCondition,
    InvalidEvent,
    InvalidProfile,
    InvalidSnapshot,
    InvalidValue,
    Unsatisfiable,
    UsherError,
)


@pytest.mark.parametrize("kind", [InvalidValue, InvalidSnapshot, InvalidProfile, InvalidEvent, InvalidCondition])
def test_a_value_that_is_invalid_says_where_and_what(kind: type[InvalidValue]) -> None:
    error = kind("touchpoints.hero.floor", "is too high")
    assert (error.path, error.problem) == ("touchpoints.hero.floor", "is too high")
    assert str(error) == "touchpoints.hero.floor: is too high"


def test_an_invalid_document_has_no_path_before_its_problem() -> None:
    assert str(InvalidEvent("", "expected an object")) == "expected an object"


@pytest.mark.parametrize(
    "kind", [InvalidValue, InvalidSnapshot, InvalidProfile, InvalidEvent, InvalidCondition, Unsatisfiable]
)
def test_every_error_of_the_core_is_caught_by_one_name(kind: type[UsherError]) -> None:
    assert issubclass(kind, UsherError)
    assert not issubclass(UsherError, ValueError)
