"""NDJSON of events as Arrow tables of the columns of `origin.columns`.

Whole objects are decoded at once, each line into a structure of its type's own fields; only an object in which that
fails is read line by line, so that a line of another form (a field or a type that this version does not know, a value
of another kind) keeps all it says in `rest`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip, isal_zlib
from msgspec import Meta, Raw, Struct
from msgspec.structs import astuple

from origin.columns import (
    ARROW_TYPES,
    COLUMNS,
    FIELDS,
    FLAG,
    IDENTITY,
    JSON,
    MOST_WHOLE,
    NUMBER,
    REST,
    SCHEMA,
    TEXT,
    WHOLE,
)
from origin.errors import LakeError

# So many lines are made into one table: enough for arrays to pay, few enough for a processor's cache.
TABLE_ROWS: Final = 20_000
# What an object that is no gzip-compressed NDJSON raises when it is read line by line.
DAMAGE: Final = (OSError, EOFError, ValueError, RecursionError, zlib.error)

_NULL: Final = Raw(b"null")
_ABSENT: Final[Mapping[str, object]] = {TEXT: None, WHOLE: None, NUMBER: None, FLAG: None, JSON: _NULL}
_DECODED: Final[Mapping[str, Any]] = {
    TEXT: str | None,
    WHOLE: Annotated[int, Meta(ge=-MOST_WHOLE - 1, le=MOST_WHOLE)] | None,
    NUMBER: float | None,
    FLAG: bool | None,
    JSON: Raw,
}
_LINES: Final = tuple(
    msgspec.defstruct(
        f"{name}_line",
        [
            (column, str, "") if column in IDENTITY else (column, _DECODED[kind], _ABSENT[kind])
            for column, kind in fields.items()
        ],
        tag_field="type",
        tag=name,
        forbid_unknown_fields=True,
        gc=False,
    )
    for name, fields in FIELDS.items()
)
_TYPE_OF: Final[Mapping[type[Struct], str]] = dict(zip(_LINES, FIELDS, strict=True))
_decoder: Final = msgspec.json.Decoder(reduce(or_, _LINES))

# A line as Python reads it, where it is not of the schema: its columns by name.
_Odd = dict[str, object]


def decompress(content: bytes) -> bytes:
    """Decompress a gzip object, checking its checksum. Raises one of DAMAGE."""
    try:
        found: bytes = igzip.decompress(content)  # type: ignore[no-untyped-call]
        return found
    except (isal_zlib.error, igzip.BadGzipFile, EOFError):  # type: ignore[misc]  # the stub takes the class for an object
        return gzip.decompress(content)  # for its message


def read_tables(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """The events of some objects, in tables of about TABLE_ROWS rows; within a table they are ordered by their types.

    Raises LakeError for an object that is damaged, with the number of the line where one is.
    """
    rows: dict[type[Struct], list[Any]] = {}
    odd: list[_Odd] = []
    count = 0
    for path in paths:
        for line in _read_lines(path):
            kind = line.__class__
            if kind is dict:
                odd.append(line)
            elif kind in rows:
                rows[kind].append(line)
            else:
                rows[kind] = [line]
            count += 1
        if count >= TABLE_ROWS:
            yield _build(rows, odd)
            rows, odd, count = {}, [], 0
    if count:
        yield _build(rows, odd)


def _read_lines(path: Path) -> Sequence[Any]:
    try:
        content = decompress(path.read_bytes())
    except DAMAGE as error:
        raise LakeError(f"{path}: cannot be read ({error}); bring it back with usher pull") from error
    try:
        return _decoder.decode_lines(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [_read_line(line, f"{path}:{number}") for number, line in enumerate(content.splitlines(), 1)]


def _read_line(line: bytes, place: str) -> object:
    """One line: a structure where it is of the schema, else its columns by name."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        found = json.loads(line, parse_int=_read_whole)
    except (ValueError, RecursionError) as error:
        raise LakeError(f"{place}: cannot be read ({error}); bring it back with usher pull") from error
    if not isinstance(found, dict):
        raise LakeError(f"{place}: expected a JSON object; bring it back with usher pull")
    columns: _Odd = dict.fromkeys(IDENTITY, "")
    rest = {}
    for name, value in found.items():
        kind = COLUMNS.get(name)
        if kind is None or name == REST or not _fits(value, kind):
            rest[name] = value
        elif value is not None:
            columns[name] = _clean(_dump(value) if kind == JSON else value)
    if rest:
        columns[REST] = _clean(_dump(rest))
    return columns


def _read_whole(digits: str) -> int | str:
    """A whole number; Python refuses to read one of thousands of digits."""
    return int(digits) if len(digits) <= 400 else digits


def _fits(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return value is None or isinstance(value, str)
        case "whole":
            is_whole = isinstance(value, int) and not isinstance(value, bool) and -MOST_WHOLE - 1 <= value <= MOST_WHOLE
            return value is None or is_whole
        case "number":
            return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        case "flag":
            return value is None or isinstance(value, bool)
    return True


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _clean(value: object) -> object:
    """A text without halves of surrogate pairs, which are no characters."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _build(rows: Mapping[type[Struct], Sequence[Struct]], odd: Sequence[_Odd]) -> pa.Table:
    tables = [_build_type(kind, lines) for kind, lines in rows.items()]
    if odd:
        tables.append(pa.Table.from_pylist(odd, schema=SCHEMA))
    return pa.concat_tables(tables)


def _build_type(kind: type[Struct], lines: Sequence[Struct]) -> pa.Table:
    count = len(lines)
    name = _TYPE_OF[kind]
    fields = FIELDS[name]
    values = zip(fields.values(), zip(*map(astuple, lines), strict=True), strict=True)
    arrays = {column: _ARRAY_OF[field](found, count) for column, (field, found) in zip(fields, values, strict=True)}
    arrays["type"] = pa.repeat(name, count)
    return pa.Table.from_arrays(
        [arrays[column] if column in arrays else pa.nulls(count, each) for column, each in _TYPED], schema=SCHEMA
    )


def _array_of_texts(values: tuple[Any, ...], count: int) -> pa.Array:
    """Texts that are all there and ASCII, as nearly all are, are laid out at once, which takes a third of the time."""
    try:
        joined = "".join(values)
    except TypeError:  # some are missing
        return pa.array(values, ARROW_TYPES[TEXT])
    if not joined.isascii():
        return pa.array(values, ARROW_TYPES[TEXT])
    ends = np.zeros(count + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, count), out=ends[1:])
    return pa.Array.from_buffers(
        ARROW_TYPES[TEXT], count, [None, pa.py_buffer(ends), pa.py_buffer(joined.encode("ascii"))]
    )


def _array_of_wholes(values: tuple[Any, ...], count: int) -> pa.Array:
    try:
        return pa.array(np.fromiter(values, np.int64, count))
    except TypeError:  # some are missing
        return pa.array(values, ARROW_TYPES[WHOLE])


def _array_of_json(values: tuple[Any, ...], count: int) -> pa.Array:
    """JSON texts, cut out of one text: making an object of each would cost as much as all the rest of its line."""
    missing = values.count(_NULL)
    if missing == count:
        return pa.nulls(count, ARROW_TYPES[JSON])
    texts = pc.list_flatten(pc.split_pattern(pa.array([b"\n".join(values)], pa.binary()), b"\n"))
    if len(texts) != count:  # a line break of another kind within a line
        texts = pa.array([bytes(value) for value in values], pa.binary())
    if missing:
        texts = pc.if_else(pc.equal(texts, b"null"), None, texts)
    return texts.cast(ARROW_TYPES[JSON])


_ARRAY_OF: Final = {
    TEXT: _array_of_texts,
    WHOLE: _array_of_wholes,
    NUMBER: lambda values, _: pa.array(values, ARROW_TYPES[NUMBER]),
    FLAG: lambda values, _: pa.array(values, ARROW_TYPES[FLAG]),
    JSON: _array_of_json,
}
_TYPED: Final = tuple((column, ARROW_TYPES[kind]) for column, kind in COLUMNS.items())
