"""Cookies as a request's header holds them: Usher's own, and two of the client script's, which nobody trusts."""

from __future__ import annotations

import re
from typing import Final

from shared.events import Plan
from shared.session import Left

# The visitor, signed; written by the edge only.
COOKIE: Final = "__Host-usher"
# What the visitor declared: `question:answer`, parted by dots.
PREFERENCES_COOKIE: Final = "usher-said"
MOST_PREFERENCES: Final = 3
# What became of the last pages: `page view.depth.engaged seconds`, parted by `~`.
LEFT_COOKIE: Final = "usher-left"
MOST_LEFT: Final = 3
# All that Usher keeps in a browser: no upstream sees them, and who has refused loses them.
OURS: Final = (COOKIE, PREFERENCES_COOKIE, LEFT_COOKIE)

_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_LEFT: Final = re.compile(r"([A-Za-z0-9_-]{1,100})\.([0-9]{1,3})\.([0-9]{1,7})", re.ASCII)


def read_cookie(header: str | None, name: str) -> str | None:
    """Return the value of a cookie in a Cookie header, or None."""
    if not header:
        return None
    for part in header.split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value
    return None


def read_preferences(header: str | None, plan: Plan) -> tuple[dict[str, str] | None, bool]:
    """Return what the visitor declared, answer by question, and whether something was refused: taken are answers that
    the plan knows, three at most, of letters, digits, `_` and `-`. None where the client has left nothing, which says
    nothing about what was declared before."""
    said = read_cookie(header, PREFERENCES_COOKIE)
    if said is None:
        return None, False
    declared: dict[str, str] = {}
    is_refused = False
    for pair in filter(None, said.split(".")):
        question, _, answer = pair.partition(":")
        is_word = _WORD.fullmatch(question) and _WORD.fullmatch(answer)
        if is_word and len(declared) < MOST_PREFERENCES and plan.knows_answer(question, answer):
            declared[question] = answer
        else:
            is_refused = True
    return declared, is_refused


def read_left(header: str | None) -> list[Left]:
    """Return what the client has left of the last pages, three at most; what is not of the form is passed over."""
    left = read_cookie(header, LEFT_COOKIE)
    found = [_LEFT.fullmatch(each) for each in left.split("~")[:MOST_LEFT]] if left else []
    return [Left(each[1], int(each[2]), int(each[3])) for each in found if each is not None]


def without_cookie(header: str, name: str) -> str:
    """Return a Cookie header without one cookie; empty where no other is left."""
    kept = [part.strip() for part in header.split(";") if part.strip().partition("=")[0] != name]
    return "; ".join(part for part in kept if part)


def without_ours(header: str) -> str:
    """Return a Cookie header without the cookies that are Usher's own business."""
    for name in OURS:
        if name in header:
            header = without_cookie(header, name)
    return header
