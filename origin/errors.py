"""Every exception of the origin, and how a problem of the configuration is put into words.

OriginError
    ConfigError         `usher.toml`, or a catalogue it names, is not as it must be; what to change stands in it
    InvalidCatalogue    a catalogue file cannot be read; reaches the caller of `load_config` as a ConfigError
    SettingsError       an environment variable is missing or malformed
    LakeError           the lake cannot be read or is in use
    ImportLogError      a logged file or its mapping is not usable; nothing was imported
    PullError           the bucket cannot be read, or objects in it are damaged; the good ones are stored
    KvError             Workers KV did not take or give what it was asked
    PublishError        what should be published is not consistent; the live snapshot stays
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 60
_MOST_NAMES: Final = 6


class OriginError(Exception):
    """Base of all errors raised by the origin."""


class ConfigError(OriginError):
    """The configuration is not valid.

    `problems` holds all that is wrong with it, one line each: file, place, what is wrong, and what to write instead.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


class SettingsError(OriginError):
    """An environment variable is missing or malformed; the message names it."""


class LakeError(OriginError):
    """The lake cannot be read, or another command is writing to it."""


class ImportLogError(OriginError):
    """A logged file or its mapping is not usable. Nothing was imported."""


class PullError(OriginError):
    """The bucket cannot be read, or objects in it are damaged. Objects that were good are stored."""


class KvError(OriginError):
    """Workers KV did not take or give what it was asked, after retries."""


class PublishError(OriginError):
    """What should be published is not consistent. What was live stays live."""


class InvalidCatalogue(OriginError):
    """A catalogue file is missing or is no CSV of the required form; the message says what to do."""


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
