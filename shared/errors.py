"""Every exception of the core.

UsherError
    InvalidValue      data that entered from outside does not have the required form; `path` says where
        InvalidSnapshot
        InvalidProfile
        InvalidEvent
        InvalidCondition
    Unsatisfiable     constraints that no distribution can meet
"""

from __future__ import annotations

from typing import Literal

# Why an event was refused, for programs.
Code = Literal[
    "not_an_object", "unknown_type", "missing", "wrong_type", "out_of_range", "too_long", "unplanned", "sensitive",
    "not_from_here", "too_old", "signature", "not_configured",
]  # fmt: skip


class UsherError(Exception):
    """Base of all errors raised by the core."""


class InvalidValue(UsherError):
    """A value from outside is not of the required form.

    `path` names the place (`touchpoints.hero.variants[2].floor`), `problem` says what is wrong and what is expected.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class InvalidSnapshot(InvalidValue):
    """A published snapshot cannot be read: damaged, or of a format this version does not know."""


class InvalidProfile(InvalidValue):
    """A published profile cannot be read: damaged, or of a format this version does not know."""


class InvalidEvent(InvalidValue):
    """An event is not of the schema; it belongs into quarantine with this reason and its `code`."""

    def __init__(self, path: str, problem: str, code: Code = "wrong_type") -> None:
        super().__init__(path, problem)
        self.code = code


class InvalidCondition(InvalidValue):
    """A targeting condition is not of the syntax."""


class Unsatisfiable(UsherError):
    """Constraints contradict each other; the message holds the arithmetic."""
