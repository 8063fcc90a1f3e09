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
    """An event is not of the schema; it belongs into quarantine with this reason."""


class InvalidCondition(InvalidValue):
    """A targeting condition is not of the syntax."""


class Unsatisfiable(UsherError):
    """Constraints contradict each other; the message holds the arithmetic."""
