"""Reproducible randomness: a number in (0, 1) that is a function of the words it is drawn for."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Final

SEPARATOR: Final = "\x1f"
_SCALE: Final = 1.0 / (1 << 52)
# The first eight bytes as one number: less than half the cost of int.from_bytes over a slice.
_read_words = Struct(">Q").unpack_from


def uniform(*parts: str) -> float:
    """Return the uniform number of `parts`: (the first 52 bits of their SHA-256 + ½) / 2^52.

    The parts are joined by the unit separator U+001F and encoded as UTF-8. The result is strictly between 0 and 1 and
    exactly representable, so that any language (SQL included) can recompute it.
    """
    digest = sha256(SEPARATOR.join(parts).encode("utf-8", "surrogatepass")).digest()
    word: int = _read_words(digest)[0]
    return ((word >> 12) + 0.5) * _SCALE


def uniforms(prefix: bytes, suffixes: Sequence[bytes]) -> list[float]:
    """Return the uniform numbers of words that begin alike: those of `prefix + suffix`, one a suffix.

    `uniforms(b"site\\x1funit\\x1f", [b"a", b"b"]) == [uniform("site", "unit", "a"), uniform("site", "unit", "b")]`: the
    prefix is all parts but the last, each with its separator, and like the suffixes it is UTF-8.
    """
    return [((_read_words(sha256(prefix + suffix).digest())[0] >> 12) + 0.5) * _SCALE for suffix in suffixes]
