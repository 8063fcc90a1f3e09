"""The last page views of a visitor, with what was folded of each: one text, 13 characters a view, the oldest first.

Six characters stand for the view's id; then come its category's letter, the deepest scroll (%, two hexadecimal digits),
engaged seconds (three), and a digit: the view's weight, and 5 more where its visit is over. A request looks at few of
them, so they stay in this form, which is the cookie's as well.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_REMEMBERED: Final = 8
NO_CATEGORY: Final = "-"
WIDTH: Final = 13
_DIGEST: Final = 6
_EARLIER: Final = 5
# The marks of views that were only fetched ahead of their time.
_UNSEEN: Final = "05"


class View(NamedTuple):
    """What is remembered of a page view: its category's letter, deepest scroll (%), engaged seconds (below 4,096), what
    it counts as interest (at most 4; 0 while it was only fetched ahead of its time), and whether its visit is over."""

    letter: str
    depth: int
    engaged_s: int
    weight: int
    is_earlier: bool


def find_view(remembered: str, page_view: str) -> int | None:
    """Where the page view with that id stands, or None."""
    digest = _digest(page_view)
    at = remembered.find(digest)
    while at % WIDTH and at >= 0:
        at = remembered.find(digest, at + 1)
    return at if at >= 0 else None


def read_view(remembered: str, at: int) -> View:
    """The view that stands there."""
    return View(
        remembered[at + 6],
        int(remembered[at + 7 : at + 9], 16),
        int(remembered[at + 9 : at + 12], 16),
        int(remembered[at + 12]) % _EARLIER,
        remembered[at + 12] >= "5",
    )


def replace_view(remembered: str, at: int, view: View) -> str:
    """The views with another one in the place of that which stands there; its id stays."""
    return remembered[: at + _DIGEST] + _write(view) + remembered[at + WIDTH :]


def append_view(remembered: str, page_view: str, view: View) -> str:
    """The views and a new one. Where there are eight, the oldest goes of those that were only fetched ahead of their
    time, or else the oldest: many a link is fetched ahead of a page that is still being read."""
    kept = remembered
    if len(remembered) == MOST_REMEMBERED * WIDTH:
        unseen = next((at for at, mark in enumerate(remembered[WIDTH - 1 :: WIDTH]) if mark in _UNSEEN), 0) * WIDTH
        kept = remembered[:unseen] + remembered[unseen + WIDTH :]
    return kept + _digest(page_view) + _write(view)


def forget_letter(remembered: str, letter: str) -> str:
    """The views when a letter no longer stands for their category."""
    if letter not in remembered[_DIGEST::WIDTH]:
        return remembered
    views = [remembered[i : i + WIDTH] for i in range(0, len(remembered), WIDTH)]
    return "".join(
        [each if each[_DIGEST] != letter else each[:_DIGEST] + NO_CATEGORY + each[_DIGEST + 1 :] for each in views]
    )


def end_visit(remembered: str) -> str:
    """The views when their visit is over; what a shown one counted as interest does not matter any more."""
    if not remembered:
        return ""
    marks = ["5" if mark in _UNSEEN else "6" for mark in remembered[WIDTH - 1 :: WIDTH]]
    return "".join([remembered[i * WIDTH : (i + 1) * WIDTH - 1] + mark for i, mark in enumerate(marks)])


def _write(view: View) -> str:
    letter, depth, engaged_s, weight, is_earlier = view
    return f"{letter}{depth:02x}{engaged_s:03x}{weight + _EARLIER if is_earlier else weight}"


def _digest(page_view: str) -> str:
    """The end of the id, which the edge draws at random."""
    return page_view[-_DIGEST:].rjust(_DIGEST, "_")
