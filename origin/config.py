"""The configuration, `usher.toml`: what it may say, and what to write instead where it says something else.

Types and ranges are the models' business; what spans several fields is checked on the parsed file itself, so that
one wrong field does not hide the rest and all problems are reported at once, in the order of the file.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from origin.catalogue import (
    LONGEST_NAME,
    NAME,
    Expansion,
    expand_catalogue,
    find_catalogue_problems,
    find_condition_problems,
    find_variant_problems,
)
from origin.errors import ConfigError
from origin.problems import Place, Problem, explain, find_position, show, show_key, show_place, suggest

BUILT_IN_ATTRIBUTES: Final = ("path", "device", "language", "referrer")
_SECRET_HEADERS: Final = ("cookie", "authorization")
_SLUG: Final = r"^[a-z0-9][a-z0-9-]*$"
_PAGE: Final = r"^/[^?#\s]*$"
_ALLOWED: Final = {
    NAME: 'a name of letters, digits, "_", "." and "-" that begins with a letter or a digit',
    _SLUG: 'small letters, digits and "-"',
    _PAGE: 'a path that begins with "/", without query and fragment',
}

Name = Annotated[str, StringConstraints(pattern=NAME, max_length=LONGEST_NAME)]
Page = Annotated[str, StringConstraints(pattern=_PAGE)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Epoch = Literal["session", "day", "week", "snapshot", "forever"]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class SiteConfig(_Section):
    """The site as a whole."""

    id: Annotated[str, StringConstraints(pattern=_SLUG, max_length=100)] = Field(examples=["my-shop"])
    """Salt of the holdout and of every decision. Never change it: all visitors would be drawn anew."""
    holdout_share: float = Field(default=0.1, ge=0, le=0.5, examples=[0.1])
    """Share of visitors who are never personalised; lift is measured against them. 0.05 to 0.1 is recommended."""
    honour_gpc: bool = Field(default=True, examples=[True])
    """Whether Global Privacy Control (`Sec-GPC: 1`) means: the default variants, nothing stored, nothing learned."""


class AttributeConfig(_Section):
    """Where a context attribute is read from: exactly one of `query` and `header`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["query"]}, {"required": ["header"]}]})

    query: Source | None = Field(default=None, examples=["utm_source"])
    """Name of the URL's query parameter that holds the attribute."""
    header: Source | None = Field(default=None, examples=["cf-ipcountry"])
    """Name of the request header that holds the attribute; upper and lower case are the same."""

    @field_validator("header")
    @classmethod
    def _lower(cls, header: str | None) -> str | None:
        return None if header is None else header.lower()


class GoalConfig(_Section):
    """An event that rewards a variant."""

    window_h: float = Field(default=24.0, gt=0, examples=[24])
    """Attribution window in hours: how long after the exposure the event still counts."""


class SegmentConfig(_Section):
    """A rule segment. A visitor belongs to the first one, in the order of the file, whose condition holds."""

    condition: dict[str, Any] = Field(examples=[{"device": "mobile"}])
    """Who belongs to the segment, in GrowthBook's condition syntax over the attributes."""


class VariantConfig(_Section):
    """One candidate for a touchpoint."""

    name: Name = Field(examples=["summer"])
    """Name of the variant, unique within the touchpoint."""
    html: str | None = Field(default=None, examples=["<h1>Summer is here</h1>"])
    """What stands in the slot. The default variant may leave it out: then the page's own content stays."""
    floor: float = Field(default=0.0, ge=0, le=1, examples=[0.05])
    """Least share of decisions the variant gets while it is eligible; all floors of a touchpoint sum to 1 at most."""
    condition: dict[str, Any] | None = Field(default=None, examples=[{"device": "mobile"}])
    """Who may see the variant, in GrowthBook's condition syntax; without it, everybody."""


class CatalogueConfig(_Section):
    """Variants from a CSV file, one a row."""

    file: str = Field(min_length=1, examples=["products.csv"])
    """Path of the CSV file (UTF-8, first line the column names), relative to usher.toml."""
    name: str = Field(min_length=1, examples=["item-{item_id}"])
    """Name of each row's variant; `{column}` stands for the row's value."""
    html: str = Field(examples=['<a href="/p/{item_id}">{title}</a>'])
    """HTML of each row's variant; `{column}` stands for the row's value, escaped. Keep attribute values in quotes."""
    floor: float = Field(default=0.0, ge=0, le=1, examples=[0.005])
    """Least share of decisions that each row gets."""


class LearningConfig(_Section):
    """How a touchpoint learns."""

    min_segment_decisions: int = Field(default=1000, ge=0, examples=[1000])
    """From how many decisions on a segment gets posteriors of its own; below, it uses those of all visitors."""


class TouchpointConfig(_Section):
    """A place that is personalised. Its variants are listed (`variants`) or come from a file (`catalogue`)."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["variants"]}, {"required": ["catalogue"]}]})

    goal: Name = Field(examples=["signup"])
    """Name of the goal that rewards the variants, one of `[goals.…]`."""
    default: Name = Field(examples=["house"])
    """Name of the variant that the holdout sees, and everybody when anything fails."""
    pages: tuple[Page, ...] = Field(min_length=1, strict=False, examples=[["/", "/men/*"]])
    """URL path patterns the touchpoint occurs on; `*` stands for any text."""
    epoch: Epoch = Field(default="session", examples=["session"])
    """How long a visitor keeps the variant before a new decision."""
    variants: tuple[VariantConfig, ...] = Field(default=(), strict=False, examples=[[{"name": "house"}]])
    """The candidates, one `[[touchpoints.….variants]]` each."""
    catalogue: CatalogueConfig | None = Field(default=None, examples=[{"file": "products.csv"}])
    """The candidates as rows of a CSV file."""
    learning: LearningConfig = Field(default=LearningConfig(), examples=[{"min_segment_decisions": 1000}])
    """How the touchpoint learns."""
    _expanded: tuple[VariantConfig, ...] = ()

    @property
    def expanded_variants(self) -> tuple[VariantConfig, ...]:
        """The variants, whether they are listed or come from a catalogue that `load_config` has read."""
        return self.variants or self._expanded


class Config(_Section):
    """The whole of `usher.toml`. Made by `load_config`, which also checks what the models alone cannot."""

    site: SiteConfig = Field(examples=[{"id": "my-shop"}])
    """The site as a whole."""
    attributes: dict[Name, AttributeConfig] = Field(default={}, examples=[{"source": {"query": "utm_source"}}])
    """Context attributes for conditions, beside the built-in path, device, language and referrer."""
    goals: dict[Name, GoalConfig] = Field(default={}, examples=[{"signup": {"window_h": 24}}])
    """Events that reward variants."""
    segments: dict[Name, SegmentConfig] = Field(default={}, examples=[{"mobile": {"condition": {"device": "mobile"}}}])
    """Rule segments, in order of precedence."""
    touchpoints: dict[Name, TouchpointConfig] = Field(min_length=1, examples=[{"hero": {"default": "house"}}])
    """The places that are personalised; the name is what the page says in `data-usher`."""


def load_config(path: Path) -> Config:
    """Read and check `usher.toml` and the catalogues it names.

    Raises ConfigError with every problem found, each as one line that names the file, the place and the remedy.
    """
    raw = _read_toml(path)
    expansions = {
        name: expand_catalogue(path.parent, section)
        for name, touchpoint in _tables(raw, "touchpoints")
        if isinstance(section := touchpoint.get("catalogue"), Mapping)
    }
    problems = list(_find_cross_problems(raw, expansions))
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


def referenced_attributes(condition: object) -> set[str]:
    """Return the top-level names of the attributes that a condition reads: `session` for `session.intent`."""
    if not isinstance(condition, Mapping):
        return set()
    names: set[str] = set()
    for key, value in condition.items():
        if key in ("$and", "$or", "$nor") and isinstance(value, list | tuple):
            names = names.union(*map(referenced_attributes, value))
        elif key == "$not":
            names |= referenced_attributes(value)
        else:
            names.add(str(key).partition(".")[0])
    return names


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


def _tables(parent: Mapping[str, object], key: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables within a table, leaving out what is none: the models report that."""
    tables = parent.get(key)
    if isinstance(tables, Mapping):
        yield from ((name, table) for name, table in tables.items() if isinstance(table, Mapping))


def _expand(touchpoint: TouchpointConfig, expansion: Expansion) -> tuple[VariantConfig, ...]:
    floor = 0.0 if touchpoint.catalogue is None else touchpoint.catalogue.floor
    pairs = zip(expansion.names, expansion.htmls, strict=True)
    return tuple(VariantConfig(name=name, html=html, floor=floor) for name, html in pairs)


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


def _model_at(place: Place) -> type[_Section] | None:
    """The model of the table at a place, or None where the keys are names of the author's own."""
    match place:
        case ():
            return Config
        case ("site",):
            return SiteConfig
        case ("attributes" | "goals" | "segments" | "touchpoints" as section, _):
            return _NAMED[str(section)]
        case ("touchpoints", _, "variants", int()):
            return VariantConfig
        case ("touchpoints", _, "catalogue"):
            return CatalogueConfig
        case ("touchpoints", _, "learning"):
            return LearningConfig
    return None


_NAMED: Final[Mapping[str, type[_Section]]] = {
    "attributes": AttributeConfig,
    "goals": GoalConfig,
    "segments": SegmentConfig,
    "touchpoints": TouchpointConfig,
}


def _find_cross_problems(raw: Mapping[str, object], expansions: Mapping[str, Expansion]) -> Iterator[Problem]:
    for name, attribute in _tables(raw, "attributes"):
        if ("query" in attribute) == ("header" in attribute):
            wrong = "has both query and header" if "query" in attribute else "has neither query nor header"
            yield Problem(("attributes", name), f'{wrong}; write one of them, such as query = "{name}"')
        if name in BUILT_IN_ATTRIBUTES:
            yield Problem(("attributes", name), f"is built in; give your attribute another name, such as my_{name}")
        header = attribute.get("header")
        if isinstance(header, str) and header.strip().lower() in _SECRET_HEADERS:
            text = f"{show(header)} holds secrets, and attributes are logged with every decision; name another header"
            yield Problem(("attributes", name, "header"), text)
    named = raw.get("attributes")
    known = [*BUILT_IN_ATTRIBUTES, *(named if isinstance(named, Mapping) else ())]
    for name, segment in _tables(raw, "segments"):
        yield from find_condition_problems(("segments", name), segment)
        yield from _find_attribute_problems(("segments", name), segment, known)
    goals = raw.get("goals")
    for name, touchpoint in _tables(raw, "touchpoints"):
        place: Place = ("touchpoints", name)
        yield from _find_goal_problems(place, touchpoint, list(goals) if isinstance(goals, Mapping) else [])
        yield from _find_page_problems(place, touchpoint)
        if "catalogue" in touchpoint:
            yield from find_catalogue_problems(place, touchpoint, expansions.get(name, Expansion()))
        else:
            yield from find_variant_problems(place, touchpoint)
        variants = touchpoint.get("variants")
        for i, variant in enumerate(variants if isinstance(variants, list) else ()):
            if isinstance(variant, Mapping):
                yield from _find_attribute_problems((*place, "variants", i), variant, known)


def _find_attribute_problems(place: Place, table: Mapping[str, object], known: Sequence[str]) -> Iterator[Problem]:
    """Attributes that a condition reads and nothing provides: it would never match, and nobody would know why."""
    for name in sorted(referenced_attributes(table.get("condition"))):
        if name not in known and not name.startswith("$"):
            remedy = f"write {suggest(name, known)}, or add [attributes.{show_key(name)}]"
            yield Problem((*place, "condition"), f"reads {show(name)}, which is no attribute; {remedy}")


def _find_page_problems(place: Place, touchpoint: Mapping[str, object]) -> Iterator[Problem]:
    """Pages that can never match, because browsers send what is not ASCII percent-encoded."""
    pages = touchpoint.get("pages")
    for i, page in enumerate(pages if isinstance(pages, list) else ()):
        if isinstance(page, str) and not page.isascii():
            encoded = quote(page, safe=string.punctuation + " ")
            yield Problem(
                (*place, "pages", i), f"{show(page)} never matches: browsers encode it; write {show(encoded)}"
            )


def _find_goal_problems(place: Place, touchpoint: Mapping[str, object], goals: Sequence[str]) -> Iterator[Problem]:
    goal = touchpoint.get("goal")
    if isinstance(goal, str) and goal not in goals:
        remedy = f"write {suggest(goal, goals)}, or add" if goals else "add"
        yield Problem(
            (*place, "goal"), f"{show(goal)} is no goal of this file; {remedy} [{show_place(('goals', goal))}]"
        )
