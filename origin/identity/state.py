"""The state of identity in the lake: what is known of links, visitors and crossings, and how far the events were read.

    identities/<moment>/links.parquet      every pair of ids that was ever seen together, and its outcome
    identities/<moment>/visitors.parquet   every visitor, and when its browser was first heard of
    identities/<moment>/crossings.parquet  visitors that took over another unit
    identities/<moment>/trail.parquet      what this run changed; kept when the next run replaces the rest
    identities/<moment>/state.json         the moment, and a digest of each source of events that was read
    identities/imported/<digest>.parquet   links of an imported identity graph

The two ids of a link are `user:<hash>` or `visitor:<id>`, the smaller one first. A run's folder appears whole: it is
filled under another name and renamed.
"""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from origin.errors import LakeError
from origin.lake import Lake, name_moment, partial_name, reported, sync

USER: Final = "user:"
VISITOR: Final = "visitor:"
LINKS: Final = pa.schema(
    [
        ("a", pa.string()),
        ("b", pa.string()),
        ("first_ms", pa.int64()),
        ("source", pa.string()),
        ("evidence", pa.string()),
        ("outcome", pa.string()),
    ]
)
VISITORS: Final = pa.schema([("visitor", pa.string()), ("first_ms", pa.int64())])
CROSSINGS: Final = pa.schema(
    [("visitor", pa.string()), ("unit_before", pa.string()), ("unit", pa.string()), ("crossed_ms", pa.int64())]
)
TABLES: Final[Mapping[str, pa.Schema]] = {"links": LINKS, "visitors": VISITORS, "crossings": CROSSINGS}
IMPORTED: Final = "imported"
# How the source of a link begins that an imported graph told first.
IMPORT: Final = "import of "


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the state lies (None: there is none yet), when it was made, and what it was made from: a digest of each
    source of events, the imported files, and the guard's numbers."""

    folder: Path | None = None
    stitched_ms: int = 0
    sources: Mapping[str, str]
    imported: tuple[str, ...] = ()
    guard: Mapping[str, int]


def identities(lake: Lake) -> Path:
    """The folder of the lake that holds the state."""
    return lake.root / "identities"


def read_state(lake: Lake) -> State:
    """Return the newest state. Raises LakeError where it is damaged."""
    folders = sorted(path.parent for path in identities(lake).glob("[0-9]*/links.parquet"))
    if not folders:
        return State(sources={}, guard={})
    path = folders[-1] / "state.json"
    try:
        data = json.loads(path.read_text())
        return State(folder=folders[-1], **{**data, "imported": tuple(data["imported"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(folders[-1], error) from error


@contextmanager
def opened(lake: Lake, state: State) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the state's tables as views: `links`, `visitors` and `crossings`. Raises LakeError."""
    with duckdb.connect() as connection:
        try:
            for name, schema in TABLES.items():
                if state.folder is None:
                    stored = connection.from_arrow(schema.empty_table())
                else:
                    stored = connection.read_parquet(glob.escape(str(state.folder / f"{name}.parquet")))
                stored.create_view(name)
            yield connection
        except (duckdb.Error, OSError) as error:
            if state.folder is not None and str(state.folder) in str(error):
                raise _damaged(state.folder, error) from error
            raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error


def write_state(lake: Lake, state: State, tables: Mapping[str, pa.Table], trail: pa.Table) -> Path:
    """Write a state whole or not at all; returns its folder. What the state before held, but for its trail, goes.

    Raises LakeError where the disk is full or the folder not writable.
    """
    folder = identities(lake)
    target = folder / name_moment(state.stitched_ms)
    partial = partial_name(target)
    meta = {
        "stitched_ms": state.stitched_ms,
        "sources": state.sources,
        "imported": state.imported,
        "guard": state.guard,
    }
    with reported(target):
        for leftover in folder.glob(".*.part"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True)
        try:
            for name, table in {**tables, "trail": trail}.items():
                pq.write_table(table, partial / f"{name}.parquet", compression="zstd")
            (partial / "state.json").write_text(json.dumps(meta))
            for path in partial.iterdir():
                sync(path)
            partial.replace(target)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for name in TABLES:
            for path in folder.glob(f"[0-9]*/{name}.parquet"):
                if path.parent != target:
                    path.unlink()
    return target


def _damaged(folder: Path, error: Exception) -> LakeError:
    reason = str(error).splitlines()[0]
    return LakeError(f"{folder}: damaged ({reason}); remove it and run usher stitch, which makes it anew")
