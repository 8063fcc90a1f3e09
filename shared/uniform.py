"""Reproducible randomness: a number in (0, 1) that is a function of the words it is drawn for."""

from __future__ import annotations

from hashlib import sha256

SEPARATOR = "\x1f"
_SCALE = 1.0 / (1 << 52)


def uniform(*parts: str) -> float:
    """Return the uniform number of `parts`: (the first 52 bits of their SHA-256 + ½) / 2^52.

    The parts are joined by the unit separator U+001F and encoded as UTF-8. The result is strictly between 0 and 1 and
    exactly representable, so that any language (SQL included) can recompute it.
    """
    digest = sha256(SEPARATOR.join(parts).encode("utf-8", "surrogatepass")).digest()
    return ((int.from_bytes(digest[:7], "big") >> 4) + 0.5) * _SCALE
