"""Cases of the micro-benchmark about who is asking: the state of a visit, and the cookie that keeps it."""

from __future__ import annotations

from collections.abc import Callable

from shared.decision import Frozen
from shared.session import Left, Session, Viewed, fold, start
from shared.signing import read_keys, sign, verify
from shared.situation import DAY_MS
from worker.visitor import Visitor, read_visitor, write_visitor

NOW_MS = 1_800_000_000_000
KEYS = read_keys("bench:bench-bench-bench-bench")

Case = Callable[[int], object]


def visited(categories: int, pages: int) -> Session:
    """A visitor's third visit, so many pages of so many categories long, every one read to the end."""
    session = start(Viewed(NOW_MS - 2 * DAY_MS, "view-000000", "category-0", "search"))
    for i in range(1, 2 * pages):
        at_ms = NOW_MS - (DAY_MS if i < pages else 0) + i * 1_000
        session = fold(session, Viewed(at_ms, f"view-{i:06}", f"category-{i % categories}"))
        session = fold(session, Left(f"view-{i:06}", 95, 40))
    return session


TYPICAL = visited(categories=4, pages=6)
# Typical visits that differ, as those of different visitors do.
VISITS = [visited(categories=4, pages=pages) for pages in range(3, 11)]
FULL = visited(categories=12, pages=30)


def fold_event(event: str) -> Case:
    """One event: a page view, what was left of one, or a page view that begins a visit after many pages."""
    at_ms = TYPICAL.seen_ms + 1_000
    if event == "left":
        return lambda i: fold(TYPICAL, Left("view-000010", 96 + i % 4, 41 + i % 100))
    if event == "visit":
        return lambda _: fold(FULL, Viewed(FULL.seen_ms + DAY_MS, "view-999999", "category-1"))
    return lambda _: fold(TYPICAL, Viewed(at_ms, "view-999999", "category-1"))


def _visitor(name: str) -> Visitor:
    """A visitor with the state of a few pages, or of many, and two decisions made for the session."""
    session = FULL if name == "full" else TYPICAL
    frozen = tuple(
        Frozen(
            touchpoint=touchpoint,
            epoch=f"session {session.started_ms}",
            excluded="",
            variants=("variant-1",),
            propensities=(0.37281,),
            level="segment",
            cell="mobile",
            snapshot="20261122T175610742Z-5dba45a7c585",
            randomised=True,
        )
        for touchpoint in ("hero", "pick")
    )
    return Visitor("v" * 22, "v" * 22, session, frozen)


def _text() -> str:
    """What is signed of a visitor's cookie."""
    value = write_visitor(_visitor(""), KEYS)[0].partition(";")[0].partition("=")[2]
    text = verify(KEYS, "visitor", value)
    assert text is not None
    return text


def sign_text(_: str) -> Case:
    """Sign a typical cookie's text."""
    text = _text()
    return lambda _: sign(KEYS, "visitor", text)


def verify_text(_: str) -> Case:
    """Verify the same."""
    signed = sign(KEYS, "visitor", _text())
    return lambda _: verify(KEYS, "visitor", signed)


def verify_and_sign(_: str) -> Case:
    """Both, as a page does."""
    text = _text()
    signed = sign(KEYS, "visitor", text)
    return lambda _: (verify(KEYS, "visitor", signed), sign(KEYS, "visitor", text))


def read_cookie(name: str) -> Case:
    """Find the cookie in the header, verify it and read the visitor."""
    header = f"theme=dark; {write_visitor(_visitor(name), KEYS)[0].partition(';')[0]}; basket=3"
    return lambda _: read_visitor(header, KEYS)


def write_cookie(name: str) -> Case:
    """Write the visitor and sign."""
    visitor = _visitor(name)
    return lambda _: write_visitor(visitor, KEYS)
