"""Copies among rows: of each identity the first stays, wherever the rows stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.columns import SCHEMA
from origin.copies import Claims, Rows, find_copies, hash_rows, make_claims

# A row: number of its visitor and event, when it was received, and something that it says.
Row = tuple[int, int, float | None]
ROW = st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from([None, 0.5, 1.0]))


def table_of(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"visitor": f"v{who % 2}", "event_id": f"e{who // 2}", "received_ms": at_ms, "depth": depth}
            for who, at_ms, depth in rows
        ],
        schema=SCHEMA,
    )


def keep_first(places: Sequence[Sequence[Row]], *, hashes: int) -> list[Row]:
    """The rows that stay, where the hashes of identities have so many values."""
    tables = [table_of(rows) for rows in places]

    def take(place: int, numbers: Rows) -> pa.Table:
        return tables[place].take(pa.array(numbers))

    def claim(numbers: Sequence[Rows]) -> list[Claims]:
        return [make_claims(take(i, own)) for i, own in enumerate(numbers)]

    found = find_copies([hash_rows(each) % np.uint64(hashes) for each in tables], claim, take)
    gone = [set(copies.tolist()) for copies in found]
    return [row for rows, out in zip(places, gone, strict=True) for i, row in enumerate(rows) if i not in out]


@given(st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=4), st.sampled_from([1, 2, 1 << 63]))
def test_of_each_identity_the_first_stays_even_where_hashes_collide(places: list[list[Row]], hashes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("origin.copies.SORTED_HASHES", 3)
        patch.setattr("origin.copies.COMPARED_IDENTITIES", 1)
        kept = keep_first(places, hashes=hashes)
    every = [row for rows in places for row in rows]

    def order(row: Row) -> tuple[int, bool, float]:
        return row[1], row[2] is None, row[2] or 0.0

    expected = [min((row for row in every if row[0] == who), key=order) for who in sorted({row[0] for row in every})]
    assert sorted(kept, key=lambda row: row[0]) == expected


def test_only_rows_that_were_received_in_one_millisecond_and_differ_are_looked_at() -> None:
    tables = [table_of([(0, 1, 0.5), (1, 1, 0.5), (2, 1, 0.5)]), table_of([(0, 1, 0.5), (1, 2, 1.0), (2, 1, 1.0)])]
    looked: list[tuple[int, list[int]]] = []

    def take(place: int, numbers: Rows) -> pa.Table:
        looked.append((place, numbers.tolist()))
        return tables[place].take(pa.array(numbers))

    def claim(numbers: Sequence[Rows]) -> list[Claims]:
        return [make_claims(tables[i].take(pa.array(own))) for i, own in enumerate(numbers)]

    copies = find_copies([hash_rows(each) for each in tables], claim, take)
    assert [len(each) for each in copies][1] >= 2
    assert sum(map(len, copies)) == 3
    assert looked == [(0, [2]), (1, [2])]
