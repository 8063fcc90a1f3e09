"""The configuration, `usher.toml`: what it may say, and what to write instead where it says something else.

Types and ranges are the models' business; what spans several fields is checked on the parsed file itself, so that
one wrong field does not hide the rest and all problems are reported at once, in the order of the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, ValidationError, field_validator
from pydantic.config import ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from origin.catalogue import NAME, Expansion, expand_catalogue
from origin.category_config import CATEGORY_NAME, CategoryConfig, CategoryName, find_category_problems
from origin.config_checks import find_cross_problems, tables
from origin.errors import ConfigError
from origin.event_config import PROPERTY, WORD, EventConfig, GoalConfig, QuestionConfig, Word, find_event_problems
from origin.problems import Place, Problem, explain, find_position
from origin.touchpoint_config import (
    PAGE,
    CatalogueConfig,
    LearningConfig,
    LevelsConfig,
    Name,
    Phrase,
    Section,
    ShiftConfig,
    TouchpointConfig,
    VariantConfig,
)

_SLUG: Final = r"^[a-z0-9][a-z0-9-]*$"
HEADER_NAME: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_ORIGIN: Final = r"^(https://[a-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?$"
_ALLOWED: Final = {
    NAME: 'a name of letters, digits, "_", "." and "-" that begins with a letter or a digit',
    _SLUG: 'small letters, digits and "-"',
    PAGE: 'a path that begins with "/", without query and fragment',
    PROPERTY: 'letters, digits and "_", not beginning with a digit',
    WORD: 'letters, digits, "_" and "-"',
    CATEGORY_NAME: 'letters, digits, "_" and "-", the first of them a letter or a digit',
    HEADER_NAME: 'the name of a header or cookie, as in "cf-ipcountry"',
    _ORIGIN: "an origin as browsers send it: https, the host in small letters, no path",
}

Source = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Origin = Annotated[str, StringConstraints(pattern=_ORIGIN, max_length=200)]
Weight = Annotated[float, Field(ge=-20, le=20)]


class SiteConfig(Section):
    """The site as a whole."""

    id: Annotated[str, StringConstraints(pattern=_SLUG, max_length=100)] = Field(examples=["my-shop"])
    """Salt of the holdout and of every decision. Never change it: all visitors would be drawn anew."""
    holdout_share: float = Field(default=0.1, ge=0, le=0.5, examples=[0.1])
    """Share of visitors who are never personalised; lift is measured against them. 0.05 to 0.1 is recommended."""
    honour_gpc: bool = Field(default=True, examples=[True])
    """Whether Global Privacy Control (`Sec-GPC: 1`) means: the default variants, nothing stored, nothing learned."""
    origins: tuple[Origin, ...] = Field(default=(), strict=False, examples=[["https://www.example.com"]])
    """Other origins of yours whose pages may send events to the edge; its own pages need not be named."""
    interest: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", examples=["session.preferences.topic"]
    )
    """Path of the attribute that holds a visitor's primary interest, as variants' `interests` name it; empty: none."""


CookieName = Annotated[str, StringConstraints(pattern=HEADER_NAME, max_length=200)]


class ConsentConfig(Section):
    """What a visitor must have agreed to before anything is personalised, stored or learned."""

    cookie: CookieName = Field(examples=["CookieConsent"])
    """Name of the cookie in which the site's consent tool keeps the visitor's choice."""
    granted: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(examples=["preferences:true"])
    """Text that stands in that cookie (percent-decoded) where the visitor has agreed to personalisation."""


HeaderName = Annotated[str, StringConstraints(pattern=HEADER_NAME, max_length=200)]


class AttributeConfig(Section):
    """Where a context attribute is read from: exactly one of `query` and `header`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["query"]}, {"required": ["header"]}]})

    query: Source | None = Field(default=None, examples=["utm_source"])
    """Name of the URL's query parameter that holds the attribute."""
    header: HeaderName | None = Field(default=None, examples=["cf-ipcountry"])
    """Name of the request header that holds the attribute; upper and lower case are the same."""

    @field_validator("header")
    @classmethod
    def _lower(cls, header: str | None) -> str | None:
        return None if header is None else header.lower()


class SegmentConfig(Section):
    """A rule segment. A visitor belongs to the first one, in the order of the file, whose condition holds."""

    condition: dict[str, Any] = Field(examples=[{"device": "mobile"}])
    """Who belongs to the segment, in GrowthBook's condition syntax over the attributes."""
    because: Phrase | None = Field(default=None, examples=["you read this on a phone"])
    """What puts a visitor there: what one who asks reads after "because"."""


class IntentConfig(Section):
    """The live intent score: how likely a visit is to lead to something, as conditions read it in `session.intent`."""

    bias: float = Field(default=0.0, ge=-20, le=20, examples=[-2.0])
    """Log-odds of intent where all features are 0: -2 is a score of 0.12, 0 one of 0.5."""
    weights: dict[str, Weight] = Field(examples=[{"session.views": 0.2, "session.referral=search": 0.3}])
    """By how much each feature moves the log-odds: a number times its weight, `attribute=value` once where it holds."""


class IdentityConfig(Section):
    """How far devices and users are stitched together into persons: what goes beyond is shared, or a runaway merge."""

    users_per_visitor: int = Field(default=3, ge=1, le=1000, examples=[3])
    """So many users may appear on one device within `window_days`; with one more it counts as shared, for good."""
    window_days: int = Field(default=30, ge=1, le=3660, examples=[30])
    """Length in days of the window within which the users of a device are counted."""
    visitors_per_user: int = Field(default=15, ge=1, le=10_000, examples=[15])
    """So many new devices (private windows and cleared cookies are such too) a user may appear on within
    `user_window_days`; with one more it counts as shared, for good, like the `guest` of a site that calls many so."""
    user_window_days: int = Field(default=7, ge=1, le=3660, examples=[7])
    """Length in days of the window within which the devices of a user are counted."""
    visitors_per_person: int = Field(default=20, ge=1, le=10_000, examples=[20])
    """So many devices a person may have; what would join more is not joined. Where a single device is added, only
    those count that were new within `person_window_days`."""
    person_window_days: int = Field(default=90, ge=1, le=3660, examples=[90])
    """From how many days on a device of a person leaves room for a new one: its cookie may have been cleared."""


class Config(Section):
    """The whole of `usher.toml`. Made by `load_config`, which also checks what the models alone cannot."""

    site: SiteConfig = Field(examples=[{"id": "my-shop"}])
    """The site as a whole."""
    consent: ConsentConfig | None = Field(default=None, examples=[{"cookie": "consent", "granted": "yes"}])
    """Required consent. Left out, visitors are personalised until they opt out (cookie `usher-optout=1`)."""
    attributes: dict[Name, AttributeConfig] = Field(default={}, examples=[{"source": {"query": "utm_source"}}])
    """Context attributes for conditions, beside the built-in path, device, language and referrer."""
    goals: dict[Name, GoalConfig] = Field(default={}, examples=[{"signup": {"window_h": 24}}])
    """Events that reward variants."""
    events: dict[Name, EventConfig] = Field(default={}, examples=[{"trial_begun": {"properties": {"plan": "text"}}}])
    """The site's own events, with their properties: what is not planned here goes to quarantine."""
    questions: dict[Word, QuestionConfig] = Field(default={}, examples=[{"topic": {"answers": ["coats", "shoes"]}}])
    """Questions that visitors may answer about what they like, three at most."""
    categories: dict[CategoryName, CategoryConfig] = Field(
        default={}, examples=[{"pricing": {"pages": ["/pricing", "/pricing/*"]}}]
    )
    """Categories of pages, which the state of a visit counts; the first that names a page is its category."""
    segments: dict[Name, SegmentConfig] = Field(default={}, examples=[{"mobile": {"condition": {"device": "mobile"}}}])
    """Rule segments, in order of precedence."""
    identity: IdentityConfig = Field(default=IdentityConfig(), examples=[{"users_per_visitor": 3}])
    """How far devices and users are stitched together into persons."""
    intent: IntentConfig | None = Field(default=None, examples=[{"weights": {"session.views": 0.2}}])
    """The live intent score."""
    phrases: dict[str, Phrase] = Field(default={}, examples=[{"session.views": "you looked at {value} pages"}])
    """What visitors may be told about features; `{value}` stands for the attribute's value."""
    touchpoints: dict[Name, TouchpointConfig] = Field(min_length=1, examples=[{"hero": {"default": "house"}}])
    """The places that are personalised; the name is what the page says in `data-usher`."""


def load_config(path: Path) -> Config:
    """Read and check `usher.toml` and the catalogues it names.

    Raises ConfigError with every problem found, each as one line that names the file, the place and the remedy.
    """
    raw = _read_toml(path)
    expansions = {
        name: expand_catalogue(path.parent, section)
        for name, touchpoint in tables(raw, "touchpoints")
        if isinstance(section := touchpoint.get("catalogue"), Mapping)
    }
    problems = [*find_cross_problems(raw, expansions), *find_event_problems(raw), *find_category_problems(raw)]
    config = None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += map(_explain, filter(_is_cause, error.errors(include_url=False)))
    if config is None or problems:
        problems.sort(key=lambda problem: find_position(raw, problem.place))
        raise ConfigError(dict.fromkeys(f"{path.name}: {problem}" for problem in problems))
    for name, expansion in expansions.items():
        touchpoint = config.touchpoints[name]
        touchpoint._expanded = _expand(touchpoint, expansion)
    return config


def config_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `usher.toml`, for editors that complete and check TOML by it."""
    schema = Config.model_json_schema(schema_generator=_TomlSchema)
    return {"$schema": _TomlSchema.schema_dialect, **schema, "title": "usher.toml"}


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null: a field that may be left out has the type it has when it is there."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", "") is None:
            del generated["default"]
        return generated


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        problem = f"does not exist in {path.parent.absolute()}; write one, or name another path"
        raise ConfigError([f"{path.name}: {problem}"]) from error
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name the path of a file"
        raise ConfigError([f"{path.name}: {problem}"]) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (line {error.object[: error.start].count(10) + 1}); save the file as UTF-8"
        raise ConfigError([f"{path.name}: {problem}"]) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{path.name}: is not valid TOML: {error}; correct that place"]) from error


def _expand(touchpoint: TouchpointConfig, expansion: Expansion) -> tuple[VariantConfig, ...]:
    catalogue = touchpoint.catalogue
    assert catalogue is not None
    rows = zip(expansion.names, expansion.htmls, expansion.interests, strict=True)
    common = {"floor": catalogue.floor, "cap": catalogue.cap, "min_impressions": catalogue.min_impressions}
    return tuple(
        VariantConfig.model_validate({"name": name, "html": html, "interests": interests, **common})
        for name, html, interests in rows
    )


def _is_cause(error: ErrorDetails) -> bool:
    """Not where a list only counts as empty because all that stands in it is invalid."""
    return error["type"] != "too_short" or not error["input"]


def _explain(error: ErrorDetails) -> Problem:
    place = error["loc"]
    while isinstance(place[-1], int):
        place = place[:-1]
    model = _model_at(place[:-1])
    known = {} if model is None else {key: field.examples for key, field in model.model_fields.items()}
    return explain(error, known, _ALLOWED)


def _model_at(place: Place) -> type[Section] | None:
    """The model of the table at a place, or None where the keys are names of the author's own."""
    match place:
        case ():
            return Config
        case ("site",):
            return SiteConfig
        case ("intent",):
            return IntentConfig
        case ("identity",):
            return IdentityConfig
        case (str(section), _) if section in _NAMED:
            return _NAMED[section]
        case ("touchpoints", _, "variants", int()):
            return VariantConfig
        case ("touchpoints", _, "variants", int(), "shifts", _):
            return ShiftConfig
        case ("touchpoints", _, "catalogue"):
            return CatalogueConfig
        case ("touchpoints", _, "levels"):
            return LevelsConfig
        case ("touchpoints", _, "learning"):
            return LearningConfig
    return None


_NAMED: Final[Mapping[str, type[Section]]] = {
    "attributes": AttributeConfig,
    "goals": GoalConfig,
    "events": EventConfig,
    "questions": QuestionConfig,
    "categories": CategoryConfig,
    "segments": SegmentConfig,
    "touchpoints": TouchpointConfig,
}
