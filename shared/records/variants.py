"""The variants of a touchpoint.

Published, they stand by columns, since a catalogue of thousands must not keep the isolate busy: of each field the
values of all variants in their order, null where one has none; a field that none of them has is left out. The column
`condition` holds indices of `conditions`, as variants often have the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from operator import le
from typing import Final

from shared.conditions import Condition
from shared.errors import InvalidSnapshot
from shared.parse import Reader, has_surrogate, kind_of
from shared.records.parts import compile_checked, read_texts

FIELDS: Final = ("name", "floor", "cap", "interests", "because")


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


def write_variants(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The columns of variants that are given one by one, each with its `condition`."""
    columns = {field: [row.get(field) for row in rows] for field in FIELDS}
    conditions = [row.get("condition") for row in rows]
    texts = ["" if condition is None else json.dumps(condition) for condition in conditions]
    distinct = {text: condition for text, condition in zip(texts, conditions, strict=True) if text}
    indices = {text: i for i, text in enumerate(distinct)}
    columns["condition"] = [indices.get(text) for text in texts]
    columns["conditions"] = list(distinct.values())
    return {
        field: column
        for field, column in columns.items()
        if field == "name" or any(value is not None for value in column)
    }


def read_variants(parent: Reader) -> tuple[Variant, ...]:
    """Read the variants: at once, where every field is plainly as it should be, and else one by one, which tells what
    is wrong. Raises InvalidSnapshot."""
    columns = Reader(_find_columns(parent), parent.place("variants"), InvalidSnapshot)
    names = columns.items("name")
    count = len(names)
    conditions = _read_conditions(columns, count)
    floors = _read_column(columns, "floor", count)
    caps = _read_column(columns, "cap", count, 1.0)
    interests = _read_column(columns, "interests", count, [])
    becauses = _read_column(columns, "because", count, "")
    if (
        _are_texts(names, 200)
        and _are_texts(becauses, 200)
        and _are_shares(floors)
        and _are_shares(caps)
        and all(map(le, floors, caps))  # type: ignore[arg-type]  # they are numbers
        and _are_lists_of_texts(interests)
    ):
        return tuple(map(Variant, names, floors, caps, map(tuple, interests), conditions, becauses))  # type: ignore[arg-type]  # as was checked
    return tuple([_read_variant(columns, i, condition) for i, condition in enumerate(conditions)])


def _find_columns(parent: Reader) -> Mapping[str, object]:
    """The columns; those of an older origin, which wrote the variants one by one, are made."""
    data = parent.data.get("variants")
    if isinstance(data, Mapping):
        return data
    rows = parent.items("variants")
    return write_variants(
        [Reader(row, f"{parent.place('variants')}[{i}]", InvalidSnapshot).data for i, row in enumerate(rows)]
    )


def _read_column(columns: Reader, field: str, count: int, default: object = None) -> list[object]:
    """The values of a field, the default where a variant has none."""
    if field not in columns.data:
        return [default] * count
    values = columns.items(field)
    if len(values) != count:
        raise InvalidSnapshot(columns.place(field), f"expected {count}, one a variant, got {len(values)}")
    return [default if value is None else value for value in values]


def _read_conditions(columns: Reader, count: int) -> Sequence[Condition | None]:
    """The variants' conditions, each compiled once."""
    if "condition" not in columns.data:
        return [None] * count
    listed = columns.items("conditions")
    compiled: dict[int, Condition] = {}
    found: list[Condition | None] = []
    for i, index in enumerate(_read_column(columns, "condition", count)):
        if index is None:
            found.append(None)
            continue
        place = f"{columns.path}[{i}]"
        if type(index) is not int or not 0 <= index < len(listed):
            problem = f"expected the index of one of {len(listed)} conditions, got {kind_of(index)}"
            raise InvalidSnapshot(f"{place}.condition", problem)
        if index not in compiled:
            compiled[index] = compile_checked(Reader({"condition": listed[index]}, place, InvalidSnapshot), "condition")
        found.append(compiled[index])
    return found


def _are_texts(values: Sequence[object], longest: int) -> bool:
    if not {each.__class__ for each in values} <= {str}:
        return False
    texts: Sequence[str] = values  # type: ignore[assignment]
    return max(map(len, texts), default=0) <= longest and not has_surrogate("".join(texts))


def _are_lists_of_texts(values: Sequence[object]) -> bool:
    if not {each.__class__ for each in values} <= {list}:
        return False
    lists: Sequence[list[object]] = values  # type: ignore[assignment]
    return _are_texts([each for listed in lists for each in listed], 10_000_000)


def _are_shares(values: Sequence[object]) -> bool:
    if not {each.__class__ for each in values} <= {float}:
        return False
    numbers: Sequence[float] = values  # type: ignore[assignment]
    return min(numbers, default=0.0) >= 0.0 and max(numbers, default=0.0) <= 1.0 and not any(map(isnan, numbers))


def _read_variant(columns: Reader, index: int, condition: Condition | None) -> Variant:
    """The variant of that index, field by field."""
    row = {field: columns.items(field)[index] for field in FIELDS if field in columns.data}
    present = {field: value for field, value in row.items() if value is not None}
    reader = Reader(present, f"{columns.path}[{index}]", InvalidSnapshot)
    floor = reader.number("floor", low=0.0, high=1.0)
    cap = reader.number("cap", low=0.0, high=1.0) if "cap" in reader.data else 1.0
    if floor > cap:
        raise InvalidSnapshot(reader.place("floor"), f"{floor!r} is above the cap {cap!r}")
    return Variant(
        name=reader.text("name", longest=200),
        floor=floor,
        cap=cap,
        interests=read_texts(reader, "interests"),
        condition=condition,
        because=reader.optional_text("because", longest=200) or "",
    )
