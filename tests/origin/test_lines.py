"""Lines of NDJSON become rows, and nothing of them is lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import origin.lines
from origin.columns import COLUMNS, FIELDS, JSON, REST, SCHEMA, TEXT, WHOLE
from origin.errors import LakeError
from origin.lines import read_tables
from shared.events import EVENT_TYPES
from shared.snapshot import Snapshot
from tests.asking import events_of
from tests.origin.logs import view_of, visitor_of
from tests.origin.mail import Isolate, sent
from tests.origin.shop import Event, exposure, goal

SAMPLES: dict[str, object] = {
    TEXT: "ä\n\U0001f9e5",
    WHOLE: 1 << 53,
    "number": 0.1,
    "flag": True,
    JSON: ["a", {"b": 1e-7}],
}
NOBODY = ("visitor", "")


def write(folder: Path, *lines: bytes | Event) -> Path:
    path = folder / "some.ndjson.gz"
    text = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(text))
    return path


def read(*paths: Path) -> list[dict[str, Any]]:
    """The rows without what is missing, JSON parsed."""
    tables = list(read_tables(paths))
    assert all(table.schema == SCHEMA for table in tables)
    rows: list[dict[str, Any]] = pa.concat_tables([SCHEMA.empty_table(), *tables]).to_pylist()
    return [
        {
            name: json.loads(value) if COLUMNS[name] == JSON else value
            for name, value in row.items()
            if value is not None and (value != "" or name not in ("visitor", "event_id"))
        }
        for row in rows
    ]


@pytest.fixture
def line_by_line(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places of the lines that were not read together with all of their object."""
    seen: list[str] = []
    original = origin.lines._read_line

    def note(line: bytes, place: str) -> object:
        seen.append(place)
        return original(line, place)

    monkeypatch.setattr("origin.lines._read_line", note)
    return seen


def test_every_field_of_every_type_has_a_column(tmp_path: Path, line_by_line: list[str]) -> None:
    events = [
        {"type": name, **{column: SAMPLES[kind] for column, kind in fields.items()}} for name, fields in FIELDS.items()
    ]
    assert {event["type"] for event in events} == set(EVENT_TYPES)
    assert sorted(read(write(tmp_path, *events)), key=lambda row: str(row["type"])) == sorted(
        events, key=lambda event: str(event["type"])
    )
    assert line_by_line == []


def test_what_the_edge_writes_is_read_at_once(tmp_path: Path, line_by_line: list[str], site: Snapshot) -> None:
    exposures = events_of(view_of(site, visitor_of("v")), range(2))
    [(_, _, message)] = Isolate("i").send([*exposures, sent("goal", 1, name="order"), sent("shown", 2)])
    lines = [line[1:].encode() for line in message.split("\n")]
    rows = read(write(tmp_path, *lines))
    found = {row["event_id"]: row for row in rows}
    for event in map(json.loads, lines):
        assert found[event["event_id"]] == {name: value for name, value in event.items() if (name, value) != NOBODY}
    assert len(found) == len(lines)
    assert line_by_line == []


def test_events_of_older_schemas_are_read_at_once(tmp_path: Path, line_by_line: list[str]) -> None:
    events = [exposure(1), goal(1), goal(2, touchpoint=None)]
    assert [row["type"] for row in read(write(tmp_path, *events))] == ["exposure", "goal", "goal"]
    assert line_by_line == []


@pytest.mark.parametrize(
    ("event", "columns", "rest"),
    [
        ({"type": "goal", "name": "x", "colour": {"deep": [1]}}, {"name": "x"}, {"colour": {"deep": [1]}}),
        ({"type": "goal", "name": 5, "received_ms": 7}, {"received_ms": 7}, {"name": 5}),
        ({"type": "goal", "received_ms": 1.5, "holdout": "no"}, {}, {"received_ms": 1.5, "holdout": "no"}),
        ({"type": "goal", "session_ms": 1 << 63}, {}, {"session_ms": 1 << 63}),
        ({"type": "goal", "session_ms": True}, {}, {"session_ms": True}),
        ({"type": "wave", "name": "x", "height": 2}, {"name": "x"}, {"height": 2}),
        ({"type": "goal", "rest": "mine"}, {}, {"rest": "mine"}),
        ({"type": "goal", "visitor": None, "event_id": 7}, {}, {"event_id": 7}),
    ],
)
def test_what_is_not_of_the_schema_is_kept_in_the_rest(
    tmp_path: Path, event: Event, columns: Event, rest: Event
) -> None:
    plain = sent("goal", 1, name="order")
    [first, second] = sorted(read(write(tmp_path, event, plain)), key=lambda row: REST not in row)
    assert {name: value for name, value in first.items() if name != REST} == {"type": event["type"], **columns}
    assert first[REST] == {name: value for name, value in rest.items() if value is not None}
    assert second == {name: value for name, value in plain.items() if value is not None}


def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    [row] = read(write(tmp_path, b'{"type": "goal", "name": "a\\ud800b"}'))
    assert row["name"] == "a?b"


def test_numbers_of_thousands_of_digits_are_kept_as_texts(tmp_path: Path) -> None:
    [row] = read(write(tmp_path, b'{"type": "goal", "session_ms": ' + b"9" * 5000 + b"}"))
    assert row[REST] == {"session_ms": "9" * 5000}


def test_nested_values_are_kept_to_the_letter(tmp_path: Path) -> None:
    line = b'{"type":"exposure","context":{"b": 1.50,  "a":"\\u00e4"},"probabilities":[0.10,1e-9]}'
    [table] = read_tables([write(tmp_path, line)])
    [row] = table.to_pylist()
    assert (row["context"], row["probabilities"]) == ('{"b": 1.50,  "a":"\\u00e4"}', "[0.10,1e-9]")


@pytest.mark.parametrize("text", [b'{"type": "goal"}\n{"type"\n', b'{"type": "goal"}\n\n{"x": 1}\n[]\n'])
def test_a_damaged_line_is_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "bad.ndjson.gz"
    path.write_bytes(gzip.compress(text))
    with pytest.raises(LakeError, match=rf"^{path}:2: cannot be read \(.*\); bring it back with usher pull$"):
        list(read_tables([path]))


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"some\.ndjson\.gz:1: expected a JSON object; bring it back with usher pull$"):
        list(read_tables([write(tmp_path, b"[1]")]))


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b'{"type": "goal"}\n' * 50, mtime=0)[:-9]])
def test_an_object_that_is_not_whole_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.ndjson.gz"
    path.write_bytes(content)
    with pytest.raises(LakeError, match=rf"^{path}: cannot be read \(.*\); bring it back with usher pull$"):
        list(read_tables([path]))


def test_many_objects_make_tables_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.lines.TABLE_ROWS", 3)
    path = write(tmp_path, sent("goal", 1), sent("goal", 2))
    assert [len(table) for table in read_tables([path] * 5)] == [4, 4, 2]
    assert list(read_tables([])) == []
