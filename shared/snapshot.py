"""A snapshot: one immutable published version of configuration, segments and posteriors.

Its text form is one record a line, so that a request parses only what it needs: the first line is the header, each
further line a key, a tab, and the JSON of one touchpoint (`touchpoint:hero`) or one cell of posteriors
(`cell:hero:segment:vip`); the last may say what it was trained on (`trained`), which no decision reads. Behind a
touchpoint's JSON, each after a tab, stands that of its variants' HTML. Records are parsed when first asked for, and
then kept; so is HTML.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.categories import find_category
from shared.errors import InvalidSnapshot
from shared.parse import Reader, load_json
from shared.paths import path_matches
from shared.posterior import LEVELS, Posterior
from shared.records import (
    FORMAT,
    Header,
    Touchpoint,
    read_cell,
    read_header,
    read_rows,
    read_touchpoint,
    refuse_unknown_fields,
    to_columns,
)

MOST_KEPT: Final = 1_000
MOST_PATHS: Final = 300
LONGEST_PATH: Final = 200

# Where the edge finds what was published.
POINTER_KEY: Final = "current"
SNAPSHOT_KEY: Final = "snapshot:"
# The record that says what a snapshot was trained on.
TRAINED_KEY: Final = "trained"
# What a pointer names as off where nothing of the site is to be personalised.
WHOLE_SITE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which snapshot is live, since when, and when a retrain last confirmed it; and what is switched off: touchpoints
    by name, or the WHOLE_SITE."""

    version: str
    published_ms: int
    confirmed_ms: int
    off: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Pointer:
        """Read a pointer. Raises InvalidSnapshot."""
        reader = Reader(_load(text, POINTER_KEY), POINTER_KEY, InvalidSnapshot)
        version = reader.text("snapshot", longest=200)
        if not version:
            raise reader.fail("snapshot", "the version of a snapshot")
        return cls(
            version=version,
            published_ms=reader.whole("published_ms", low=0, high=1 << 53),
            confirmed_ms=reader.whole("confirmed_ms", low=0, high=1 << 53),
            off=reader.texts("off") if "off" in reader.data else (),
        )

    def to_text(self) -> str:
        """The pointer as it is published."""
        off = {"off": list(self.off)} if self.off else {}
        moments = {"published_ms": self.published_ms, "confirmed_ms": self.confirmed_ms}
        return _dump({"snapshot": self.version, **moments, **off})


class Snapshot:
    """A published snapshot, parsed touchpoint by touchpoint as they are asked for.

    Raises InvalidSnapshot from `from_text` when header or outline are damaged or of an unknown format, and from
    `touchpoint`, `html` and `cell` when that one record is. A touchpoint of which something was found to be damaged is
    damaged from then on, whichever variant was asked for: else whoever draws that variant would be missed.
    """

    __slots__ = ("_cells", "_damaged", "_kept", "_lines", "_paths", "_touchpoints", "header", "version")

    def __init__(self, header: Header, lines: dict[str, str]) -> None:
        """Take the lines as its own, by their keys."""
        self.header = header
        self.version = header.version
        self._lines = lines
        self._touchpoints: dict[str, Touchpoint] = {}
        self._damaged: dict[str, InvalidSnapshot] = {}
        self._cells: dict[tuple[str, str, str], Posterior | None] = {}
        self._kept: dict[Hashable, object] = {}
        self._paths: dict[str, tuple[list[str], str]] = {}

    @classmethod
    def from_text(cls, text: str) -> Snapshot:
        """Read a snapshot from its text form; only the header is parsed."""
        first, _, rest = text.partition("\n")
        data = _load(first, "header")
        pairs = [line.split("\t", 1) for line in rest.removesuffix("\n").split("\n")] if rest else []
        try:
            lines = dict(pairs)
        except ValueError:
            line = next(pair[0] for pair in pairs if len(pair) == 1)
            raise InvalidSnapshot("records", f"a line without a key: {line[:40]!r}") from None
        if len(lines) != len(pairs):
            keys = [key for key, _ in pairs]
            raise InvalidSnapshot(next(key for key in keys if keys.count(key) > 1), "stands there twice")
        header, records = read_header(data)
        if records != len(lines):
            raise InvalidSnapshot("header.records", f"{records} records were published, {len(lines)} arrived")
        for name in header.pages:
            if f"touchpoint:{name}" not in lines:
                raise InvalidSnapshot(f"header.pages.{name}", "the snapshot holds no such touchpoint")
        return cls(header, lines)

    def touchpoint(self, name: str) -> Touchpoint:
        """The touchpoint of that name. Raises KeyError if the snapshot has none, InvalidSnapshot if it is damaged."""
        found = self._touchpoints.get(name)
        if found is None:
            if name in self._damaged:
                raise InvalidSnapshot(self._damaged[name].path, self._damaged[name].problem)
            try:
                found = self._touchpoints[name] = self._read_touchpoint(name)
            except InvalidSnapshot as error:
                self._damaged[name] = error
                raise
        return found

    def _read_touchpoint(self, name: str) -> Touchpoint:
        key = f"touchpoint:{name}"
        if self.header.is_older:
            return read_touchpoint(name, _load(self._lines[key], key), None)
        record, *htmls = self._lines[key].split("\t")
        found = read_touchpoint(name, _load(record, key), htmls)
        del self._lines[key]  # it may be long
        return found

    def html(self, touchpoint: str, variant: int) -> str | None:
        """The HTML of the variant of that index; None: the page's own content stays. Raises as `touchpoint` does."""
        try:
            return self.touchpoint(touchpoint).markup.html(variant)
        except InvalidSnapshot as error:
            self._damaged[touchpoint] = error
            self._touchpoints.pop(touchpoint, None)
            raise

    @property
    def trained(self) -> Mapping[str, object]:
        """What it was trained on, as the origin noted it; empty where it did not. Raises InvalidSnapshot."""
        line = self._lines.get(TRAINED_KEY)
        return Reader(_load(line, TRAINED_KEY), TRAINED_KEY, InvalidSnapshot).data if line is not None else {}

    def cell(self, touchpoint: str, level: str, name: str) -> Posterior | None:
        """The posteriors of a touchpoint at a level (`cluster` or `segment` with its name, `global` with an empty one),
        or None."""
        key = (touchpoint, level, name)
        try:
            return self._cells[key]
        except KeyError:
            pass
        place = f"cell:{touchpoint}:{level}:{name}"
        line = self._lines.get(place)
        cell = None
        if line is not None:
            cell = read_cell(level, name, len(self.touchpoint(touchpoint).variants), _load(line, place), place)
        self._cells[key] = cell
        return cell

    def touchpoints_on(self, path: str) -> list[str]:
        """The names of the touchpoints that are configured for a URL path."""
        return self._look_up(path)[0]

    def category_of(self, path: str) -> str:
        """The category of a URL path; empty where it has none."""
        return self._look_up(path)[1]

    def is_observed(self, path: str) -> bool:
        """Whether the pages at a URL path have touchpoints or a category."""
        names, category = self._look_up(path)
        return bool(names or category)

    def _look_up(self, path: str) -> tuple[list[str], str]:
        """Touchpoints and category of a path. The last few hundred paths are kept, as a site has more of both than a
        page."""
        found = self._paths.get(path)
        if found is None:
            pages = self.header.pages.items()
            names = [name for name, patterns in pages if any(path_matches(pattern, path) for pattern in patterns)]
            found = names, find_category(self.header.categories, path)
            if len(self._paths) >= MOST_PATHS:
                del self._paths[next(iter(self._paths))]
            if len(path) <= LONGEST_PATH:
                self._paths[path] = found
        return found

    def recall(self, key: Hashable) -> object:
        """What was kept under a key, or None."""
        return self._kept.get(key)

    def keep(self, key: Hashable, value: object) -> None:
        """Keep what was computed from this snapshot for its life; the oldest goes when there is much."""
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value


def write_snapshot(
    header: Mapping[str, object],
    records: Mapping[str, Mapping[str, object]],
    trained: Mapping[str, object] | None = None,
) -> str:
    """Return the text form of a header and its records (`touchpoint:…` and `cell:…`), checked by reading it back, and
    of what they were trained on. Variants come with their `html`, which the text form sets apart.

    Raises InvalidSnapshot where a reader would.
    """
    for key in records:
        kind, _, rest = key.partition(":")
        touchpoint, *cell = rest.split(":", 2)
        whole = {"touchpoint": 0, "cell": 2}.get(kind) == len(cell)
        if not whole or (cell and cell[0] not in LEVELS[1:]) or f"touchpoint:{touchpoint}" not in records:
            raise InvalidSnapshot(key, "is neither a touchpoint nor a cell of one")
    try:
        noted = {} if trained is None else {TRAINED_KEY: trained}
        lines = [_dump({"format": FORMAT, **header, "records": len(records) + len(noted)})]
        lines.extend(f"{key}\t{_write_record(key, record)}" for key, record in {**records, **noted}.items())
    except ValueError as error:
        raise InvalidSnapshot("", f"cannot be written as JSON: {error}") from error
    text = "\n".join(lines) + "\n"
    _read_all(Snapshot.from_text(text), records)
    return text


def _read_all(snapshot: Snapshot, keys: Iterable[str]) -> None:
    for key in keys:
        _, touchpoint, *cell = key.split(":", 3)
        if cell:
            snapshot.cell(touchpoint, cell[0], cell[1])
        else:
            for index in snapshot.touchpoint(touchpoint).everyone:
                snapshot.html(touchpoint, index)


def _write_record(key: str, record: Mapping[str, object]) -> str:
    """The record as it stands behind its key: a touchpoint's with the columns of its variants, and their HTML behind
    it."""
    if not key.startswith("touchpoint:"):
        return _dump(record)
    reader = Reader(record, key, InvalidSnapshot)
    rows = read_rows(reader)
    refuse_unknown_fields(reader, rows)
    return "\t".join([_dump({**record, "variants": to_columns(rows)}), *[_dump(row.get("html")) for row in rows]])


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _load(text: str, place: str) -> object:
    try:
        return load_json(text)
    except ValueError as error:
        raise InvalidSnapshot(place, f"is not JSON ({error})") from error
