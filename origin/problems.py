"""How a problem of the configuration is put into words: where it stands, what is wrong, what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 60
_MOST_NAMES: Final = 6


class Problem(NamedTuple):
    """One problem: where it stands, and in words what is wrong and what to write instead.

    `path` is given where the place as shown goes deeper than `place`.
    """

    place: Place
    text: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.path or show_place(self.place)}: {self.text}"


def show_place(place: Place) -> str:
    """Write a place as a path (`touchpoints.hero.variants[2].floor`); keys are quoted where TOML quotes them."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else f".{show_key(step)}"
    return path.removeprefix(".")


def show_key(key: str) -> str:
    """Write a key as TOML does."""
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def show(value: object) -> str:
    """Write a value as TOML does, on one line; texts are cut to 60 characters."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…", ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{show_key(key)} = {show(each)}' for key, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show, value))}]"
    return str(value)


def suggest(wrong: str, known: Sequence[str]) -> str:
    """Write what may have been meant: the name most like `wrong`, or else the known names (at least one)."""
    near = get_close_matches(wrong, known, n=1)
    if near:
        return show(near[0])
    shown = [show(name) for name in known[:_MOST_NAMES]]
    if len(known) > _MOST_NAMES:
        return f"{', '.join(shown)} or another of the {len(known)}"
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def find_position(data: object, place: Place) -> tuple[int, ...]:
    """Where a place stands in parsed data, as a key to sort by; what is missing comes last in its table."""
    position: list[int] = []
    for step in place:
        if isinstance(data, Mapping):
            keys = list(data)
            position.append(keys.index(step) if step in data else len(keys))
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int):
            position.append(step)
            data = data[step]
    return tuple(position)


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is missing", "add it"),
    "string_type": ("{shown} is not a text", "write a text in quotes"),
    "float_type": ("{shown} is not a number", "write a number without quotes"),
    "int_type": ("{shown} is not a whole number", "write a whole number without quotes"),
    "finite_number": ("{shown} is not a finite number", "write a finite number"),
    "bool_type": ("{shown} is not true or false", "write true or false without quotes"),
    "tuple_type": ("{shown} is not a list", "write a list in square brackets"),
    "dict_type": ("{shown} is not a table", "write a table"),
    "model_type": ("{shown} is not a table", "write a table"),
    "greater_than": ("{shown} is not more than {gt:g}", "write more than {gt:g}"),
    "greater_than_equal": ("{shown} is less than {ge:g}", "write at least {ge:g}"),
    "less_than_equal": ("{shown} is more than {le:g}", "write at most {le:g}"),
    "literal_error": ("{shown} is not known", "write {expected}"),
    "string_too_short": ("is empty", "write a text"),
    "string_too_long": ("is longer than {max_length} characters", "shorten it"),
    "string_pattern_mismatch": ("{shown} is not allowed", "write {allowed}"),
    "too_short": ("is empty", "write at least one"),
}


def explain(error: ErrorDetails, known: Mapping[str, Sequence[object] | None], allowed: Mapping[str, str]) -> Problem:
    """Put an error of pydantic into words.

    `known` holds the keys that may stand at the error's place, with examples of their values, and `allowed` says for
    each pattern in words what it allows.
    """
    steps = error["loc"]
    place = steps[:-1] if steps[-1] == "[key]" else steps
    key = next((step for step in reversed(steps) if isinstance(step, str)), "")
    if error["type"] == "extra_forbidden":
        near = get_close_matches(key, known, n=1)
        remedy = f"write {near[0]}" if near else f"remove it, or write one of {', '.join(known)}"
        return Problem(place, f"is not a known key; {remedy}")
    context = {**error.get("ctx", {}), "shown": _show_briefly(error["input"])}
    context["expected"] = str(context.get("expected")).replace("'", '"')
    context["allowed"] = allowed.get(str(context.get("pattern")), "another text")
    problem, remedy = _WORDS.get(error["type"], (error["msg"], "correct it"))
    examples = known.get(key)
    example = f", such as {show_key(key)} = {show(examples[0])}" if examples else ""
    return Problem(place, f"{problem.format_map(context)}; {remedy.format_map(context)}{example}")


def _show_briefly(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list) else show(value)
