"""Features: numbers read from the attributes of a page view, by name.

A name is a path below the attribute namespace, its steps parted by dots (`session.views`, `profile.decisions`,
`device`): a number counts as it is, true as 1, all else as 0. With `=value` at its end (`session.referral=search`,
`session.preferences.topic=coats`) it is 1 where the attribute is that text, or a list that holds it, and 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Attributes = Mapping[str, object]
Feature = Callable[[Attributes], float]

# A number beyond this is cut: sums of products with weights must stay finite.
LARGEST = 1e6


def find_attribute(attributes: Attributes, path: str) -> object:
    """The attribute at a path, or None."""
    value: object = attributes
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def compile_feature(name: str) -> Feature:
    """Return the function that reads the feature of that name; it is total, and its results lie within ±1e6."""
    path, equals, wanted = name.partition("=")
    if equals:
        return lambda attributes: 1.0 if _is(find_attribute(attributes, path), wanted) else 0.0
    return lambda attributes: _number(find_attribute(attributes, path))


def _is(value: object, wanted: str) -> bool:
    if isinstance(value, list | tuple):
        return wanted in value
    return isinstance(value, str) and value == wanted


def _number(value: object) -> float:
    if not isinstance(value, int | float) or value != value:
        return 0.0
    return float(min(max(value, -LARGEST), LARGEST))
