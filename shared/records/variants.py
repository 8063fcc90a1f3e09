"""The variants of a touchpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from operator import le

from shared.conditions import Condition
from shared.errors import InvalidSnapshot
from shared.parse import Reader, has_surrogate
from shared.records.parts import compile_checked, read_texts


@dataclass(slots=True)
class Variant:
    """One candidate for a touchpoint: the least and the largest share it is served with, the interests it is tagged
    with, who is eligible (None: everybody), and what to tell those who are (empty: nothing). Nobody changes it; frozen
    it would be slow to make."""

    name: str
    floor: float
    cap: float
    interests: tuple[str, ...]
    condition: Condition | None
    because: str


def read_variants(parent: Reader) -> tuple[Variant, ...]:
    """Read the variants: by columns, where every field is plainly as it should be, and else one by one, which tells
    what is wrong. A catalogue of thousands must not keep the isolate busy."""
    items = parent.items("variants")
    compiled: dict[str, Condition] = {}  # variants often have the same condition
    columns = _read_columns(items)
    if columns is None:
        return tuple([_read_variant(parent, each, i, compiled) for i, each in enumerate(items)])
    conditions: list[Condition | None] = [None] * len(items)
    for i, condition in enumerate(columns.conditions):
        if condition is not None:
            conditions[i] = _compile_once(parent, i, condition, compiled)
    return tuple(
        map(
            Variant, columns.names, columns.floors, columns.caps, columns.interests, conditions, columns.becauses
        )
    )  # fmt: skip


@dataclass(slots=True)
class _Columns:
    """The fields of variants, checked but for the conditions."""

    names: list[str]
    floors: list[float]
    caps: list[float]
    interests: list[tuple[str, ...]]
    conditions: list[object]
    becauses: list[str]


def _read_columns(items: list[object]) -> _Columns | None:
    """The columns, or None where a field is not plainly as it should be."""
    variants: list[Mapping[str, object]] = [each for each in items if isinstance(each, dict)]
    if len(variants) < len(items):
        return None
    names = [each.get("name") for each in variants]
    becauses = [each.get("because", "") for each in variants]
    floors = [each.get("floor") for each in variants]
    caps = [each.get("cap", 1.0) for each in variants]
    interests = [each.get("interests", []) for each in variants]
    if not (
        _are_texts(names, 200)
        and _are_texts(becauses, 200)
        and _are_shares(floors)
        and _are_shares(caps)
        and all(map(le, floors, caps))  # type: ignore[arg-type]  # they are numbers
        and {each.__class__ for each in interests} <= {list}
        and _are_texts([tag for tags in interests for tag in tags], 10_000_000)  # type: ignore[attr-defined]
    ):
        return None
    tags: list[tuple[str, ...]] = [tuple(each) for each in interests]  # type: ignore[arg-type]
    conditions = [each.get("condition") for each in variants]
    return _Columns(names, floors, caps, tags, conditions, becauses)  # type: ignore[arg-type]  # as was checked


def _are_texts(values: list[object], longest: int) -> bool:
    if not {each.__class__ for each in values} <= {str}:
        return False
    texts: list[str] = values  # type: ignore[assignment]
    return max(map(len, texts), default=0) <= longest and not has_surrogate("".join(texts))


def _are_shares(values: list[object]) -> bool:
    if not {each.__class__ for each in values} <= {float}:
        return False
    numbers: list[float] = values  # type: ignore[assignment]
    return min(numbers, default=0.0) >= 0.0 and max(numbers, default=0.0) <= 1.0 and not any(map(isnan, numbers))


def _read_variant(parent: Reader, data: object, index: int, compiled: dict[str, Condition]) -> Variant:
    reader = Reader(data, f"{parent.path}.variants[{index}]", InvalidSnapshot)
    floor = reader.number("floor", low=0.0, high=1.0)
    cap = reader.number("cap", low=0.0, high=1.0) if "cap" in reader.data else 1.0
    if floor > cap:
        raise InvalidSnapshot(reader.place("floor"), f"{floor!r} is above the cap {cap!r}")
    condition = reader.data.get("condition")
    return Variant(
        name=reader.text("name", longest=200),
        floor=floor,
        cap=cap,
        interests=read_texts(reader, "interests"),
        condition=_compile_once(parent, index, condition, compiled) if condition is not None else None,
        because=reader.optional_text("because", longest=200) or "",
    )


def _compile_once(parent: Reader, index: int, condition: object, compiled: dict[str, Condition]) -> Condition:
    """The compiled condition of the variant of that index; `compiled` are those of the variants before."""
    key = repr(condition)
    found = compiled.get(key)
    if found is None:
        reader = Reader({"condition": condition}, f"{parent.path}.variants[{index}]", InvalidSnapshot)
        found = compiled[key] = compile_checked(reader, "condition")
    return found
