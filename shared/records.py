"""The records of a snapshot as types: its header, one touchpoint, one cell of posteriors.

What may be absent has a default here, so that an edge of this version reads what an older origin published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.categories import Category, read_categories
from shared.conditions import Condition, compile_condition
from shared.errors import InvalidSnapshot, InvalidValue
from shared.events.plan import Plan, read_plan
from shared.features import Feature, compile_feature
from shared.parse import Reader
from shared.posterior import LARGEST, LEVELS, Posterior, Shift, read_posterior
from shared.sensitive import REFUSED, find_sensitive
from shared.session import Intent

FORMAT: Final = 2
EPOCHS: Final = ("session", "day", "week", "snapshot", "forever")
HOUR_MS: Final = 3_600_000
INDIVIDUAL_TTL_MS: Final = 48 * HOUR_MS
CLUSTER_TTL_MS: Final = 30 * 24 * HOUR_MS
MOST_SLOTS: Final = 100
MOST_FEATURES: Final = 50
# What a header may be called (RFC 9110, section 5.6.2).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LATEST_MS: Final = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One candidate for a touchpoint: its HTML (None: the page's own content stays), the least and the largest share
    it is served with, the interests it is tagged with, who is eligible (None: everybody), and what to tell those who
    are (empty: nothing)."""

    name: str
    html: str | None
    floor: float
    cap: float
    interests: tuple[str, ...]
    condition: Condition | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Touchpoint:
    """A place that is personalised.

    Its variants in published order and the index of the default; how long a decision lasts (`epoch`); the URL path
    patterns it occurs on and the goal that rewards it; the finest level it may use, the model versions whose individual
    scores it accepts, and how old a profile may be for either use; the least share for variants of other interests than
    the visitor's primary one; how many variants are shown at once (`slots`), and which of those positions are kept for
    other interests; how the session shifts its posteriors. What follows from the variants is kept beside them, so that
    a request does not work it out again: their `names`, `everyone` (all indices), `floors`, `caps`,
    `tags` (all interests that they name) and `suffixes` (their part of what is hashed), whether any has a condition
    (`is_targeted`) or interests (`is_tagged`), and whether the session neither shifts it nor bears on its interests
    (`is_plain`).
    """

    name: str
    variants: tuple[Variant, ...]
    default: int
    epoch: str
    pages: tuple[str, ...]
    goal: str
    finest: int
    models: tuple[str, ...]
    individual_ttl_ms: int
    cluster_ttl_ms: int
    interest_share: float
    slots: int
    interest_slots: tuple[int, ...]
    shift: Shift | None
    names: tuple[str, ...]
    everyone: tuple[int, ...]
    floors: tuple[float, ...]
    caps: tuple[float, ...]
    tags: frozenset[str]
    suffixes: tuple[bytes, ...]
    is_targeted: bool
    is_tagged: bool
    is_plain: bool

    def index_of(self, variant: str) -> int | None:
        """The index of the variant of that name, or None."""
        try:
            return self.names.index(variant)
        except ValueError:
            return None

    def names_beside(self, eligible: tuple[int, ...]) -> tuple[str, ...]:
        """The names of the variants that are not among these indices: what targeting has removed."""
        if len(eligible) == len(self.names):
            return ()
        return tuple([name for i, name in enumerate(self.names) if i not in eligible])

    def allows(self, level: str) -> bool:
        """Whether the touchpoint may use posteriors of that level."""
        return LEVELS.index(level) >= self.finest


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A rule segment: its name, the condition that puts a visitor into it, and what to tell those (empty: nothing)."""

    name: str
    condition: Condition
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSource:
    """Where a configured context attribute is read from: the URL's query or a request header, under `name`."""

    attribute: str
    source: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """What may be told to a visitor about one feature; `{value}` stands for its value."""

    name: str
    feature: Feature
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Where a site keeps what a visitor has agreed to: the cookie, and the text that stands in it where personalisation
    is granted."""

    cookie: str
    granted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a request needs to know before it looks at any touchpoint."""

    version: str
    site: str
    created_ms: int
    holdout_share: float
    honour_gpc: bool
    consent: Consent | None
    origins: tuple[str, ...]
    segments: tuple[Segment, ...]
    attributes: tuple[AttributeSource, ...]
    goals: tuple[str, ...]
    plan: Plan
    pages: Mapping[str, tuple[str, ...]]
    interest: str
    intent: Intent | None
    phrases: tuple[Phrase, ...]
    has_profiles: bool
    categories: tuple[Category, ...]


def read_header(data: object) -> tuple[Header, int]:
    """Return the header and how many records the snapshot should hold. Raises InvalidSnapshot."""
    reader = Reader(data, "header", InvalidSnapshot)
    if reader.data.get("format") != FORMAT or reader.data.get("format") is True:
        raise InvalidSnapshot("header.format", f"this version reads format {FORMAT}, got {reader.data.get('format')!r}")
    pages = Reader(reader.mapping("pages"), "header.pages", InvalidSnapshot)
    interest = reader.optional_text("interest", longest=200) or ""
    _refuse_sensitive(interest, reader.place("interest"))
    header = Header(
        version=reader.text("version", longest=200),
        site=reader.text("site", longest=200),
        created_ms=reader.whole("created_ms", low=0, high=_LATEST_MS),
        holdout_share=reader.number("holdout_share", low=0.0, high=1.0),
        honour_gpc=reader.flag("honour_gpc", default=True),
        consent=_read_consent(reader),
        origins=_texts(reader, "origins"),
        segments=tuple(_read_segment(each, i) for i, each in enumerate(reader.items("segments"))),
        attributes=tuple(_read_attribute(each, i) for i, each in enumerate(reader.items("attributes"))),
        goals=reader.texts("goals"),
        plan=read_plan(reader),
        pages={name: pages.texts(name) for name in pages.data},
        interest=interest,
        intent=_read_intent(reader),
        phrases=_read_phrases(reader),
        has_profiles=reader.flag("has_profiles", default=False),
        categories=read_categories(reader),
    )
    return header, reader.whole("records", low=0, high=1 << 31)


def _read_consent(parent: Reader) -> Consent | None:
    if parent.data.get("consent") is None:
        return None
    reader = Reader(parent.mapping("consent"), parent.place("consent"), InvalidSnapshot)
    consent = Consent(cookie=reader.text("cookie", longest=200), granted=reader.text("granted", longest=200))
    if not consent.granted:  # stands in every cookie
        raise reader.fail("granted", "a text that is not empty")
    return consent


def _read_segment(data: object, index: int) -> Segment:
    reader = Reader(data, f"header.segments[{index}]", InvalidSnapshot)
    return Segment(
        name=reader.text("name", longest=200),
        condition=_compile(reader, "condition"),
        because=reader.optional_text("because", longest=200) or "",
    )


def _read_attribute(data: object, index: int) -> AttributeSource:
    reader = Reader(data, f"header.attributes[{index}]", InvalidSnapshot)
    source = reader.text("source", longest=20)
    if source not in ("query", "header"):
        raise reader.fail("source", "query or header")
    name = reader.text("name", longest=200)
    if source == "header" and not _TOKEN.fullmatch(name):
        raise reader.fail("name", "the name of a header")
    return AttributeSource(attribute=reader.text("attribute", longest=200), source=source, name=name)


def _read_intent(parent: Reader) -> Intent | None:
    if parent.data.get("intent") is None:
        return None
    reader = Reader(parent.mapping("intent"), parent.place("intent"), InvalidSnapshot)
    weights = Reader(reader.mapping("weights"), reader.place("weights"), InvalidSnapshot)
    names = tuple(weights.data)
    if len(names) > MOST_FEATURES:
        raise InvalidSnapshot(weights.path, f"{len(names)} features; at most {MOST_FEATURES} are allowed")
    return Intent(
        bias=reader.number("bias", low=-LARGEST, high=LARGEST),
        names=names,
        features=_compile_features(names, weights.path),
        weights=tuple(weights.number(name, low=-LARGEST, high=LARGEST) for name in names),
    )


def _read_phrases(parent: Reader) -> tuple[Phrase, ...]:
    if parent.data.get("phrases") is None:
        return ()
    reader = Reader(parent.mapping("phrases"), parent.place("phrases"), InvalidSnapshot)
    features = _compile_features(tuple(reader.data), reader.path)
    return tuple(
        Phrase(name=name, feature=feature, text=reader.text(name, longest=200))
        for name, feature in zip(reader.data, features, strict=True)
    )


def _compile_features(names: tuple[str, ...], place: str) -> tuple[Feature, ...]:
    for name in names:
        _refuse_sensitive(name, place)
    return tuple(compile_feature(name) for name in names)


def _refuse_sensitive(data: object, place: str) -> None:
    """Refuse a name, or what holds names and texts, of which one is on the sensitive list."""
    found = find_sensitive(data)
    if found is not None:
        raise InvalidSnapshot(place, f"{found!r} {REFUSED}")


def _compile(reader: Reader, key: str) -> Condition:
    try:
        condition = compile_condition(reader.mapping(key), reader.place(key))
    except InvalidValue as error:
        raise InvalidSnapshot(error.path, error.problem) from error
    _refuse_sensitive(reader.mapping(key), reader.place(key))
    return condition


def read_touchpoint(name: str, data: object) -> Touchpoint:
    """Read the record of one touchpoint. Raises InvalidSnapshot."""
    reader = Reader(data, f"touchpoint:{name}", InvalidSnapshot)
    variants = tuple(_read_variant(reader, each, i) for i, each in enumerate(reader.items("variants")))
    names = tuple(variant.name for variant in variants)
    if not variants:
        raise InvalidSnapshot(reader.place("variants"), "is empty")
    if len(set(names)) != len(variants):
        raise InvalidSnapshot(reader.place("variants"), "two variants have the same name")
    is_tagged = any(variant.interests for variant in variants)
    shift = _read_shift(reader, len(variants))
    slots = _whole(reader, "slots", low=1, high=MOST_SLOTS, default=1)
    return Touchpoint(
        name=name,
        variants=variants,
        default=reader.whole("default", low=0, high=len(variants) - 1),
        epoch=_one_of(reader, "epoch", EPOCHS),
        pages=reader.texts("pages"),
        goal=reader.text("goal", longest=200),
        finest=LEVELS.index(_one_of(reader, "finest", LEVELS, default="segment")),
        models=_texts(reader, "models"),
        individual_ttl_ms=_whole(reader, "individual_ttl_ms", low=0, high=_LATEST_MS, default=INDIVIDUAL_TTL_MS),
        cluster_ttl_ms=_whole(reader, "cluster_ttl_ms", low=0, high=_LATEST_MS, default=CLUSTER_TTL_MS),
        interest_share=reader.number("interest_share", low=0.0, high=1.0) if "interest_share" in reader.data else 0.0,
        slots=slots,
        interest_slots=_read_positions(reader, slots),
        shift=shift,
        names=names,
        everyone=tuple(range(len(variants))),
        floors=tuple([variant.floor for variant in variants]),
        caps=tuple([variant.cap for variant in variants]),
        tags=frozenset([tag for variant in variants for tag in variant.interests]),
        suffixes=tuple(each.encode("utf-8", "surrogatepass") for each in names),
        is_targeted=any(variant.condition is not None for variant in variants),
        is_tagged=is_tagged,
        is_plain=shift is None and not is_tagged,
    )


def _read_variant(parent: Reader, data: object, index: int) -> Variant:
    reader = Reader(data, f"{parent.path}.variants[{index}]", InvalidSnapshot)
    floor = reader.number("floor", low=0.0, high=1.0)
    cap = reader.number("cap", low=0.0, high=1.0) if "cap" in reader.data else 1.0
    if floor > cap:
        raise InvalidSnapshot(reader.place("floor"), f"{floor!r} is above the cap {cap!r}")
    return Variant(
        name=reader.text("name", longest=200),
        html=reader.optional_text("html"),
        floor=floor,
        cap=cap,
        interests=_texts(reader, "interests"),
        condition=_compile(reader, "condition") if reader.data.get("condition") is not None else None,
        because=reader.optional_text("because", longest=200) or "",
    )


def _read_positions(reader: Reader, slots: int) -> tuple[int, ...]:
    if reader.data.get("interest_slots") is None:
        return ()
    positions = reader.numbers("interest_slots", length=len(reader.items("interest_slots")), low=0, high=slots - 1)
    whole = tuple(int(position) for position in positions)
    if list(whole) != sorted(set(positions)):
        raise reader.fail("interest_slots", "increasing whole positions")
    return whole


def _read_shift(parent: Reader, count: int) -> Shift | None:
    if parent.data.get("shift") is None:
        return None
    reader = Reader(parent.mapping("shift"), parent.place("shift"), InvalidSnapshot)
    names = reader.texts("features")
    if len(names) > MOST_FEATURES:
        raise InvalidSnapshot(reader.place("features"), f"{len(names)}; at most {MOST_FEATURES} are allowed")
    weights = _rows(reader, "weights", count, len(names))
    covariances = reader.items("covariances")
    if len(covariances) != count:
        raise InvalidSnapshot(reader.place("covariances"), f"expected one a variant ({count}), got {len(covariances)}")
    size = len(names)
    matrices = []
    for i in range(count):
        row_reader = Reader({"matrix": covariances[i]}, f"{reader.place('covariances')}[{i}]", InvalidSnapshot)
        matrix = _rows(row_reader, "matrix", size, size)
        if not _is_covariance(matrix):
            raise InvalidSnapshot(row_reader.path, "is not symmetric and positive semidefinite")
        matrices.append(matrix)
    features = _compile_features(names, reader.place("features"))
    return Shift(names=names, features=features, weights=weights, covariances=tuple(matrices))


def _rows(reader: Reader, key: str, rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
    values = reader.items(key)
    if len(values) != rows:
        raise InvalidSnapshot(reader.place(key), f"expected {rows} rows, got {len(values)}")
    row_reader = Reader({f"{key}[{i}]": row for i, row in enumerate(values)}, reader.path, InvalidSnapshot)
    return tuple(row_reader.numbers(f"{key}[{i}]", length=columns, low=-LARGEST, high=LARGEST) for i in range(rows))


def _is_covariance(matrix: tuple[tuple[float, ...], ...]) -> bool:
    """Whether a square matrix is symmetric and, within rounding, positive semidefinite: elimination leaves no negative
    pivot, and nothing beside a pivot of zero."""
    size = len(matrix)
    if any(matrix[i][j] != matrix[j][i] for i in range(size) for j in range(i)):
        return False
    rest = [list(row) for row in matrix]
    largest = max((abs(matrix[i][i]) for i in range(size)), default=0.0)
    slack = 1e-9 * largest
    for i in range(size):
        pivot = rest[i][i]
        if pivot < -slack:
            return False
        if pivot <= slack:
            if any(abs(rest[i][j]) > slack + 1e-4 * largest for j in range(i + 1, size)):
                return False
            continue
        for j in range(i + 1, size):
            factor = rest[j][i] / pivot
            for k in range(i, size):
                rest[j][k] -= factor * rest[i][k]
    return True


def read_cell(level: str, name: str, count: int, data: object, place: str) -> Posterior:
    """Read the posteriors of a touchpoint's `count` variants at a level. Raises InvalidSnapshot."""
    return read_posterior(Reader(data, place, InvalidSnapshot), level, name, count, has_probabilities=True)


def _whole(reader: Reader, key: str, *, low: int, high: int, default: int) -> int:
    return reader.whole(key, low=low, high=high) if key in reader.data else default


def _texts(reader: Reader, key: str) -> tuple[str, ...]:
    return reader.texts(key) if key in reader.data else ()


def _one_of(reader: Reader, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    if default is not None and key not in reader.data:
        return default
    value = reader.text(key, longest=20)
    if value not in allowed:
        raise reader.fail(key, f"one of {', '.join(allowed)}")
    return value
