"""The attributes of a request that conditions and segments may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from shared.snapshot import AttributeSource

LONGEST: Final = 200


def read_context(url: str, header: Callable[[str], str | None], sources: Iterable[AttributeSource]) -> dict[str, str]:
    """Return the request's attributes: `path`, `device`, `language`, `referrer` and the configured ones.

    `header` returns a request header by its lower-case name. Attributes that the request does not carry are left out;
    values are cut to 200 characters.
    """
    parts = urlsplit(url)
    found: dict[str, str | None] = {
        "path": parts.path or "/",
        "device": device_of(header("user-agent") or ""),
        "language": _first_language(header("accept-language") or ""),
        "referrer": _host(header("referer") or ""),
    }
    query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=100) if _is_plain(parts.query) else {}
    for source in sources:
        if source.source == "query":
            found[source.attribute] = query.get(source.name, [None])[0]
        else:
            found[source.attribute] = header(source.name)
    return {name: value[:LONGEST] for name, value in found.items() if value}


def device_of(user_agent: str) -> str:
    """`mobile`, `tablet` or `desktop`, as the user agent claims."""
    if "iPad" in user_agent or ("Android" in user_agent and "Mobile" not in user_agent):
        return "tablet"
    return "mobile" if "Mobi" in user_agent else "desktop"


def _is_plain(query: str) -> bool:
    """Whether the query may be parsed: parse_qs raises for more fields than it was told to accept."""
    return query.count("&") < 100


def _first_language(accept_language: str) -> str:
    return accept_language.partition(",")[0].partition(";")[0].strip().lower()


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
