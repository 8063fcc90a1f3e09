"""The attributes that conditions and features may read, and what is wrong with a name that reads none of them.

A visit's attributes are one namespace: the request's own and the configured ones stand at its top (`device`), what the
edge knows of the visit below `session`, what the origin published about the person below `profile`. A feature is the
path of a number or flag, or `path=value`, which is 1 where the attribute is that text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from origin.problems import show, show_key, suggest
from shared.sensitive import is_sensitive
from shared.session import REFERRALS

BUILT_IN_ATTRIBUTES: Final = ("path", "device", "language", "referrer")
NAMESPACES: Final = ("session", "profile")
PREFERENCES: Final = "session.preferences"
NUMBERS: Final = ("session.views", "session.visits", "session.intent")
SESSION_ATTRIBUTES: Final = (*NUMBERS, "session.referral", PREFERENCES)
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


def find_path_problem(path: str, known: Sequence[str]) -> str | None:
    """Say what is wrong with the path of an attribute, and what to write, or None. `known` are the request's own."""
    if is_sensitive(path):
        return f"reads {show(path)}, which is on the sensitive list; decide without it"
    top, _, below = path.partition(".")
    if top == "profile" and all(below.split(".")):
        return None
    if top in NAMESPACES:
        if path in SESSION_ATTRIBUTES or (path.startswith(f"{PREFERENCES}.") and all(path.split("."))):
            return None
        return f"reads {show(path)}, which is no attribute; write {_suggest_below(top, below)}"
    if top not in known:
        remedy = f"write {suggest(top, [*known, *NAMESPACES])}, or add [attributes.{show_key(top)}]"
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
    is_text = path in VALUES or path.partition(".")[0] in known
    if equals and path in NUMBERS:
        return f"{show(path)} is a number, and what stands after = is compared with texts; write {show(path)}"
    if equals and path in VALUES and value not in VALUES[path]:
        return f"{show(path)} is never {show(value)}; write {suggest(value, VALUES[path])} after ="
    if (equals and not value) or path == PREFERENCES:
        return f"{show(name)} names no value; write it as in {_example(path)}"
    if is_counted and is_text and not equals:
        return f"{show(path)} is a text, which counts as 0; write it as in {_example(path)}"
    return None


def find_interest_problem(path: str, known: Sequence[str]) -> str | None:
    """Say what is wrong with the path of the visitor's primary interest, and what to write, or None."""
    problem = find_path_problem(path, known)
    if problem is None and (path in NUMBERS or path == PREFERENCES):
        return f'{show(path)} is no text; write the path of one, such as "session.preferences.topic"'
    return problem


def find_phrase_problem(text: str) -> str | None:
    """Say what is wrong with a phrase about a feature: braces that nothing fills."""
    rest = text.replace("{value}", "")
    if "{" in rest or "}" in rest:
        return f"{show(text)} holds braces, and only {{value}} is filled in; remove the others"
    return None


def _suggest_below(top: str, below: str) -> str:
    """What may have been meant below a namespace."""
    choices = SESSION_ATTRIBUTES if top == "session" else ("profile.decisions", "profile.rewards", "profile.days")
    near = get_close_matches(below, [each.removeprefix(f"{top}.") for each in choices], n=1)
    return show(f"{top}.{near[0]}") if near else suggest("", choices)


def _example(path: str) -> str:
    if path == PREFERENCES:
        return show("session.preferences.topic=coats")
    return show(f"{path}={VALUES[path][1] if path in VALUES else 'value'}")
