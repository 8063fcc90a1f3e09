"""What was trained about people, kept beside the model until it is published.

One Parquet file a model, a row for each unit and touchpoint: unit, touchpoint, the model version that the scores are
for, means and sds (six digits, which is finer than any of them is known), and what the unit's profile says of it over
all touchpoints: decisions, rewards, and days with decisions.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from origin.errors import LakeError
from origin.individuals import People
from origin.lake import Lake

SCHEMA = pa.schema(
    [
        ("unit", pa.string()),
        ("touchpoint", pa.string()),
        ("model", pa.string()),
        ("means", pa.list_(pa.float64())),
        ("sds", pa.list_(pa.float64())),
        ("decisions", pa.int64()),
        ("rewards", pa.int64()),
        ("days", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One unit as it was trained: the profile's attributes, and its scores by touchpoint and model version."""

    unit: str
    attributes: Mapping[str, int]
    scores: Mapping[tuple[str, str], Mapping[str, list[float]]]


def write_people(
    lake: Lake, version: str, trained: Mapping[tuple[str, str], People], attributes: Mapping[str, Mapping[str, int]]
) -> None:
    """Write the people of a model, if there are any: `trained` by touchpoint and model version, `attributes` by unit.

    Raises LakeError where the lake cannot be written.
    """
    rows: list[dict[str, Any]] = [
        {
            "unit": unit,
            "touchpoint": touchpoint,
            "model": model,
            "means": _shorten(people.means[i].tolist()),
            "sds": _shorten(people.sds[i].tolist()),
            **attributes[unit],
        }
        for (touchpoint, model), people in trained.items()
        for i, unit in enumerate(people.units)
    ]
    if rows:
        rows.sort(key=lambda row: row["unit"])
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
        lake.write(_path(lake, version), buffer.getvalue())


def read_people(lake: Lake, version: str) -> Iterator[Person]:
    """The people of a model in the order of their units. Raises LakeError where the file is damaged."""
    path = _path(lake, version)
    if not path.exists():
        return
    try:
        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            for unit, group in groupby(rows, key=lambda row: row["unit"]):
                own = list(group)
                yield Person(
                    unit=unit,
                    attributes={name: own[0][name] for name in ("decisions", "rewards", "days")},
                    scores={
                        (row["touchpoint"], row["model"]): {"means": row["means"], "sds": row["sds"]} for row in own
                    },
                )
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path}: damaged ({error}); remove it and run usher train") from error


def _path(lake: Lake, version: str) -> Path:
    return lake.models / f"{version}.people.parquet"


def _shorten(values: list[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
