"""What was asked: a request as plain text, and the page request that is read from it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from shared.events import Plan
from shared.records import AttributeSource
from shared.session import Declared, Left, Viewed, fold, is_over, remembers
from shared.signing import PREVIEW_PARAMETER, Keys
from shared.snapshot import Snapshot
from worker.consent import is_allowed
from worker.context import LONGEST, read_context, referral_of
from worker.cookies import read_left, read_preferences
from worker.page_view import PageRequest
from worker.plan import read_preview
from worker.visitor import ID_END, Visitor, continue_visit, read_visitor

HEADERS: Final = (
    "accept", "accept-language", "cookie", "referer", "sec-gpc", "sec-purpose", "upgrade", "user-agent",
)  # fmt: skip


def header_names(sources: Iterable[AttributeSource]) -> str:
    """The names of the headers to ask for, joined by line feeds: those always read, and the configured ones."""
    more = [source.name for source in sources if source.source == "header"]
    return "\n".join((*HEADERS, *more))


class AskedPage:
    """A request: method, URL, path and headers. `described` holds method, URL and the values of `names`, by lines."""

    __slots__ = ("_headers", "method", "path", "url")

    def __init__(self, described: str, names: str) -> None:
        self.method, self.url, *values = described.split("\n")
        self.path = urlsplit(self.url).path or "/"
        self._headers = dict(zip(names.split("\n"), values, strict=True))

    def header(self, name: str) -> str:
        """A header's value, empty where the request does not carry it or it was not asked for."""
        return self._headers.get(name, "")


def read_page_request(
    asked: AskedPage,
    snapshot: Snapshot,
    keys: Keys,
    now_ms: int,
    random_bytes: Callable[[int], bytes],
    off: Container[str] = (),
) -> tuple[PageRequest | None, list[str]]:
    """Return who asks for an observed page, and what is to be counted: a cookie that was not believed; page views whose
    first report the visitor's cookie does not know (`left_unknown`), as where tabs have overwritten each other; and
    declared preferences that the snapshot's plan does not know (`preference_refused`).

    `off` are the touchpoints that are switched off. None where the visitor may not be told apart (`worker.consent`).
    """
    header = asked.header
    cookies = header("cookie")
    if not is_allowed(snapshot.header, header("sec-gpc"), cookies):
        return None, []
    known, problem = read_visitor(cookies, keys)
    left = read_left(cookies)
    reports, unknown = _sort_reports(left, known)
    declared, is_refused = _read_declared(cookies, known, snapshot.header.plan)
    problems = ([problem] if problem is not None else []) + ["left_unknown"] * unknown
    problems += ["preference_refused"] * is_refused
    viewed = _read_view(asked, snapshot, known, now_ms, f"{now_ms:x}-{random_bytes(8).hex()}")
    reported = tuple([each.page_view[-ID_END:] for each in left])
    visitor = continue_visit(known, [*reports, *declared], viewed, random_bytes, reported)
    request = PageRequest(
        id=viewed.page_view,
        names=[name for name in snapshot.touchpoints_on(asked.path) if name not in off],
        snapshot=snapshot,
        visitor=visitor,
        # A page that is fetched ahead is decided as if it were shown already.
        session=visitor.session if viewed.is_shown else fold(visitor.session, Left(viewed.page_view, 0, 0)),
        context=read_context(asked.url, header, snapshot.header.attributes),
        forced=_read_forced(asked.url, keys),
        now_ms=now_ms,
        is_shown=viewed.is_shown,
        user_agent=header("user-agent")[:LONGEST],
    )
    return request, problems


def _sort_reports(left: list[Left], known: Visitor | None) -> tuple[list[Left], int]:
    """Those of the client's reports that the visitor's state can fold, and how many page views it has reported now for
    the first time and the state does not know. Where there is no state, or none that is believed, nothing is lost."""
    if known is None:
        return [], 0
    reports = [each for each in left if remembers(known.session, each.page_view)]
    unknown = [each for each in left if each not in reports and each.page_view[-ID_END:] not in known.reported]
    return reports, len(unknown)


def _read_declared(cookies: str, known: Visitor | None, plan: Plan) -> tuple[list[Declared], bool]:
    """What the visitor has declared, where that is another than the state holds, and whether some was refused.

    What the state holds may be of an earlier plan: what this one does not know goes.
    """
    held = known.session.preferences if known is not None else {}
    declared, is_refused = read_preferences(cookies, plan)
    if declared is None:
        declared = {question: answer for question, answer in held.items() if plan.knows_answer(question, answer)}
        is_refused = len(declared) < len(held)
    return ([Declared(declared)] if declared != held else []), is_refused


def _read_view(asked: AskedPage, snapshot: Snapshot, known: Visitor | None, now_ms: int, name: str) -> Viewed:
    """The page view as the visit's state counts it. Where it came from matters only where it begins a visit."""
    begins = known is None or is_over(known.session, now_ms)
    return Viewed(
        now_ms,
        name,
        snapshot.category_of(asked.path),
        referral_of(asked.url, asked.header("referer")) if begins else "direct",
        not asked.header("sec-purpose"),  # a page fetched ahead of its time is not shown yet
    )


def _read_forced(url: str, keys: Keys) -> dict[str, str]:
    """The variants that a preview link asks for."""
    if PREVIEW_PARAMETER not in url:
        return {}
    try:
        values = parse_qs(urlsplit(url).query, max_num_fields=100).get(PREVIEW_PARAMETER, [])
    except ValueError:  # more fields than anybody's link holds
        return {}
    return read_preview(keys, values[0]) if values else {}
