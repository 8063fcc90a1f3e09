"""The HTML of a touchpoint's variants: one JSON text (or null) each, beside the record, read when it is first shown.

A decision needs the record, a page the HTML of what was chosen: reading the HTML of hundreds of variants with the
record would keep the isolate busy for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from shared.errors import InvalidSnapshot
from shared.parse import Reader, load_json


class Markup:
    """The HTML of a touchpoint's variants, in their order; `place` is where the touchpoint stands."""

    __slots__ = ("_place", "_read", "_texts")

    def __init__(self, place: str, texts: Iterable[str]) -> None:
        self._place = place
        self._texts = list(texts)
        self._read: dict[int, str | None] = {}

    def html(self, index: int) -> str | None:
        """The HTML of the variant of that index; None: the page's own content stays. Raises InvalidSnapshot where it
        is damaged."""
        try:
            return self._read[index]
        except KeyError:
            pass
        variant = f"{self._place}.variants[{index}]"
        try:
            data = load_json(self._texts[index])
        except ValueError as error:
            raise InvalidSnapshot(f"{variant}.html", f"is not JSON ({error})") from error
        found = self._read[index] = Reader({"html": data}, variant, InvalidSnapshot).optional_text("html")
        self._texts[index] = ""  # not kept twice
        return found


def read_markup(reader: Reader, parts: Sequence[str], count: int) -> Markup:
    """The HTML of `count` variants from the parts beside a touchpoint's record. An older origin has written it into the
    record, where the variants stand one by one. Raises InvalidSnapshot where parts are missing."""
    variants = reader.data.get("variants")
    if isinstance(variants, list):
        parts = [json.dumps(each.get("html")) for each in variants]
    if len(parts) != count:
        raise InvalidSnapshot(reader.place("variants"), f"{count} variants, but the HTML of {len(parts)}")
    return Markup(reader.path, parts)
