"""Features: numbers read from the attributes of a page view, by name.

A name is a path below the attribute namespace, its steps parted by dots (`session.views`, `profile.decisions`,
`device`): a number counts as it is, true as 1, all else as 0. With `=value` at its end (`session.referral=search`,
`session.preferences.topic=coats`) it is 1 where the attribute is that text, or a list that holds it, and 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Attributes = Mapping[str, object]
Feature = Callable[[Attributes], float]

# A number beyond this is cut: sums of products with weights must stay finite.
LARGEST = 1e6


def find_attribute(attributes: Attributes, path: str) -> object:
    """The attribute at a path, or None."""
    return _walk(attributes, path.split("."))


def compile_feature(name: str) -> Feature:
    """Return the function that reads the feature of that name; it is total, and its results lie within ±1e6."""
    path, equals, wanted = name.partition("=")
    steps = path.split(".")
    if equals:
        return lambda attributes: 1.0 if _is(_walk(attributes, steps), wanted) else 0.0
    return lambda attributes: _number(_walk(attributes, steps))


def read_features(features: Sequence[Feature], attributes: Attributes) -> tuple[float, ...]:
    """The values of features, in their order."""
    return tuple([feature(attributes) for feature in features])


def _walk(attributes: Attributes, steps: Sequence[str]) -> object:
    value: object = attributes
    for step in steps:
        # Asking a class first takes a fifth of the time, and nearly all are dictionaries.
        if value.__class__ is not dict and not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _is(value: object, wanted: str) -> bool:
    if isinstance(value, list | tuple):
        return wanted in value
    return isinstance(value, str) and value == wanted


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or value != value:  # a tuple of classes is asked in half the time of `|`
        return 0.0
    return float(value) if -LARGEST <= value <= LARGEST else LARGEST if value > 0 else -LARGEST
