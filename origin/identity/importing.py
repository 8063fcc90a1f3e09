"""Import an identity graph that another system knows: a CSV file of pairs of ids.

    kind_1,id_1,kind_2,id_2
    visitor,Yk3…,user,4711
    user,4711,user,anna@example.com

A kind is `visitor` (an id of Usher's cookie) or `user` (an id as the site knows it). User ids are hashed on the way in,
so the lake never holds one. The pairs become links at the moment of the import; the next stitching judges them by the
same guard as all others.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from origin.errors import IdentityError
from origin.identity.state import IMPORT, IMPORTED, LINKS, USER, VISITOR, identities
from origin.lake import Lake, reported
from shared.events import MAX_ID, VISITOR_ID
from shared.identity import hash_user

COLUMNS: Final = ("kind_1", "id_1", "kind_2", "id_2")
LONGEST_USER: Final = 200
_GRAPH: Final = pa.schema([field for field in LINKS if field.name != "outcome"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedGraph:
    """How many different links the file holds; `is_new` is false where just these were imported before."""

    links: int
    is_new: bool


def import_graph(path: Path, key: bytes, lake: Lake, now_ms: int) -> ImportedGraph:
    """Read a CSV file and keep its links in the lake, all or none.

    `key` is that of the hashes of user ids. Raises IdentityError, with the line and never with a user's id, and
    LakeError.
    """
    rows, target = _read_graph(path, key, lake)
    is_new = not target.exists()
    if is_new:
        links = [
            {"a": a, "b": b, "first_ms": now_ms, "source": f"{IMPORT}{path.name}", "evidence": f"line {line}"}
            for (a, b), line in rows.items()
        ]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(links, schema=_GRAPH), buffer, compression="zstd")
        lake.write(target, buffer.getvalue())
    return ImportedGraph(links=len(rows), is_new=is_new)


def forget_graph(path: Path, key: bytes, lake: Lake) -> int:
    """Take back the import of a CSV file with these pairs, in whatever order; returns how many they are.

    The next stitching knows of them only what events and other imports say. Raises IdentityError, also where just these
    pairs are not imported, and LakeError.
    """
    rows, target = _read_graph(path, key, lake)
    with reported(target):
        try:
            target.unlink()
        except FileNotFoundError:
            raise IdentityError(
                f"{path.name}: these pairs are not imported; give the very file that was (usher identity show names it)"
            ) from None
    return len(rows)


def _read_graph(path: Path, key: bytes, lake: Lake) -> tuple[dict[tuple[str, str], int], Path]:
    """The pairs of nodes of a file with the line of each, and where the lake keeps just these."""
    rows: dict[tuple[str, str], int] = {}
    for line, pair in _read_pairs(path, key):
        rows.setdefault(pair, line)
    if not rows:
        raise IdentityError(f"{path.name}: holds no pairs; write one a line below {','.join(COLUMNS)}")
    digest = sha256("\n".join(f"{a} {b}" for a, b in sorted(rows)).encode()).hexdigest()[:16]
    return rows, identities(lake) / IMPORTED / f"{digest}.parquet"


def _read_pairs(path: Path, key: bytes) -> Iterator[tuple[int, tuple[str, str]]]:
    """The two nodes of each row, the smaller one first, by the line it ends on."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read ({error.strerror}); name the path of a CSV file") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(10) + 1
        raise IdentityError(f"{path.name}: line {line}: is not UTF-8; save the file as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if sorted(header) != sorted(COLUMNS):
            raise IdentityError(f"{path.name}: line 1: the columns must be {','.join(COLUMNS)}; write that as line 1")
        for row in reader:
            if row:
                yield reader.line_num, _read_pair(f"{path.name}: line {reader.line_num}", header, row, key)
    except csv.Error as error:
        raise IdentityError(f"{path.name}: line {reader.line_num}: is no CSV ({error}); correct it") from error


def _read_pair(place: str, header: list[str], row: list[str], key: bytes) -> tuple[str, str]:
    if len(row) != len(COLUMNS):
        raise IdentityError(f"{place}: {len(row)} fields; write {len(COLUMNS)}, with quotes around commas")
    fields = dict(zip(header, row, strict=True))
    first = _read_node(place, "1", fields, key)
    second = _read_node(place, "2", fields, key)
    if first == second:
        raise IdentityError(f"{place}: both ids are the same; remove the line")
    return min(first, second), max(first, second)


def _read_node(place: str, number: str, fields: dict[str, str], key: bytes) -> str:
    kind, name = fields[f"kind_{number}"], fields[f"id_{number}"]
    if kind == "visitor":
        if not 1 <= len(name) <= MAX_ID or not VISITOR_ID.fullmatch(name):
            raise IdentityError(f"{place}: id_{number}: is no visitor's id; write 1 to 100 of A-Z a-z 0-9 _ . ~ -")
        return VISITOR + name
    if kind == "user":
        if not 1 <= len(name) <= LONGEST_USER:
            text = f"{len(name)} characters; write the user's id, of 1 to {LONGEST_USER} characters"
            raise IdentityError(f"{place}: id_{number}: {text}")
        return USER + hash_user(key, name)
    raise IdentityError(f"{place}: kind_{number}: is no kind of id; write visitor or user")
