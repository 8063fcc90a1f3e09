"""What the intake answers: a status, a body for programs and people, and what the sender should do instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# The header of an answer after which sending the same batch again is of no use. By it alone the browser's script
# forgets what it has kept: what answers in the intake's place (a firewall, a login, a missing route) does not have it.
DONE: Final = ("usher", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: its status, its JSON body (None: without one), headers of its own by their names, and the reason that
    is to be counted (None: there is nothing to count)."""

    status: int
    body: Mapping[str, object] | None
    headers: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    def text(self) -> str:
        """The body as it is sent."""
        return "" if self.body is None else json.dumps(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that is refused as a whole: HTTP status, a code for programs, what to do instead, after how many
    seconds it may go better (None: not by waiting), and whether the same would be refused whenever it came again."""

    status: int
    code: str
    remedy: str
    retry_after_s: int | None = None
    is_final: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    def to_answer(self) -> Answer:
        """The refusal as it is answered."""
        wait = () if self.retry_after_s is None else (("retry-after", str(self.retry_after_s)),)
        done = (DONE,) if self.is_final else ()
        body = {"error": self.code, "remedy": self.remedy}
        return Answer(status=self.status, body=body, headers=(*wait, *done, *self.headers))
