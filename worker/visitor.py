"""Who is asking: the first-party visitor id and the session, in one signed cookie."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from shared.decision import Decision, Frozen, Unit, freeze
from shared.signing import Keys, sign, verify

COOKIE: Final = "__Host-usher"
VERSION: Final = "1"
PURPOSE: Final = "visitor"
SESSION_IDLE_MS: Final = 30 * 60_000
# Browsers keep cookies of up to 4,096 bytes, name and attributes included; decisions beyond that are made anew.
MAX_TEXT: Final = 3_800
MAX_AGE_S: Final = 400 * 86_400  # the longest that browsers keep a cookie


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One browser: its id, the unit its decisions are made for, the current session's start and last view, and the
    decisions that are frozen for it."""

    id: str
    unit: str
    session_ms: int
    seen_ms: int
    frozen: tuple[Frozen, ...] = ()

    def as_unit(self) -> Unit:
        """The unit that decisions are made for."""
        return Unit(id=self.unit, session_ms=self.session_ms)


def read_cookie(header: str | None, name: str) -> str | None:
    """Return the value of a cookie in a Cookie header, or None."""
    if not header:
        return None
    for part in header.split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value
    return None


def without_cookie(header: str, name: str) -> str:
    """Return a Cookie header without one cookie; empty where no other is left."""
    kept = [part.strip() for part in header.split(";") if part.strip().partition("=")[0] != name]
    return "; ".join(part for part in kept if part)


def read_visitor(header: str | None, keys: Keys) -> tuple[Visitor | None, str | None]:
    """Return the visitor of a Cookie header, and why there is none where a cookie was sent but is not valid."""
    value = read_cookie(header, COOKIE)
    if value is None:
        return None, None
    text = verify(keys, PURPOSE, value)
    if text is None:
        return None, "visitor_cookie_forged"
    parts = text.split("!")
    if len(parts) < 5 or parts[0] != VERSION or not (parts[3].isdecimal() and parts[4].isdecimal()):
        return None, "visitor_cookie_unknown_version"
    frozen = [_read_frozen(part, parts[3]) for part in parts[5:]]
    return (
        Visitor(
            id=parts[1],
            unit=parts[2],
            session_ms=int(parts[3]),
            seen_ms=int(parts[4]),
            frozen=tuple(each for each in frozen if each is not None),
        ),
        None,
    )


def continue_visit(visitor: Visitor | None, now_ms: int, random_bytes: Callable[[int], bytes]) -> Visitor:
    """Return the visitor as of this view: a new one where there was none, a new session after 30 idle minutes."""
    if visitor is None:
        name = urlsafe_b64encode(random_bytes(16)).decode().rstrip("=")
        return Visitor(id=name, unit=name, session_ms=now_ms, seen_ms=now_ms)
    if now_ms - visitor.seen_ms > SESSION_IDLE_MS:
        return replace(visitor, session_ms=now_ms, seen_ms=now_ms)
    return replace(visitor, seen_ms=now_ms)


def remember(visitor: Visitor, decisions: Iterable[Decision]) -> Visitor:
    """Return the visitor with these decisions frozen; those of touchpoints that were not decided now stay."""
    decided = {decision.touchpoint: freeze(decision) for decision in decisions if decision.reason != "preview"}
    others = [frozen for frozen in visitor.frozen if frozen.touchpoint not in decided]
    return replace(visitor, frozen=(*(each for each in decided.values() if each is not None), *others))


def _write_frozen(frozen: Frozen, session_ms: int) -> str:
    epoch = "s" if frozen.epoch == f"session {session_ms}" else frozen.epoch.replace(" ", "_")
    fields = (frozen.touchpoint, epoch, frozen.excluded, frozen.variant, repr(frozen.propensity))
    return "!" + "*".join((*fields, frozen.level, frozen.cell, frozen.snapshot))


def _read_frozen(part: str, session_ms: str) -> Frozen | None:
    fields = part.split("*")
    if len(fields) != 8:
        return None
    touchpoint, epoch, excluded, variant, propensity, level, cell, snapshot = fields
    try:
        value = float(propensity)
    except ValueError:
        return None
    return Frozen(
        touchpoint=touchpoint,
        epoch=f"session {session_ms}" if epoch == "s" else epoch.replace("_", " ", 1),
        excluded=excluded,
        variant=variant,
        propensity=value,
        level=level,
        cell=cell,
        snapshot=snapshot,
    )


def write_visitor(visitor: Visitor, keys: Keys) -> str:
    """Return the Set-Cookie value that keeps the visitor."""
    text = f"{VERSION}!{visitor.id}!{visitor.unit}!{visitor.session_ms}!{visitor.seen_ms}"
    for frozen in visitor.frozen:
        part = _write_frozen(frozen, visitor.session_ms)
        if len(text) + len(part) < MAX_TEXT:
            text += part
    value = sign(keys, PURPOSE, text)
    return f"{COOKIE}={value}; Path=/; Max-Age={MAX_AGE_S}; Secure; HttpOnly; SameSite=Lax"
