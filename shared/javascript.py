"""Values as JavaScript sees them: what the reference implementation's `+ ""`, `* 1`, `===`, `<` and `typeof` give.

Numbers are doubles: a whole number beyond 2^53 counts as the nearest double. Nothing here raises, whatever JSON holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

WHITESPACE: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
LINE_ENDS: Final = "\n\r\u2028\u2029"
SAFE: Final = 1 << 53
# A list nested deeper than this turns into no text at all; it would take the interpreter's stack.
MAX_NESTING: Final = 64

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_RADIX: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)", re.ASCII)
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
# Capitals that Unicode gained after 14.0, the version of Python 3.11: newer Pythons would lower them, older would not.
_LATER_CAPITALS: Final = re.compile("([\u1c89\ua7cb\ua7cc\ua7da\ua7dc\U00010d50-\U00010d65]+)")


def to_double(value: float) -> float:
    """The number as JSON.parse would give it; small whole numbers stay `int`, which compares alike and faster."""
    if isinstance(value, int) and not -SAFE <= value <= SAFE:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def to_number(value: object) -> float | None:
    """The number that `Number(value)` gives, or None where it gives NaN."""
    if isinstance(value, int | float):  # booleans are whole numbers in Python too
        return to_double(value) if value == value else None
    if value is None:
        return 0.0
    text = to_string(value).strip(WHITESPACE)
    if text == "":
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        return to_double(int(text, 0))
    return {"Infinity": float("inf"), "+Infinity": float("inf"), "-Infinity": float("-inf")}.get(text)


def to_string(value: object, nesting: int = 0) -> str:
    """The text that `String(value)` gives."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _show_number(value)
    if isinstance(value, list | tuple):
        if nesting >= MAX_NESTING:
            return ""
        return ",".join(["" if each is None else to_string(each, nesting + 1) for each in value])
    return "[object Object]"


def _show_number(value: float) -> str:
    """ECMA-262, Number::toString: the shortest digits that read back, an exponent below 1e-6 and from 1e21."""
    double = to_double(value)
    if isinstance(double, int):
        return str(double)
    if double != double:
        return "NaN"
    sign = "-" if double < 0 else ""
    if abs(double) == float("inf"):
        return sign + "Infinity"
    mantissa, _, exponent = repr(abs(double)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return "0"
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def to_lower(text: str) -> str:
    """The text in lower case, the same under every supported version of Python."""
    if text.isascii() or _LATER_CAPITALS.search(text) is None:
        return text.lower()
    return "".join([part if i % 2 else part.lower() for i, part in enumerate(_LATER_CAPITALS.split(text))])


def to_utf16(text: str) -> str:
    """The text with one character per UTF-16 unit, so that it sorts, counts and matches as in JavaScript."""
    if text.isascii():
        return text
    return _ASTRAL.sub(_split, text)


def _split(match: re.Match[str]) -> str:
    offset = ord(match.group()) - 0x10000
    return chr(0xD800 + (offset >> 10)) + chr(0xDC00 + (offset & 0x3FF))


def is_truthy(value: object) -> bool:
    """Whether `if (value)` would be taken."""
    if isinstance(value, int | float):
        return value != 0 and value == value
    return value is not None and value != ""


def is_identical(left: object, right: object) -> bool:
    """`left === right` of parsed JSON: lists and objects are never identical, true is not 1."""
    if isinstance(left, str):
        return left == right
    if isinstance(left, bool) or isinstance(right, bool) or left is None:
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return to_double(left) == to_double(right)
    return False


def is_same(left: object, right: object) -> bool:
    """Deep equality. Unlike the reference's comparison of JSON texts, the order of an object's keys does not count."""
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and left.keys() == right.keys()
            and all(is_same(each, right[key]) for key, each in left.items())
        )
    if isinstance(left, list | tuple):
        return (
            isinstance(right, list | tuple)
            and len(left) == len(right)
            and all(is_same(a, b) for a, b in zip(left, right, strict=True))
        )
    return is_identical(left, right)


def compare(left: object, right: object) -> int | None:
    """Negative, zero or positive as `left` stands before, with or after `right`; None where neither, as for NaN."""
    if isinstance(left, list | tuple | Mapping):
        left = to_string(left)
    if isinstance(right, list | tuple | Mapping):
        right = to_string(right)
    if isinstance(left, str) and isinstance(right, str):
        left, right = to_utf16(left), to_utf16(right)
        return (left > right) - (left < right)
    before, after = to_number(left), to_number(right)
    if before is None or after is None:
        return None
    return (before > after) - (before < after)


def type_name(value: object) -> str:
    """`typeof value`, with `null` and `array` told apart."""
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list | tuple):
        return "array"
    return "object"
