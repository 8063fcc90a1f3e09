"""The HTML of a touchpoint's variants, read when it is first shown.

A decision needs the record, a page the HTML of what was chosen: reading the HTML of hundreds of variants with the
record would keep the isolate busy for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.errors import InvalidSnapshot
from shared.parse import Reader, load_json
from shared.records.variants import read_rows


class Markup:
    """The HTML of a touchpoint's variants, in their order; `place` is where the touchpoint stands, and `parse` makes a
    text, or None, of what is there for each."""

    __slots__ = ("_parse", "_place", "_read", "_unread")

    def __init__(self, place: str, unread: Sequence[object], parse: Callable[[object], object]) -> None:
        self._place = place
        self._unread = list(unread)
        self._parse = parse
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
            data = self._parse(self._unread[index])
        except ValueError as error:
            raise InvalidSnapshot(f"{variant}.html", f"is not JSON ({error})") from error
        found = self._read[index] = Reader({"html": data}, variant, InvalidSnapshot).optional_text("html")
        self._unread[index] = None  # not kept twice
        return found


def read_markup(reader: Reader, htmls: Sequence[str] | None, count: int) -> Markup:
    """The HTML of `count` variants: `htmls` are the JSON texts beside the touchpoint's record, None where an older
    origin has written them into it. Raises InvalidSnapshot where some are missing."""
    if htmls is None:
        return Markup(reader.path, [row.get("html") for row in read_rows(reader)], lambda html: html)
    if len(htmls) != count:
        raise InvalidSnapshot(reader.place("variants"), f"{count} variants, but the HTML of {len(htmls)}")
    return Markup(reader.path, htmls, lambda text: load_json(str(text)))
