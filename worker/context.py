"""The attributes of a request that conditions and segments may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from shared.devices import device_of
from shared.records import AttributeSource

LONGEST: Final = 200
SEARCH_ENGINES: Final = frozenset("google bing duckduckgo yahoo yandex baidu ecosia qwant startpage".split())  # noqa: SIM905
SOCIAL_NAMES: Final = frozenset("facebook instagram linkedin pinterest reddit tiktok twitter youtube".split())  # noqa: SIM905
SOCIAL_HOSTS: Final = frozenset({"t.co", "x.com", "lnkd.in", "youtu.be"})


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


def referral_of(url: str, referrer: str | None) -> str:
    """Where a session came from: one of shared.session.REFERRALS, by campaign parameters, else by the referring host.

    A page of the same host refers to nothing: the session before has ended meanwhile.
    """
    parts = urlsplit(url)
    tags = dict(parse_qsl(parts.query)) if _is_plain(parts.query) else {}
    if tags.get("utm_medium", "").lower() in ("email", "e-mail", "newsletter"):
        return "email"
    if "utm_source" in tags or "utm_campaign" in tags or "gclid" in tags:
        return "campaign"
    host = _host(referrer or "")
    if not host or host == parts.hostname:
        return "direct"
    names = set(host.split("."))
    if names & SEARCH_ENGINES:
        return "search"
    return "social" if host in SOCIAL_HOSTS or names & SOCIAL_NAMES else "other"


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
