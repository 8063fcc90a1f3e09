"""What passes untouched, and what may be rewritten."""

from __future__ import annotations

from typing import Final

# On a touchpoint's URL the page is asked for whole and anew: a 304 or a part of it could not be rewritten.
REMOVED_REQUEST_HEADERS: Final = (
    "if-none-match",
    "if-modified-since",
    "if-match",
    "if-unmodified-since",
    "range",
    "if-range",
)

# Every response on a touchpoint's URL carries these, whatever was decided. `private, no-cache` keeps the back-forward
# cache; `no-store` would disable it.
CACHE_HEADERS: Final = (("cache-control", "private, no-cache"), ("cdn-cache-control", "no-store"))
VALIDATORS: Final = ("etag", "last-modified", "expires", "age")

_REWRITABLE_ENCODINGS: Final = ("", "identity", "gzip", "br")
_ASCII_CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii", "ascii")
_ASCII_CHARSET_FAMILIES: Final = ("iso-8859-", "windows-125")


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
    return charset in _ASCII_CHARSETS or charset.startswith(_ASCII_CHARSET_FAMILIES)
