"""Who is asking: the first-party visitor id and the session, in one signed cookie."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.decision import Decision, Frozen, freeze
from shared.posterior import LEVELS
from shared.session import Session
from shared.signing import Keys, sign, verify

COOKIE: Final = "__Host-usher"
VERSION: Final = "2"
PURPOSE: Final = "visitor"
SESSION_IDLE_MS: Final = 30 * 60_000
# Browsers keep cookies of up to 4,096 bytes, name and attributes included; decisions beyond that are made anew.
MAX_FROZEN: Final = 3_600
MOST_COUNTED: Final = 1_000_000
MAX_AGE_S: Final = 400 * 86_400  # the longest that browsers keep a cookie
# What stands before the frozen decisions: version, id, unit, four numbers, referral, and the snapshots they came from.
FIXED: Final = 9
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_LEVELS: Final = {level[0]: level for level in LEVELS}
# Where the visitor's browser keeps what was declared, `question:answer` parted by dots; written by the client script.
PREFERENCES_COOKIE: Final = "usher-said"
MOST_PREFERENCES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One browser: its id and the unit its decisions are made for; the current session's start and last view (ms), its
    number among the visitor's, its pages and where it came from; and the decisions that are frozen."""

    id: str
    unit: str
    session_ms: int
    seen_ms: int
    visits: int = 1
    views: int = 1
    referral: str = "direct"
    frozen: tuple[Frozen, ...] = ()

    def as_session(self, preferences: Mapping[str, str]) -> Session:
        """The session that decisions read."""
        return Session(
            started_ms=self.session_ms,
            views=self.views,
            visits=self.visits,
            referral=self.referral,
            preferences=preferences,
        )


def read_cookie(header: str | None, name: str) -> str | None:
    """Return the value of a cookie in a Cookie header, or None."""
    if not header:
        return None
    for part in header.split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value
    return None


def read_preferences(header: str | None) -> dict[str, str]:
    """Return what the visitor declared, answer by question: at most three, of letters, digits, `_` and `-`."""
    said = read_cookie(header, PREFERENCES_COOKIE)
    pairs = [pair.partition(":") for pair in said.split(".")[:MOST_PREFERENCES]] if said else []
    return {question: answer for question, _, answer in pairs if _WORD.fullmatch(question) and _WORD.fullmatch(answer)}


def without_cookie(header: str, name: str) -> str:
    """Return a Cookie header without one cookie; empty where no other is left."""
    kept = [part.strip() for part in header.split(";") if part.strip().partition("=")[0] != name]
    return "; ".join(part for part in kept if part)


def without_ours(header: str) -> str:
    """Return a Cookie header without the cookies that are Usher's own business."""
    if COOKIE not in header and PREFERENCES_COOKIE not in header:
        return header
    return without_cookie(without_cookie(header, COOKIE), PREFERENCES_COOKIE)


def read_visitor(header: str | None, keys: Keys) -> tuple[Visitor | None, str | None]:
    """Return the visitor of a Cookie header, and why there is none where a cookie was sent but is not valid."""
    value = read_cookie(header, COOKIE)
    if value is None:
        return None, None
    text = verify(keys, PURPOSE, value)
    if text is None:
        return None, "visitor_cookie_forged"
    parts = text.split("!")
    if len(parts) < FIXED or parts[0] != VERSION or not all(part.isdecimal() for part in parts[3:7]):
        return None, "visitor_cookie_unknown_version"
    _, name, unit, session_ms, seen_ms, visits, views, referral, snapshots, *frozen = parts
    read = [_read_frozen(part, session_ms, snapshots.split("*")) for part in frozen]
    return (
        Visitor(
            id=name,
            unit=unit,
            session_ms=int(session_ms),
            seen_ms=int(seen_ms),
            visits=int(visits),
            views=int(views),
            referral=referral,
            frozen=tuple([each for each in read if each is not None]),
        ),
        None,
    )


def continue_visit(
    visitor: Visitor | None, now_ms: int, referral: Callable[[], str], random_bytes: Callable[[int], bytes]
) -> Visitor:
    """Return the visitor as of this view: a new one where there was none, a new session after 30 idle minutes.

    `referral` says where this request came from; it is asked where a session begins.
    """
    if visitor is None:
        name = urlsafe_b64encode(random_bytes(16)).decode().rstrip("=")
        return Visitor(id=name, unit=name, session_ms=now_ms, seen_ms=now_ms, referral=referral())
    if now_ms - visitor.seen_ms > SESSION_IDLE_MS:
        return replace(
            visitor,
            session_ms=now_ms,
            seen_ms=now_ms,
            visits=min(visitor.visits + 1, MOST_COUNTED),
            views=1,
            referral=referral(),
        )
    return replace(visitor, seen_ms=now_ms, views=min(visitor.views + 1, MOST_COUNTED))


def remember(visitor: Visitor, decisions: Iterable[Decision]) -> Visitor:
    """Return the visitor with what was drawn now frozen. All else stays as it was: what was kept, forced, or decided
    without a draw, and the touchpoints that were not decided now."""
    earlier = {frozen.touchpoint: frozen for frozen in visitor.frozen}
    now: dict[str, Frozen] = {}
    for decision in decisions:
        before = earlier.pop(decision.touchpoint, None)
        frozen = freeze(decision) or before
        if frozen is not None:
            now[decision.touchpoint] = frozen
    return replace(visitor, frozen=(*now.values(), *earlier.values()))


def _write_frozen(frozen: Frozen, session_ms: int, snapshots: list[str]) -> str:
    epoch = "s" if frozen.epoch == f"session {session_ms}" else frozen.epoch.replace(" ", "_")
    fields = (
        frozen.touchpoint,
        epoch,
        "+".join((frozen.excluded, *frozen.earlier)),
        "+".join(("", *frozen.variants) if frozen.is_slate else frozen.variants),
        "+".join([repr(propensity) for propensity in frozen.propensities]),
        frozen.level[0] if frozen.randomised else frozen.level[0].upper(),
        frozen.cell,
        str(snapshots.index(frozen.snapshot)),
    )
    return "!" + "*".join(fields)


def _read_frozen(part: str, session_ms: str, snapshots: list[str]) -> Frozen | None:
    try:
        touchpoint, epoch, excluded, variants, propensities, level, cell, snapshot = part.split("*")
        digest, *earlier = excluded.split("+")
        is_slate = variants[:1] == "+"
        return Frozen(
            touchpoint=touchpoint,
            epoch=f"session {session_ms}" if epoch == "s" else epoch.replace("_", " ", 1),
            excluded=digest,
            variants=tuple(variants.removeprefix("+").split("+")),
            propensities=tuple([float(each) for each in propensities.split("+")]),
            level=_LEVELS[level.lower()],
            cell=cell,
            snapshot=snapshots[int(snapshot)],
            randomised=level.islower(),
            is_slate=is_slate,
            earlier=tuple(earlier),
        )
    except (ValueError, KeyError, IndexError):
        return None


def write_visitor(visitor: Visitor, keys: Keys) -> str:
    """Return the Set-Cookie value that keeps the visitor."""
    snapshots: list[str] = []
    kept = ""
    for frozen in visitor.frozen:
        more = [] if frozen.snapshot in snapshots else [frozen.snapshot]
        part = _write_frozen(frozen, visitor.session_ms, [*snapshots, *more])
        if len(kept) + len(part) + len("*".join([*snapshots, *more])) < MAX_FROZEN:
            kept += part
            snapshots += more
    fields = (
        VERSION, visitor.id, visitor.unit, str(visitor.session_ms), str(visitor.seen_ms), str(visitor.visits),
        str(visitor.views), visitor.referral, "*".join(snapshots),
    )  # fmt: skip
    value = sign(keys, PURPOSE, "!".join(fields) + kept)
    return f"{COOKIE}={value}; Path=/; Max-Age={MAX_AGE_S}; Secure; HttpOnly; SameSite=Lax"
