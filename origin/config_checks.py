"""What spans several fields of `usher.toml`: names that must fit each other, and what no visit could satisfy.

The checks walk the parsed file itself, not the models, so that one wrong field does not hide the rest.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from origin.attributes import (
    BUILT_IN_ATTRIBUTES,
    NAMESPACES,
    category_paths,
    find_feature_problem,
    find_interest_problem,
    find_path_problem,
    find_phrase_problem,
    question_paths,
    referenced_paths,
)
from origin.catalogue import Expansion
from origin.condition_checks import MOST_SEGMENT_TESTS, find_laborious, find_sensitive, find_unmatched
from origin.problems import Place, Problem, show, show_place, suggest
from origin.variant_checks import find_catalogue_problems, find_variant_problems
from shared.conditions import compile_condition
from shared.errors import InvalidCondition
from shared.records import MOST_FEATURES
from shared.sensitive import is_sensitive

_SECRET_HEADERS: Final = ("cookie", "authorization")


def find_cross_problems(raw: Mapping[str, object], expansions: Mapping[str, Expansion]) -> Iterator[Problem]:
    """Yield what is wrong with a parsed file beyond single fields; `expansions` are its catalogues by touchpoint."""
    yield from _find_attribute_problems(raw)
    attributes = raw.get("attributes")
    known = [
        *BUILT_IN_ATTRIBUTES,
        *(attributes if isinstance(attributes, Mapping) else ()),
        *category_paths([name for name, _ in tables(raw, "categories")]),
        *question_paths([name for name, _ in tables(raw, "questions")]),
    ]
    if "intent" not in raw:
        yield from _find_scoreless_conditions(raw)
    yield from _find_visit_problems(raw, known)
    for name, segment in tables(raw, "segments"):
        yield from _find_condition_problems(("segments", name), segment, known)
    segments = [segment["condition"] for _, segment in tables(raw, "segments") if "condition" in segment]
    yield from find_laborious(("segments",), "the segments", segments, MOST_SEGMENT_TESTS)
    goals = raw.get("goals")
    site = raw.get("site")
    has_interest = isinstance(site, Mapping) and bool(site.get("interest"))
    for name, touchpoint in tables(raw, "touchpoints"):
        place: Place = ("touchpoints", name)
        yield from _find_goal_problems(place, touchpoint, list(goals) if isinstance(goals, Mapping) else [])
        yield from find_page_problems(place, touchpoint)
        if "catalogue" in touchpoint:
            expansion = expansions.get(name, Expansion())
            yield from find_catalogue_problems(place, touchpoint, expansion, has_interest=has_interest)
        else:
            yield from find_variant_problems(place, touchpoint, has_interest=has_interest)
        yield from _find_read_problems(place, touchpoint, known)


def tables(parent: Mapping[str, object], key: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables within a table, leaving out what is none: the models report that."""
    found = parent.get(key)
    if isinstance(found, Mapping):
        yield from ((name, table) for name, table in found.items() if isinstance(table, Mapping))


def _find_attribute_problems(raw: Mapping[str, object]) -> Iterator[Problem]:
    for name, attribute in tables(raw, "attributes"):
        place: Place = ("attributes", name)
        if ("query" in attribute) == ("header" in attribute):
            wrong = "has both query and header" if "query" in attribute else "has neither query nor header"
            yield Problem(place, f'{wrong}; write one of them, such as query = "{name}"')
        if name in (*BUILT_IN_ATTRIBUTES, *NAMESPACES):
            yield Problem(place, f"is built in; give your attribute another name, such as my_{name}")
        if "." in name:
            remedy = f"write {show(name.replace('.', '_'))}"
            yield Problem(place, f"holds a dot, which in conditions parts a path into its steps; {remedy}")
        if is_sensitive(name):
            yield Problem(place, "is on the sensitive list; decide without it, and remove it")
        for key in ("query", "header"):
            source = attribute.get(key)
            if isinstance(source, str) and is_sensitive(source) and not is_sensitive(name):
                text = f"{show(source)} is on the sensitive list; decide without it, and remove the attribute"
                yield Problem((*place, key), text)
        header = attribute.get("header")
        if isinstance(header, str) and header.strip().lower() in _SECRET_HEADERS:
            text = f"{show(header)} holds secrets, and attributes are logged with every decision; name another header"
            yield Problem((*place, "header"), text)


def _find_visit_problems(raw: Mapping[str, object], known: Sequence[str]) -> Iterator[Problem]:
    """What `[site]`, `[intent]` and `[phrases]` read of a visit."""
    site = raw.get("site")
    interest = site.get("interest") if isinstance(site, Mapping) else None
    if isinstance(interest, str) and interest and (text := find_interest_problem(interest, known)):
        yield Problem(("site", "interest"), text)
    intent = raw.get("intent")
    weights = intent.get("weights") if isinstance(intent, Mapping) else None
    if isinstance(weights, Mapping):
        yield from _find_feature_problems(("intent", "weights"), weights, known)
        if "session.intent" in weights:
            text = "is the score itself; remove it here"
            yield Problem(("intent", "weights", "session.intent"), text)
    phrases = raw.get("phrases")
    for name, phrase in phrases.items() if isinstance(phrases, Mapping) else ():
        if text := find_feature_problem(name, known, is_counted=False):
            yield Problem(("phrases", name), text)
        if isinstance(phrase, str) and (text := find_phrase_problem(phrase)):
            yield Problem(("phrases", name), text)


def _find_feature_problems(place: Place, names: Mapping[str, object], known: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the names of features that are counted."""
    for name in names:
        if text := find_feature_problem(name, known, is_counted=True):
            yield Problem((*place, name), text)
    if len(names) > MOST_FEATURES:
        yield Problem(place, f"names {len(names)} features; keep the {MOST_FEATURES} that matter most")


def _find_read_problems(place: Place, touchpoint: Mapping[str, object], known: Sequence[str]) -> Iterator[Problem]:
    """What the variants of a touchpoint read: their conditions, and the features that shift them."""
    listed = touchpoint.get("variants")
    features: dict[str, object] = {}
    for i, variant in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(variant, Mapping):
            continue
        at: Place = (*place, "variants", i)
        yield from _find_condition_problems(at, variant, known)
        shifts = variant.get("shifts")
        if isinstance(shifts, Mapping):
            yield from _find_feature_problems((*at, "shifts"), shifts, known)
            features.update(shifts)
    if len(features) > MOST_FEATURES:
        text = f"their shifts name {len(features)} features together; keep the {MOST_FEATURES} that matter most"
        yield Problem((*place, "variants"), text)


def _find_condition_problems(place: Place, table: Mapping[str, object], known: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with a table's `condition`, if it has one: its form, and attributes that nothing provides."""
    condition = table.get("condition")
    if not isinstance(condition, Mapping):
        return
    place = (*place, "condition")
    example = 'condition = { device = "mobile" }'
    try:
        compile_condition(condition, show_place(place))
        json.dumps(condition, allow_nan=False)
    except InvalidCondition as error:
        yield Problem(place, f"{error.problem}; write it as in {example}", error.path)
    except (TypeError, ValueError):
        yield Problem(place, f"holds a date or a number that is not finite; write texts and numbers, as in {example}")
    else:
        yield from find_unmatched(place, show_place(place), condition)
        yield from find_sensitive(place, show_place(place), condition)
    for path in sorted(referenced_paths(condition)):
        if not path.startswith("$") and (text := find_path_problem(path, known)):
            yield Problem(place, text)


def _find_scoreless_conditions(raw: Mapping[str, object]) -> Iterator[Problem]:
    """Conditions on the live intent score where none is configured: it would be 0 for everybody."""
    places: list[tuple[Place, object]] = [
        (("segments", name, "condition"), segment.get("condition")) for name, segment in tables(raw, "segments")
    ]
    for name, touchpoint in tables(raw, "touchpoints"):
        variants = touchpoint.get("variants")
        for i, variant in enumerate(variants if isinstance(variants, list) else ()):
            condition = variant.get("condition") if isinstance(variant, Mapping) else None
            places.append((("touchpoints", name, "variants", i, "condition"), condition))
    for place, condition in places:
        if "session.intent" in referenced_paths(condition):
            remedy = 'add [intent] with weights, such as weights = { "session.views" = 0.2 }'
            yield Problem(place, f'reads "session.intent", and there is no score; {remedy}')


def find_page_problems(place: Place, touchpoint: Mapping[str, object]) -> Iterator[Problem]:
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
