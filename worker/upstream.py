"""What passes untouched, and what may be rewritten. Lists of headers are joined by line feeds: that crosses into
JavaScript as one string."""

from __future__ import annotations

from typing import Final

# On a touchpoint's URL the page is asked for whole and anew: a 304 or a part of it could not be rewritten.
REMOVED_REQUEST_HEADERS: Final = "if-none-match\nif-modified-since\nif-match\nif-unmodified-since\nrange\nif-range"

# Every response on a touchpoint's URL carries these, whatever was decided. `private, no-cache` keeps the back-forward
# cache; `no-store` would disable it.
CACHE_HEADERS: Final = "cache-control\nprivate, no-cache\ncdn-cache-control\nno-store"
VALIDATORS: Final = "etag\nlast-modified\nexpires\nage"

_REWRITABLE_ENCODINGS: Final = ("", "identity", "gzip", "br")
_ASCII_CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii", "ascii")
_ASCII_CHARSET_FAMILIES: Final = frozenset(
    [f"iso-8859-{i}" for i in range(1, 17) if i != 12] + [f"windows-125{i}" for i in range(9)]
)


def is_rewritable(status: int, content_type: str | None, content_encoding: str | None) -> bool:
    """Whether a response is a page that slots can be written into: a 200 of HTML in an ASCII-compatible charset,
    decoded from identity, gzip or br."""
    if status != 200 or (content_encoding or "").strip().lower() not in _REWRITABLE_ENCODINGS:
        return False
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != "text/html":
        return False
    charset = ""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return charset in _ASCII_CHARSETS or charset in _ASCII_CHARSET_FAMILIES
