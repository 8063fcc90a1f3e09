"""The columns of stored events: the event schema of `shared.events` as the lake keeps it.

Every field of every type is a column of its own, of one of five kinds; what is nested (lists, objects) is JSON text, to
the letter as the edge wrote it. A field that is not of the schema, or has a value of another kind, is kept in `rest`:
JSON text of an object. So nothing is lost, whatever version of the edge wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from shared.events import EVENT_TYPES
from shared.events.kinds import Choice, Flag, Kind, Link, Number, Text, Whole

TEXT: Final = "text"
WHOLE: Final = "whole"
NUMBER: Final = "number"
FLAG: Final = "flag"
JSON: Final = "json"
REST: Final = "rest"
# What tells events apart: who did it, and the id that the sender gave it. These columns are never null.
IDENTITY: Final = ("visitor", "event_id")
# Whole numbers are kept in 64 bits.
MOST_WHOLE: Final = (1 << 63) - 1

ARROW_TYPES: Final[Mapping[str, pa.DataType]] = {
    TEXT: pa.string(),
    WHOLE: pa.int64(),
    NUMBER: pa.float64(),
    FLAG: pa.bool_(),
    JSON: pa.string(),
}


def _kind_of(kind: Kind) -> str:
    match kind:
        case Text() | Link() | Choice():
            return TEXT
        case Whole():
            return WHOLE
        case Number():
            return NUMBER
        case Flag():
            return FLAG
    return JSON


# The columns that events of each type have, beside `type`.
FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    name: {field.name: _kind_of(field.kind) for field in each.stored_fields if field.name != "type"}
    for name, each in EVENT_TYPES.items()
}
# All columns with their kinds, in the order of a file.
COLUMNS: Final[Mapping[str, str]] = {
    "type": TEXT,
    **{column: kind for fields in FIELDS.values() for column, kind in fields.items()},
    REST: JSON,
}
SCHEMA: Final = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in COLUMNS.items()])
# Of copies the first received comes first, among equals the first by everything they say.
ORDER: Final = ("received_ms", *(name for name in SCHEMA.names if name not in (*IDENTITY, "received_ms")))
