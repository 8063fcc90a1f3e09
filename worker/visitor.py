"""Who is asking: the first-party visitor id, the state of the visit and its decisions, in one signed cookie."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from shared.decision import Decision, Frozen, freeze
from shared.session import Event, Session, Viewed, fold, is_over, read_session, start, write_session
from shared.signing import Keys, sign, verify
from worker.cookies import COOKIE, read_cookie
from worker.kept import drop_ended, pack_decisions, read_decisions

VERSION: Final = "3"
# The version before is still read, so that no visitor is lost: the same but for the state of the visit.
VERSION_BEFORE: Final = "2"
PURPOSE: Final = "visitor"
MAX_AGE_S: Final = 400 * 86_400  # the longest that browsers keep a cookie
ATTRIBUTES: Final = f"; Path=/; Max-Age={MAX_AGE_S}; Secure; HttpOnly; SameSite=Lax"
# Browsers keep cookies of up to 4,096 bytes, name and attributes included.
MAX_COOKIE: Final = 4_095
# How the last part begins where the client had reported page views. It stands where versions without it expect a
# decision, and pass over what they cannot read.
_REPORTED: Final = "?"
# How much of a page view's id tells it apart from the few others.
ID_END: Final = 6
# What stands around the key's id and the text in a written cookie: two dots and a signature of 22 characters as well.
_AROUND: Final = len(f"{COOKIE}=") + 24 + len(ATTRIBUTES)


@dataclass(slots=True)
class Visitor:
    """One browser: its id, the unit its decisions are made for, the state of its visit, the decisions that are frozen,
    and the ends of the ids of the page views that its client had reported with the last request; and where nothing has
    changed of them, the decisions as they stand in the cookie (`packed`). Nobody changes it; frozen it would be slow to
    make."""

    id: str
    unit: str
    session: Session
    frozen: tuple[Frozen, ...] = ()
    reported: tuple[str, ...] = ()
    packed: str = field(default="", compare=False)

    @property
    def session_ms(self) -> int:
        """When the session started, which identifies it with the visitor."""
        return self.session.started_ms


def read_visitor(header: str | None, keys: Keys) -> tuple[Visitor | None, str | None]:
    """Return the visitor of a Cookie header, and why there is none where a cookie was sent but is not valid."""
    value = read_cookie(header, COOKIE)
    if value is None:
        return None, None
    text = verify(keys, PURPOSE, value)
    if text is None:
        return None, "visitor_cookie_forged"
    version, *parts = text.split("!")
    try:
        if version == VERSION:
            name, unit, state, *decisions = parts
            session = read_session(state)
        elif version == VERSION_BEFORE:
            name, unit, *numbers, referral = parts[:7]
            decisions = parts[7:]
            session = _session_before(numbers, referral)
        else:
            return None, "visitor_cookie_unknown_version"
        reported = decisions.pop()[1:].split("~") if decisions[-1].startswith(_REPORTED) else ()
        frozen = read_decisions(decisions, session.started_ms)
        packed = "!".join(decisions) if len(frozen) == len(decisions) - 1 else ""
        return Visitor(name, unit, session, frozen, tuple(reported), packed), None
    except (ValueError, IndexError):
        return None, "visitor_cookie_unknown_version"


def _session_before(numbers: list[str], referral: str) -> Session:
    if not all(number.isdecimal() for number in numbers):
        raise ValueError("is no session of the version before")
    session_ms, seen_ms, visits, views = map(int, numbers)
    return Session(started_ms=session_ms, seen_ms=seen_ms, views=views, visits=visits, referral=referral)


def continue_visit(
    visitor: Visitor | None,
    reports: Iterable[Event],
    viewed: Viewed,
    random_bytes: Callable[[int], bytes],
    reported: tuple[str, ...] = (),
) -> Visitor:
    """Return the visitor as of this page view, a new one where there was none. `reports` is what the client left for
    the state, `reported` names all page views that it reported."""
    if visitor is None:
        name = urlsafe_b64encode(random_bytes(16)).decode().rstrip("=")
        session = start(viewed)
        for report in reports:
            session = fold(session, report)
        return Visitor(name, name, session, (), reported)
    session = visitor.session
    for report in reports:
        session = fold(session, report)
    frozen, packed = visitor.frozen, visitor.packed
    if frozen and is_over(session, viewed.at_ms):
        frozen, packed = drop_ended(frozen, viewed.at_ms), ""
    return Visitor(visitor.id, visitor.unit, fold(session, viewed), frozen, reported, packed)


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
    found = (*now.values(), *earlier.values())
    if found == visitor.frozen:
        return visitor
    return Visitor(visitor.id, visitor.unit, visitor.session, found, visitor.reported)


def write_visitor(visitor: Visitor, keys: Keys) -> tuple[str, str | None]:
    """Return the Set-Cookie value that keeps the visitor, and `cookie_full` where it could not hold a trace of every
    decision."""
    head = f"{VERSION}!{visitor.id}!{visitor.unit}!{write_session(visitor.session)}!"
    tail = f"!{_REPORTED}{'~'.join(visitor.reported)}" if visitor.reported else ""
    room = MAX_COOKIE - _AROUND - len(next(iter(keys))) - len(head) - len(tail)
    decisions, lost = visitor.packed if visitor.frozen else "", 0
    if visitor.frozen and not (decisions and len(decisions) <= room):
        decisions, lost = pack_decisions(visitor.frozen, visitor.session_ms, room)
    return f"{COOKIE}={sign(keys, PURPOSE, head + decisions + tail)}{ATTRIBUTES}", "cookie_full" if lost else None
