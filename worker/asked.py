"""What was asked: a request as plain text, and the page request that is read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from shared.records import AttributeSource
from shared.signing import PREVIEW_PARAMETER, Keys
from shared.snapshot import Snapshot
from worker.context import read_context, referral_of
from worker.page_view import PageRequest
from worker.plan import read_preview
from worker.visitor import continue_visit, read_preferences, read_visitor

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
    names: list[str],
    keys: Keys,
    now_ms: int,
    random_bytes: Callable[[int], bytes],
) -> tuple[PageRequest | None, str | None]:
    """Return who asks for which touchpoints, and why a cookie was not believed where one was sent.

    None where nobody may be told apart: the browser sends Global Privacy Control, and the site honours it.
    """
    header = asked.header
    if snapshot.header.honour_gpc and header("sec-gpc") == "1":
        return None, None
    cookies = header("cookie")
    visitor, problem = read_visitor(cookies, keys)
    visitor = continue_visit(visitor, now_ms, lambda: referral_of(asked.url, header("referer")), random_bytes)
    request = PageRequest(
        id=f"{now_ms:x}-{random_bytes(8).hex()}",
        names=names,
        snapshot=snapshot,
        visitor=visitor,
        context=read_context(asked.url, header, snapshot.header.attributes),
        preferences=read_preferences(cookies),
        forced=_read_forced(asked.url, keys),
        now_ms=now_ms,
        is_shown=not header("sec-purpose"),  # a page fetched ahead of its time is not shown yet
    )
    return request, problem


def _read_forced(url: str, keys: Keys) -> dict[str, str]:
    """The variants that a preview link asks for."""
    if PREVIEW_PARAMETER not in url:
        return {}
    try:
        values = parse_qs(urlsplit(url).query, max_num_fields=100).get(PREVIEW_PARAMETER, [])
    except ValueError:  # more fields than anybody's link holds
        return {}
    return read_preview(keys, values[0]) if values else {}
