"""The header of a snapshot: what a request needs to know before it looks at any touchpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.categories import Category, read_categories
from shared.conditions import Condition
from shared.errors import InvalidSnapshot
from shared.events.plan import Plan, read_plan
from shared.features import Feature
from shared.parse import Reader
from shared.posterior import LARGEST
from shared.records.parts import (
    LATEST_MS,
    MOST_FEATURES,
    compile_checked,
    compile_features,
    read_texts,
    refuse_sensitive,
)
from shared.session import Intent

FORMAT: Final = 3
# What an older origin published: the HTML of variants stood in the records of touchpoints.
OLDER_FORMAT: Final = 2
# What a header may be called (RFC 9110, section 5.6.2).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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
    """What a request needs to know before it looks at any touchpoint. `is_older` says that it was published in the
    OLDER_FORMAT."""

    is_older: bool
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
    if reader.data.get("format") not in (FORMAT, OLDER_FORMAT):
        read = f"this version reads format {FORMAT}, and {OLDER_FORMAT} before it"
        raise InvalidSnapshot("header.format", f"{read}; got {reader.data.get('format')!r}")
    pages = Reader(reader.mapping("pages"), "header.pages", InvalidSnapshot)
    interest = reader.optional_text("interest", longest=200) or ""
    refuse_sensitive(interest, reader.place("interest"))
    header = Header(
        is_older=reader.data["format"] == OLDER_FORMAT,
        version=reader.text("version", longest=200),
        site=reader.text("site", longest=200),
        created_ms=reader.whole("created_ms", low=0, high=LATEST_MS),
        holdout_share=reader.number("holdout_share", low=0.0, high=1.0),
        honour_gpc=reader.flag("honour_gpc", default=True),
        consent=_read_consent(reader),
        origins=read_texts(reader, "origins"),
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
        condition=compile_checked(reader, "condition"),
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
        features=compile_features(names, weights.path),
        weights=tuple(weights.number(name, low=-LARGEST, high=LARGEST) for name in names),
    )


def _read_phrases(parent: Reader) -> tuple[Phrase, ...]:
    if parent.data.get("phrases") is None:
        return ()
    reader = Reader(parent.mapping("phrases"), parent.place("phrases"), InvalidSnapshot)
    features = compile_features(tuple(reader.data), reader.path)
    return tuple(
        Phrase(name=name, feature=feature, text=reader.text(name, longest=200))
        for name, feature in zip(reader.data, features, strict=True)
    )
