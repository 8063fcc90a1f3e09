"""Which rows are copies: rows of one identity, a visitor and an event id, of which the first in `ORDER` stays.

Rows are told apart by hashes, in the memory that a few numbers for each take. The hashes of all identities say which
rows repeat; of those it is asked when they were received, and for a digest of all they say. Only rows of one identity
that were received in the same millisecond and differ are looked at themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from origin.columns import IDENTITY, MOST_WHOLE, ORDER, SCHEMA

# Hashes that are sorted at once, and identities whose rows are looked at at once.
SORTED_HASHES: Final = 8_000_000
COMPARED_IDENTITIES: Final = 5_000

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
# What rows claim: another hash of their identity, when they were received, and a digest of all they say.
Claims = npt.NDArray[np.void]
_CLAIM: Final = np.dtype([("identity", np.uint64), ("received_ms", np.int64), ("digest", np.uint64)])
NO_CLAIMS: Final[Claims] = np.empty(0, _CLAIM)
_NO_ROWS: Final[Rows] = np.empty(0, np.int64)


def hash_rows(table: pa.Table) -> Hashes:
    """The hashes of rows' identities."""
    found: Hashes = _ask(table, "hash(visitor, event_id) AS hash")["hash"]
    return found


def make_claims(table: pa.Table) -> Claims:
    """What rows claim that share the hash of their identity with others."""
    every = ", ".join(f'"{name}"' for name in SCHEMA.names)
    found = _ask(
        table,
        f"hash(event_id, visitor) AS identity, coalesce(received_ms, {MOST_WHOLE}) AS received_ms, "
        f"hash({every}) AS digest",
    )
    claims = np.empty(len(table), _CLAIM)
    for name in _CLAIM.names or ():
        claims[name] = found[name]
    return claims


def find_copies(
    hashes: Sequence[Hashes],
    claim: Callable[[Sequence[Rows]], Sequence[Claims]],
    take: Callable[[int, Rows], pa.Table],
) -> list[Rows]:
    """Find the rows that another row of the same identity comes before.

    The rows stand in several places, whose `hashes` are given. `claim` returns what rows of all the places claim, by
    their numbers in each; `take` returns rows of one place. Returns the numbers of the copies in each place.
    """
    repeated = _find_repeated(hashes)
    numbers = [_find_members(own, repeated) for own in hashes]
    if not len(repeated):
        return numbers
    rivals = _Rivals(hashes, numbers, claim(numbers))
    copies: list[list[Rows]] = [[] for _ in hashes]
    slices = np.uint64(len(rivals.hashes) // SORTED_HASHES + 1)
    for number in range(int(slices)):
        lost = rivals.find_lost(np.flatnonzero(rivals.hashes % slices == number), take)
        for place in np.unique(rivals.places[lost]):
            copies[place].append(rivals.numbers[lost[rivals.places[lost] == place]])
    return [np.sort(np.concatenate(each)) if each else _NO_ROWS for each in copies]


class _Rivals:
    """The rows whose identity others may have too: hash, place, number in the place, and claims of each."""

    def __init__(self, hashes: Sequence[Hashes], numbers: Sequence[Rows], claims: Sequence[Claims]) -> None:
        self.hashes: Hashes = np.concatenate([own[chosen] for own, chosen in zip(hashes, numbers, strict=True)])
        self.places: Rows = np.repeat(np.arange(len(numbers)), [len(each) for each in numbers])
        self.numbers: Rows = np.concatenate(numbers)
        self._claims: Claims = np.concatenate(claims)

    def find_lost(self, rivals: Rows, take: Callable[[int, Rows], pa.Table]) -> Rows:
        """Which of some rivals, among whom all those of their identities are, come after another."""
        claims = self._claims[rivals]
        keys = (claims["digest"], claims["received_ms"], claims["identity"], self.hashes[rivals])
        order = np.lexsort(keys)
        rivals, claims = rivals[order], claims[order]
        is_first = np.ones(len(rivals), dtype=bool)
        is_first[1:] = self.hashes[rivals[1:]] != self.hashes[rivals[:-1]]
        is_first[1:] |= claims["identity"][1:] != claims["identity"][:-1]
        group = np.cumsum(is_first) - 1
        first = claims[is_first][group]
        is_tied = claims["received_ms"] == first["received_ms"]
        contested = np.unique(group[is_tied & (claims["digest"] != first["digest"])])
        is_lost = ~is_first
        for start in range(0, len(contested), COMPARED_IDENTITIES):
            compared = contested[start : start + COMPARED_IDENTITIES]
            tied = np.flatnonzero(is_tied & _is_member(group, compared))
            is_lost[tied] = False
            is_lost[tied[self._compare(rivals[tied], take)]] = True
        return rivals[is_lost]

    def _compare(self, rivals: Rows, take: Callable[[int, Rows], pa.Table]) -> Rows:
        """Which of some rivals come after another by all they say."""
        order = np.argsort(self.places[rivals], kind="stable")
        places = self.places[rivals][order]
        tables = [take(int(place), self.numbers[rivals[order[places == place]]]) for place in np.unique(places)]
        return order[_find_lost_rows(pa.concat_tables(tables).combine_chunks())]


def _find_repeated(hashes: Sequence[Hashes]) -> Hashes:
    """The hashes that several rows have, in order. They are looked for in one slice of their range after the other, so
    that only one slice of all is sorted at once."""
    slices = np.uint64(sum(map(len, hashes)) // SORTED_HASHES + 1)
    found = [np.empty(0, np.uint64)]
    for number in range(int(slices)):
        ordered = np.sort(np.concatenate([each[each % slices == number] for each in hashes]))
        found.append(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
    return np.sort(np.concatenate(found))


def _find_members(values: Hashes, among: Hashes) -> Rows:
    return np.flatnonzero(_is_member(values, among)).astype(np.int64)


def _is_member(values: npt.NDArray[Any], among: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which values are among others that are in order."""
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.asarray(among[places] == values)


def _find_lost_rows(table: pa.Table) -> Rows:
    """The numbers of the rows that do not come first among those of their identity."""
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in (*IDENTITY, *ORDER)])
    is_same = np.ones(max(len(table) - 1, 0), dtype=bool)
    for name in IDENTITY:
        values = table[name].take(order).combine_chunks()
        is_same &= np.asarray(pc.equal(values[1:], values[:-1]))
    lost: Rows = np.asarray(order)[1:][is_same].astype(np.int64)
    return lost


def _ask(table: pa.Table, columns: str) -> dict[str, npt.NDArray[Any]]:
    with duckdb.connect(config={"threads": 1}) as connection:
        found: dict[str, npt.NDArray[Any]] = connection.from_arrow(table).project(columns).fetchnumpy()
    return found
