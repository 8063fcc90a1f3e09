"""The variants of a touchpoint.

Published, they stand by columns, since a catalogue of thousands must not keep the isolate busy: of each field the
values of all variants in their order, null where one has none; a field that none of them has is left out. The column
`condition` holds indices of `conditions`, as variants often have the same. An older origin wrote one object a variant.
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
from shared.records.parts import compile_checked

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


def read_rows(parent: Reader) -> list[Mapping[str, object]]:
    """The variants of a record in which they stand one by one. Raises the reader's error."""
    place = parent.place("variants")
    return [Reader(row, f"{place}[{i}]", parent.error).data for i, row in enumerate(parent.items("variants"))]


def refuse_unknown_fields(parent: Reader, rows: Sequence[Mapping[str, object]]) -> None:
    """Refuse a field of a variant, as it is given to be published, that would be lost. Raises the reader's error."""
    for i, row in enumerate(rows):
        for field in row:
            if field not in (*FIELDS, "condition", "html"):
                raise parent.error(f"{parent.place('variants')}[{i}].{field}", "is no field of a variant")


def to_columns(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
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


def read_variants(parent: Reader, *, are_rows: bool) -> tuple[Variant, ...]:
    """Read the variants: at once, where every field is plainly as it should be, and else one by one, which tells what
    is wrong. `are_rows`: as an older origin wrote them. Raises InvalidSnapshot."""
    data = to_columns(read_rows(parent)) if are_rows else parent.mapping("variants")
    columns = Reader(data, parent.place("variants"), InvalidSnapshot)
    for field in columns.data:
        if field not in (*FIELDS, "condition", "conditions"):
            raise InvalidSnapshot(columns.place(field), "is no field of variants that this version knows")
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
    fields = zip(names, floors, caps, interests, conditions, becauses, strict=True)
    return tuple([_read_variant(f"{columns.path}[{i}]", *each) for i, each in enumerate(fields)])


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
    indices = _read_column(columns, "condition", count)
    listed = columns.items("conditions") if "condition" in columns.data or "conditions" in columns.data else []
    compiled: dict[int, Condition] = {}
    found: list[Condition | None] = []
    for i, index in enumerate(indices):
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
    if len(compiled) < len(listed):
        unused = next(i for i in range(len(listed)) if i not in compiled)
        raise InvalidSnapshot(columns.place(f"conditions[{unused}]"), "is the condition of no variant")
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


def _read_variant(
    place: str,
    name: object,
    floor: object,
    cap: object,
    interests: object,
    condition: Condition | None,
    because: object,
) -> Variant:
    """One variant, field by field."""
    given = {"name": name, "floor": floor, "cap": cap, "interests": interests, "because": because}
    reader = Reader({field: value for field, value in given.items() if value is not None}, place, InvalidSnapshot)
    least, most = reader.number("floor", low=0.0, high=1.0), reader.number("cap", low=0.0, high=1.0)
    if least > most:
        raise InvalidSnapshot(reader.place("floor"), f"{least!r} is above the cap {most!r}")
    return Variant(
        name=reader.text("name", longest=200),
        floor=least,
        cap=most,
        interests=reader.texts("interests"),
        condition=condition,
        because=reader.text("because", longest=200),
    )
