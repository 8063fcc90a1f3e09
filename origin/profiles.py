"""Profiles: what the origin knows of people, published to KV and kept in the lake.

A person's profile is published under the unit of each of the person's devices, with the person's own unit in it: a
device takes that over with its next session, and decides like the others from then on: in epochs that they have in
common, and repeating the draws that the profile brings along. A unit that no longer belongs to the person whose profile
it holds gets one of its own, and with it itself back.

A profile is written where its content has changed since it was last published, or where it would otherwise grow too
old to be used before long: daily runs meet a third of its time to live with room to spare. The lake keeps every
publication under `profiles/`, so that a decision can be made again with the profile of its time; a publication is
pending until KV has taken all of it, and what is pending counts as unknown: the next publication writes those units
anew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from origin.errors import LakeError, PublishError
from origin.kv import MAX_PAIRS, KvClient
from origin.lake import Lake, name_moment
from origin.people import Person, read_people
from origin.train import Model
from shared.errors import InvalidProfile
from shared.profile import PROFILE_KEY, Profile, write_profile
from shared.situation import PROFILE_TTL_MS

PENDING: Final = ".pending.parquet"
SCHEMA: Final = pa.schema(
    [
        ("unit", pa.string()),
        ("version", pa.string()),
        ("digest", pa.string()),
        ("computed_ms", pa.int64()),
        ("attributes", pa.string()),
        ("text", pa.string()),
    ]
)

Scores = Mapping[tuple[str, str], Mapping[str, list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedProfiles:
    """How many profiles were written and how many bytes they have, and how many stayed as they were."""

    written: int = 0
    unchanged: int = 0
    bytes: int = 0


NO_PROFILES: Final = PublishedProfiles()


@dataclass(frozen=True, slots=True, kw_only=True)
class LastProfile:
    """A unit's latest profile in the lake; `is_certain` says that KV took it."""

    digest: str
    computed_ms: int
    text: str
    is_certain: bool


def publish_profiles(
    model: Model, accepted: Mapping[str, str], ttl_ms: int, lake: Lake, client: KvClient, now_ms: int, *, is_read: bool
) -> PublishedProfiles:
    """Write the profiles of a model's people that have changed, or are older than a third of their time to live.

    `accepted` maps the touchpoints that use individual scores to their model version; `ttl_ms` is how long those are
    used. Where a touchpoint's variants have changed since, its scores of the version before go along once more: the
    snapshot that is still live, or that a rollback brings back, finds its own. `is_read` says that the profiles'
    attributes are. Raises KvError, LakeError and PublishError; what was written by then is whole.
    """
    last = read_last_profiles(lake)
    rows: list[dict[str, object]] = []
    unchanged = 0
    published: set[str] = set()
    for person in _choose_people(read_people(lake, model.version, model.people), accepted, is_read=is_read):
        published.update(person.units)
        scores = {**person.scores, **(_carry_over(last.get(person.unit), accepted) if person.scores else {})}
        content = {"unit": person.unit, "attributes": person.attributes, **_describe_devices(person)}
        digest = _digest({**content, "scores": [[*key, scores[key]] for key in sorted(scores)]})
        before = [last.get(unit) for unit in person.units]
        if _are_current(before, digest, model.trained_ms, ttl_ms if scores else PROFILE_TTL_MS):
            unchanged += len(person.units)
        else:
            rows += _make_rows(person, scores, digest, model.trained_ms)
    for person in _find_released(last, published):
        rows += _make_rows(person, {}, _digest({"unit": person.unit}), model.trained_ms)
    if not rows:
        return PublishedProfiles(unchanged=unchanged)
    name = f"{name_moment(now_ms)}-{_digest(rows)[:8]}"
    pending = lake.profiles / f"{name}{PENDING}"
    lake.write(pending, pack_profiles(rows))
    size = 0
    for chunk in _chunks(rows, MAX_PAIRS):
        size += client.put({f"{PROFILE_KEY}{row['unit']}": str(row["text"]) for row in chunk})
    lake.rename(pending, lake.profiles / f"{name}.parquet")
    return PublishedProfiles(written=len(rows), unchanged=unchanged, bytes=size)


def read_last_profiles(lake: Lake) -> dict[str, LastProfile]:
    """Each unit's latest profile in the lake. Raises LakeError where a file is damaged."""
    if not any(lake.profiles.glob("*.parquet")):
        return {}
    query = (
        "SELECT unit, arg_max({digest: digest, computed_ms: computed_ms, text: text, file: filename}, filename) "
        "FROM read_parquet(?, filename = true) GROUP BY unit"
    )
    try:
        with duckdb.connect() as connection:
            found = connection.execute(query, [lake.profile_pattern()]).fetchall()
    except duckdb.Error as error:
        raise LakeError(f"{lake.profiles}: cannot be read: {str(error).splitlines()[0]}") from error
    return {
        unit: LastProfile(
            digest=last["digest"],
            computed_ms=last["computed_ms"],
            text=last["text"],
            is_certain=not last["file"].endswith(PENDING),
        )
        for unit, last in found
    }


def _choose_people(people: Iterable[Person], accepted: Mapping[str, str], *, is_read: bool) -> Iterator[Person]:
    """Those who have a profile, with what it says: accepted scores, attributes where anything reads them or they go
    with scores; for several devices, at least whose they are."""
    for person in people:
        scores = {key: value for key, value in person.scores.items() if accepted.get(key[0]) == key[1]}
        if scores or is_read or len(person.units) > 1:
            yield replace(person, scores=scores, attributes=person.attributes if scores or is_read else {})


def _describe_devices(person: Person) -> dict[str, object]:
    """What the profile of a person with several devices says more than others do."""
    return {"several_devices": True, "draws": person.draws} if len(person.units) > 1 else {}


def _find_released(last: Mapping[str, LastProfile], published: Set[str]) -> Iterator[Person]:
    """Units that hold the profile of a person of several devices, and are none of such a person's any more."""
    for unit in sorted(last.keys() - published):
        header = Profile.from_text(last[unit].text).header
        if header.unit != unit or header.several_devices:
            yield Person(unit=unit, units=(unit,), attributes={}, scores={})


def _are_current(before: Sequence[LastProfile | None], digest: str, trained_ms: int, ttl_ms: int) -> bool:
    """Whether all of a person's devices have the same profile, of this content and young enough."""
    return len({each and each.computed_ms for each in before}) == 1 and all(
        each is not None
        and each.is_certain
        and each.digest == digest
        and 0 <= trained_ms - each.computed_ms < ttl_ms / 3
        for each in before
    )


def _carry_over(before: LastProfile | None, accepted: Mapping[str, str]) -> Scores:
    """What the last profile's own scores were, of touchpoints that now have another model version."""
    own: dict[str, tuple[str, str]] = {}
    for line in before.text.splitlines()[1:] if before is not None else ():
        touchpoint, model, record = line.split("\t", 2)
        own.setdefault(touchpoint, (model, record))  # what was carried over then stands behind
    carried = {}
    for touchpoint, (model, record) in own.items():
        if accepted.get(touchpoint, model) != model:
            scores = json.loads(record)
            carried[touchpoint, model] = {"means": scores["means"], "sds": scores["sds"]}
    return carried


def _make_rows(person: Person, scores: Scores, digest: str, computed_ms: int) -> list[dict[str, object]]:
    """The same profile for each of the person's devices."""
    version = _digest([digest, computed_ms])
    header = {
        "unit": person.unit,
        "version": version,
        "computed_ms": computed_ms,
        "cluster": "",
        "attributes": person.attributes,
        **_describe_devices(person),
    }
    try:
        text = write_profile(header, scores)
    except InvalidProfile as error:
        raise PublishError(f"the profile of {person.unit} would not be readable at the edge: {error}") from error
    return [
        {
            "unit": unit,
            "version": version,
            "digest": digest,
            "computed_ms": computed_ms,
            "attributes": json.dumps(person.attributes),
            "text": text,
        }
        for unit in person.units
    ]


def _digest(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def pack_profiles(rows: list[dict[str, object]]) -> bytes:
    """Profiles as a file of the lake; each row has the columns of `SCHEMA`."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd", row_group_size=MAX_PAIRS)
    return buffer.getvalue()


def _chunks(rows: Iterable[dict[str, object]], size: int) -> Iterator[list[dict[str, object]]]:
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk
