"""Which responses may be rewritten."""

from __future__ import annotations

from typing import Final

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
