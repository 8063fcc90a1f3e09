"""The attributes that conditions and features may read, and what is wrong with a name that reads none of them.

A visit's attributes are one namespace: the request's own and the configured ones stand at its top (`device`), what the
edge knows of the visit below `session`, what the origin published about the person below `profile`. A feature is the
path of a number or flag, or `path=value`, which is 1 where the attribute is that text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from origin.problems import show, show_key, suggest
from shared.sensitive import is_sensitive
from shared.session import REFERRALS

BUILT_IN_ATTRIBUTES: Final = ("path", "device", "language", "referrer")
NAMESPACES: Final = ("session", "profile")
PREFERENCES: Final = "session.preferences"
NUMBERS: Final = (
    "session.views", "session.visits", "session.intent", "session.away_days", "session.engaged_s", "session.depth",
    "session.pages_read", "session.earlier.views", "session.earlier.engaged_s", "session.earlier.pages_read",
)  # fmt: skip
# Below each of these stands a number for every category.
COUNTS: Final = (
    "session.categories", "session.read", "session.interests", "session.earlier.categories", "session.earlier.read",
)  # fmt: skip
# Their values are categories, and pairs of them as in `pricing>case-study`.
LISTS: Final = ("session.recent_categories", "session.bigrams")
TOP: Final = "session.top_category"
SESSION_ATTRIBUTES: Final = (*NUMBERS[:3], "session.referral", PREFERENCES, *NUMBERS[3:], *LISTS, TOP, *COUNTS)
# The attributes whose values are known beforehand.
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "device": ("mobile", "tablet", "desktop"),
    "session.referral": REFERRALS,
}


def referenced_paths(condition: object) -> set[str]:
    """Return the paths of the attributes that a condition reads, such as `device` and `session.intent`."""
    if not isinstance(condition, Mapping):
        return set()
    paths: set[str] = set()
    for key, value in condition.items():
        if key in ("$and", "$or", "$nor") and isinstance(value, list | tuple):
            paths = paths.union(*map(referenced_paths, value))
        elif key == "$not":
            paths |= referenced_paths(value)
        else:
            paths.add(str(key))
    return paths


def category_paths(categories: Iterable[str]) -> list[str]:
    """The paths of what the session counts by category, to be known beside the request's own attributes."""
    return [f"{root}.{name}" for name in categories for root in COUNTS]


def question_paths(questions: Iterable[str]) -> list[str]:
    """The paths of what visitors declare, to be known likewise: the edge keeps answers to these questions alone."""
    return [f"{PREFERENCES}.{name}" for name in questions]


def find_path_problem(path: str, known: Sequence[str]) -> str | None:
    """Say what is wrong with the path of an attribute, and what to write, or None. `known` are the request's own and
    the paths of the configured categories and questions."""
    if is_sensitive(path):
        return f"reads {show(path)}, which is on the sensitive list; decide without it"
    top, _, below = path.partition(".")
    if top == "profile" and all(below.split(".")):
        return None
    if top in NAMESPACES:
        if path in SESSION_ATTRIBUTES or path in known:
            return None
        root, _, name = path.rpartition(".")
        if root == PREFERENCES and name:
            return f"reads {show(path)}, and there is no such question; {_suggest_question(path, name, known)}"
        if root in COUNTS:
            return f"reads {show(path)}, and there is no such category; {_suggest_category(root, name, known)}"
        return f"reads {show(path)}, which is no attribute; write {_suggest_below(top, below)}"
    if top not in known:
        own = [each for each in known if "." not in each]
        remedy = f"write {suggest(top, [*own, *NAMESPACES])}, or add [attributes.{show_key(top)}]"
        return f"reads {show(top)}, which is no attribute; {remedy}"
    return None


def find_feature_problem(name: str, known: Sequence[str], *, is_counted: bool) -> str | None:
    """Say what is wrong with the name of a feature, and what to write, or None.

    `is_counted` says that the feature is multiplied with a weight, so that a text without `=value` would count as 0.
    """
    path, equals, value = name.partition("=")
    problem = find_path_problem(path, known)
    if problem is not None:
        return problem
    if is_sensitive(name):
        return f"compares with {show(value)}, which is on the sensitive list; decide without it"
    is_text = path in (*VALUES, *LISTS, TOP) or path.partition(".")[0] in known
    if equals and (path in NUMBERS or path.rpartition(".")[0] in COUNTS):
        return f"{show(path)} is a number, and what stands after = is compared with texts; write {show(path)}"
    if equals and path in VALUES and value not in VALUES[path]:
        return f"{show(path)} is never {show(value)}; write {suggest(value, VALUES[path])} after ="
    if (equals and not value) or path == PREFERENCES:
        return f"{show(name)} names no value; write it as in {_example(path)}"
    if path in COUNTS:
        return f"{show(name)} names no category; write it as in {show(f'{path}.{_any_category(known)}')}"
    if equals and path in (*LISTS, TOP):
        return _find_value_problem(path, value, known)
    if is_counted and is_text and not equals:
        return f"{show(path)} is a text, which counts as 0; write it as in {_example(path)}"
    return None


def find_interest_problem(path: str, known: Sequence[str]) -> str | None:
    """Say what is wrong with the path of the visitor's primary interest, and what to write, or None."""
    problem = find_path_problem(path, known)
    if problem is None and (path in (*NUMBERS, *COUNTS, *LISTS, PREFERENCES) or path.rpartition(".")[0] in COUNTS):
        return f'{show(path)} is no text; write the path of one, such as "session.preferences.topic"'
    return problem


def find_phrase_problem(text: str) -> str | None:
    """Say what is wrong with a phrase about a feature: braces that nothing fills."""
    rest = text.replace("{value}", "")
    if "{" in rest or "}" in rest:
        return f"{show(text)} holds braces, and only {{value}} is filled in; remove the others"
    return None


def _find_value_problem(path: str, value: str, known: Sequence[str]) -> str | None:
    """What is wrong with a category, or a pair of them, that an attribute is compared with."""
    names = value.split(">") if path == "session.bigrams" else [value]
    if path == "session.bigrams" and len(names) != 2:
        return f"{show(value)} is no pair of categories; write it as in {_example(path)}"
    for name in names:
        if f"{COUNTS[0]}.{name}" not in known:
            return f"{show(name)} is no category of this file; {_suggest_category('', name, known)}"
    return None


def _categories(known: Sequence[str]) -> list[str]:
    return [path.removeprefix(f"{COUNTS[0]}.") for path in known if path.startswith(f"{COUNTS[0]}.")]


def _any_category(known: Sequence[str]) -> str:
    return next(iter(_categories(known)), "pricing")


def _suggest_category(root: str, name: str, known: Sequence[str]) -> str:
    """What may have been meant by a category that there is not; below a root as a path."""
    there = [f"{root}.{each}" if root else each for each in _categories(known)]
    add = f"add [categories.{show_key(name)}]"
    return f"write {suggest(f'{root}.{name}' if root else name, there)}, or {add}" if there else add


def _suggest_question(path: str, name: str, known: Sequence[str]) -> str:
    there = [each for each in known if each.startswith(f"{PREFERENCES}.")]
    add = f"add [questions.{show_key(name)}] with its answers"
    return f"write {suggest(path, there)}, or {add}" if there else add


def _suggest_below(top: str, below: str) -> str:
    """What may have been meant below a namespace."""
    choices = SESSION_ATTRIBUTES if top == "session" else ("profile.decisions", "profile.rewards", "profile.days")
    near = get_close_matches(below, [each.removeprefix(f"{top}.") for each in choices], n=1)
    return show(f"{top}.{near[0]}") if near else suggest("", choices)


def _example(path: str) -> str:
    if path == PREFERENCES:
        return show("session.preferences.topic=coats")
    if path == "session.bigrams":
        return show("session.bigrams=pricing>case-study")
    if path in (*LISTS, TOP):
        return show(f"{path}=pricing")
    return show(f"{path}={VALUES[path][1] if path in VALUES else 'value'}")
