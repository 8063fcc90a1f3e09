"""A snapshot: one immutable published version of configuration, segments and posteriors.

Its text form is one JSON document a line, so that a request parses only what it needs: the first line is the header,
each further line a key, a tab, and the record of one touchpoint (`touchpoint:hero`) or one cell of posteriors
(`cell:hero:segment:vip`). Records are parsed when first asked for, and then kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.conditions import Condition, compile_condition
from shared.errors import InvalidSnapshot, InvalidValue
from shared.parse import Reader, load_json
from shared.policy import thompson_probabilities

FORMAT: Final = 1
MOST_ELIGIBLE_SETS: Final = 1_000
EPOCHS: Final = ("session", "day", "week", "snapshot", "forever")


# Where the edge finds what was published.
POINTER_KEY: Final = "current"
SNAPSHOT_KEY: Final = "snapshot:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which snapshot is live, since when, and when a retrain last confirmed it."""

    version: str
    published_ms: int
    confirmed_ms: int

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
        )

    def to_text(self) -> str:
        """The pointer as it is published."""
        return _dump({"snapshot": self.version, "published_ms": self.published_ms, "confirmed_ms": self.confirmed_ms})


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One candidate for a touchpoint: its HTML (None: the page's own content stays), the least share it is served
    with, and who is eligible (None: everybody)."""

    name: str
    html: str | None
    floor: float
    condition: Condition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touchpoint:
    """A place that is personalised: its variants in published order, the index of the default, how long a decision
    lasts (`epoch`), the URL path patterns it occurs on, and the goal that rewards it."""

    name: str
    variants: tuple[Variant, ...]
    default: int
    epoch: str
    pages: tuple[str, ...]
    goal: str

    def index_of(self, variant: str) -> int | None:
        """The index of the variant of that name, or None."""
        for i, candidate in enumerate(self.variants):
            if candidate.name == variant:
                return i
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The posteriors of a touchpoint's variants at one level, in the variants' order: means and standard deviations
    of the log-odds of reward, and the Thompson probabilities they imply."""

    level: str
    name: str
    means: tuple[float, ...]
    sds: tuple[float, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A rule segment: its name and the condition that puts a visitor into it."""

    name: str
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSource:
    """Where a configured context attribute is read from: the URL's query or a request header, under `name`."""

    attribute: str
    source: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a request needs to know before it looks at any touchpoint."""

    version: str
    site: str
    created_ms: int
    holdout_share: float
    honour_gpc: bool
    segments: tuple[Segment, ...]
    attributes: tuple[AttributeSource, ...]
    goals: tuple[str, ...]
    pages: Mapping[str, tuple[str, ...]]


class Snapshot:
    """A published snapshot, parsed touchpoint by touchpoint as they are asked for.

    Raises InvalidSnapshot from `from_text` when header or outline are damaged or of an unknown format, and from
    `touchpoint` and `cell` when that one record is.
    """

    __slots__ = ("_among", "_cells", "_lines", "_touchpoints", "header", "version")

    def __init__(self, header: Header, lines: Mapping[str, str]) -> None:
        self.header = header
        self.version = header.version
        self._lines = lines
        self._touchpoints: dict[str, Touchpoint] = {}
        self._cells: dict[tuple[str, str, str], Cell | None] = {}
        self._among: dict[tuple[str, str, str, tuple[int, ...]], list[float]] = {}

    @classmethod
    def from_text(cls, text: str) -> Snapshot:
        """Read a snapshot from its text form; only the header is parsed."""
        first, _, rest = text.partition("\n")
        data = _load(first, "header")
        lines = {}
        for line in rest.removesuffix("\n").split("\n") if rest else ():
            key, tab, record = line.partition("\t")
            if not tab:
                raise InvalidSnapshot("records", f"a line without a key: {line[:40]!r}")
            if key in lines:
                raise InvalidSnapshot(key, "stands there twice")
            lines[key] = record
        header, records = _read_header(data)
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
            key = f"touchpoint:{name}"
            found = _read_touchpoint(name, _load(self._lines[key], key))
            self._touchpoints[name] = found
        return found

    def cell(self, touchpoint: str, level: str, name: str) -> Cell | None:
        """The posteriors of a touchpoint at a level (`segment` with its name, `global` with an empty one), or None."""
        key = (touchpoint, level, name)
        if key in self._cells:
            return self._cells[key]
        place = f"cell:{touchpoint}:{level}:{name}"
        line = self._lines.get(place)
        cell = None
        if line is not None:
            cell = _read_cell(level, name, len(self.touchpoint(touchpoint).variants), _load(line, place), place)
        self._cells[key] = cell
        return cell

    def probabilities_among(self, touchpoint: str, cell: Cell, eligible: tuple[int, ...]) -> list[float]:
        """The Thompson probabilities of a cell's eligible variants (their indices) where targeting has removed others.

        Kept for the snapshot's life, since the same few sets come again and again; the oldest goes when there are many.
        """
        key = (touchpoint, cell.level, cell.name, eligible)
        found = self._among.get(key)
        if found is None:
            found = thompson_probabilities([cell.means[i] for i in eligible], [cell.sds[i] for i in eligible])
            if len(self._among) >= MOST_ELIGIBLE_SETS:
                del self._among[next(iter(self._among))]
            self._among[key] = found
        return list(found)


def write_snapshot(header: Mapping[str, object], records: Mapping[str, Mapping[str, object]]) -> str:
    """Return the text form of a header and its records (`touchpoint:…` and `cell:…`), checked by reading it back.

    Raises InvalidSnapshot where a reader would.
    """
    try:
        lines = [_dump({"format": FORMAT, **header, "records": len(records)})]
        lines.extend(f"{key}\t{_dump(record)}" for key, record in records.items())
    except ValueError as error:
        raise InvalidSnapshot("", f"cannot be written as JSON: {error}") from error
    text = "\n".join(lines) + "\n"
    snapshot = Snapshot.from_text(text)
    for key in records:
        kind, _, rest = key.partition(":")
        touchpoint, *cell = rest.split(":", 2)
        whole = {"touchpoint": 0, "cell": 2}.get(kind) == len(cell)
        if not whole or f"touchpoint:{touchpoint}" not in records:
            raise InvalidSnapshot(key, "is neither a touchpoint nor a cell of one")
        snapshot.touchpoint(touchpoint)
        if cell:
            snapshot.cell(touchpoint, cell[0], cell[1])
    return text


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _load(text: str, place: str) -> object:
    try:
        return load_json(text)
    except ValueError as error:
        raise InvalidSnapshot(place, f"is not JSON ({error})") from error


def _read_header(data: object) -> tuple[Header, int]:
    reader = Reader(data, "header", InvalidSnapshot)
    if reader.data.get("format") != FORMAT or reader.data.get("format") is True:
        raise InvalidSnapshot("header.format", f"this version reads format {FORMAT}, got {reader.data.get('format')!r}")
    pages = Reader(reader.mapping("pages"), "header.pages", InvalidSnapshot)
    header = Header(
        version=reader.text("version", longest=200),
        site=reader.text("site", longest=200),
        created_ms=reader.whole("created_ms", low=0, high=1 << 53),
        holdout_share=reader.number("holdout_share", low=0.0, high=1.0),
        honour_gpc=reader.flag("honour_gpc", default=True),
        segments=tuple(_read_segment(each, i) for i, each in enumerate(reader.items("segments"))),
        attributes=tuple(_read_attribute(each, i) for i, each in enumerate(reader.items("attributes"))),
        goals=reader.texts("goals"),
        pages={name: pages.texts(name) for name in pages.data},
    )
    return header, reader.whole("records", low=0, high=1 << 31)


def _read_segment(data: object, index: int) -> Segment:
    reader = Reader(data, f"header.segments[{index}]", InvalidSnapshot)
    return Segment(name=reader.text("name", longest=200), condition=_compile(reader, "condition"))


def _read_attribute(data: object, index: int) -> AttributeSource:
    reader = Reader(data, f"header.attributes[{index}]", InvalidSnapshot)
    source = reader.text("source", longest=20)
    if source not in ("query", "header"):
        raise reader.fail("source", "query or header")
    return AttributeSource(
        attribute=reader.text("attribute", longest=200), source=source, name=reader.text("name", longest=200)
    )


def _compile(reader: Reader, key: str) -> Condition:
    try:
        return compile_condition(reader.mapping(key), reader.place(key))
    except InvalidValue as error:
        raise InvalidSnapshot(error.path, error.problem) from error


def _read_touchpoint(name: str, data: object) -> Touchpoint:
    reader = Reader(data, f"touchpoint:{name}", InvalidSnapshot)
    variants = tuple(_read_variant(reader, each, i) for i, each in enumerate(reader.items("variants")))
    if not variants:
        raise InvalidSnapshot(reader.place("variants"), "is empty")
    if len({variant.name for variant in variants}) != len(variants):
        raise InvalidSnapshot(reader.place("variants"), "two variants have the same name")
    epoch = reader.text("epoch", longest=20)
    if epoch not in EPOCHS:
        raise reader.fail("epoch", f"one of {', '.join(EPOCHS)}")
    return Touchpoint(
        name=name,
        variants=variants,
        default=reader.whole("default", low=0, high=len(variants) - 1),
        epoch=epoch,
        pages=reader.texts("pages"),
        goal=reader.text("goal", longest=200),
    )


def _read_variant(parent: Reader, data: object, index: int) -> Variant:
    reader = Reader(data, f"{parent.path}.variants[{index}]", InvalidSnapshot)
    return Variant(
        name=reader.text("name", longest=200),
        html=reader.optional_text("html"),
        floor=reader.number("floor", low=0.0, high=1.0),
        condition=_compile(reader, "condition") if reader.data.get("condition") is not None else None,
    )


def _read_cell(level: str, name: str, count: int, data: object, place: str) -> Cell:
    reader = Reader(data, place, InvalidSnapshot)
    probabilities = reader.numbers("probabilities", length=count, low=0.0, high=1.0)
    total = 0.0
    for probability in probabilities:
        total += probability
    if not -1e-9 <= total - 1.0 <= 1e-9:
        raise InvalidSnapshot(reader.place("probabilities"), f"sum to {total!r}, not to 1")
    return Cell(
        level=level,
        name=name,
        means=reader.numbers("means", length=count, low=-1e6, high=1e6),
        sds=reader.numbers("sds", length=count, low=1e-12, high=1e6),
        probabilities=probabilities,
    )
