from __future__ import annotations

import asyncio
import json

import pytest

from shared.records import FORMAT
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, Pointer, write_snapshot
from worker.snapshots import PATIENCE_MS, RETRY_MS, SnapshotStore

TTL_MS = 30_000
NOW_MS = 1_700_000_000_000


class FakeKv:
    """A key-value store in memory that remembers what was read and can be made to fail."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.reads: list[str] = []
        self.broken = False

    async def get(self, key: str) -> str | None:
        self.reads.append(key)
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionError("the store is away")
        return self.values.get(key)

    def publish(self, version: str, *, point: bool = True) -> None:
        header = {
            "version": version,
            "site": "shop",
            "created_ms": 0,
            "holdout_share": 0.1,
            "segments": [],
            "attributes": [],
            "goals": [],
            "pages": {},
        }
        self.values[SNAPSHOT_KEY + version] = write_snapshot(header, {})
        if point:
            self.point_to(version)

    def point_to(self, version: object) -> None:
        self.values[POINTER_KEY] = json.dumps({"snapshot": version, "published_ms": 1, "confirmed_ms": 2})


@pytest.fixture
def kv() -> FakeKv:
    return FakeKv()


@pytest.fixture
def store() -> SnapshotStore:
    return SnapshotStore(TTL_MS)


def refresh(store: SnapshotStore, kv: FakeKv, now_ms: int = NOW_MS) -> str | None:
    return asyncio.run(store.refresh(kv.get, now_ms))


def version_of(store: SnapshotStore) -> str | None:
    return None if store.snapshot is None else store.snapshot.version


def test_a_new_store_is_due_and_holds_nothing(store: SnapshotStore) -> None:
    assert store.is_due(NOW_MS)
    assert store.snapshot is None


def test_a_refresh_reads_the_pointer_and_the_snapshot_it_names(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")
    assert refresh(store, kv) is None
    assert version_of(store) == "v1"
    assert kv.reads == ["current", "snapshot:v1"]


@pytest.mark.parametrize(("age_ms", "due"), [(0, False), (TTL_MS - 1, False), (TTL_MS, True), (10 * TTL_MS, True)])
def test_the_pointer_is_looked_at_again_after_its_ttl(store: SnapshotStore, kv: FakeKv, age_ms: int, due: bool) -> None:
    kv.publish("v1")
    refresh(store, kv)
    assert store.is_due(NOW_MS + age_ms) is due


def test_a_snapshot_that_is_held_already_is_not_read_again(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")
    refresh(store, kv)
    held = store.snapshot
    assert refresh(store, kv, NOW_MS + TTL_MS) is None
    assert store.snapshot is held
    assert kv.reads == ["current", "snapshot:v1", "current"]
    assert not store.is_due(NOW_MS + TTL_MS + 1)


def test_a_newer_version_replaces_the_held_one_and_a_rollback_returns_to_the_old(
    store: SnapshotStore, kv: FakeKv
) -> None:
    seen = []
    for at, version in enumerate(["v1", "v2", "v1"]):
        kv.publish(version)
        assert refresh(store, kv, NOW_MS + at * TTL_MS) is None
        seen.append(version_of(store))
    assert seen == ["v1", "v2", "v1"]


def damage(kv: FakeKv, how: str) -> None:
    kv.publish("v2")
    text = kv.values[SNAPSHOT_KEY + "v2"]
    changes = {
        "gone": None,
        "cut": text[: len(text) // 2],
        "empty": "",
        "format": text.replace(f'"format":{FORMAT}', '"format":99'),
        "records": text + "touchpoint:x\t{}\n",
        "another version": text.replace('"v2"', '"v3"'),
    }
    changed = changes[how]
    if changed is None:
        del kv.values[SNAPSHOT_KEY + "v2"]
    else:
        kv.values[SNAPSHOT_KEY + "v2"] = changed


FAILURES = [
    ("gone", "snapshot_missing"),
    ("cut", "snapshot_invalid"),
    ("empty", "snapshot_invalid"),
    ("format", "snapshot_unknown_format"),
    ("records", "snapshot_invalid"),
    ("another version", "snapshot_invalid"),
]


@pytest.mark.parametrize(("how", "reason"), FAILURES)
def test_the_last_good_snapshot_stays_when_the_next_one_is_bad(
    store: SnapshotStore, kv: FakeKv, how: str, reason: str
) -> None:
    kv.publish("v1")
    refresh(store, kv)
    damage(kv, how)
    assert refresh(store, kv, NOW_MS + TTL_MS) == reason
    assert version_of(store) == "v1"
    kv.publish("v2")
    assert refresh(store, kv, NOW_MS + TTL_MS + 1) is None
    assert version_of(store) == "v2"


@pytest.mark.parametrize(("how", "reason"), FAILURES)
def test_a_first_snapshot_that_is_bad_is_named_and_not_held(
    store: SnapshotStore, kv: FakeKv, how: str, reason: str
) -> None:
    damage(kv, how)
    assert refresh(store, kv) == reason
    assert store.snapshot is None
    assert store.is_due(NOW_MS + TTL_MS)


@pytest.mark.parametrize(
    "pointer", ["", "v1", "null", "[]", '"v1"', "{}", '{"snapshot":7}', '{"snapshot":""}', "{" * 9, "[" * 100_000]
)
def test_a_pointer_that_names_no_version_is_refused(store: SnapshotStore, kv: FakeKv, pointer: str) -> None:
    kv.publish("v1")
    refresh(store, kv)
    kv.values[POINTER_KEY] = pointer
    assert refresh(store, kv, NOW_MS + TTL_MS) == "pointer_invalid"
    assert version_of(store) == "v1"


def test_where_nothing_was_published_it_is_asked_again_only_after_the_ttl(store: SnapshotStore, kv: FakeKv) -> None:
    assert refresh(store, kv) == "nothing_published"
    assert not store.is_due(NOW_MS + TTL_MS - 1)
    kv.publish("v1")
    assert refresh(store, kv, NOW_MS + TTL_MS) is None
    assert version_of(store) == "v1"


def test_a_pointer_that_vanishes_leaves_the_held_snapshot(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")
    refresh(store, kv)
    del kv.values[POINTER_KEY]
    assert refresh(store, kv, NOW_MS + TTL_MS) == "nothing_published"
    assert version_of(store) == "v1"


def test_what_the_store_raises_reaches_the_caller_and_the_next_refresh_works(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")
    refresh(store, kv)
    kv.publish("v2")
    kv.broken = True
    with pytest.raises(ConnectionError):
        refresh(store, kv, NOW_MS + TTL_MS)
    assert version_of(store) == "v1"
    kv.broken = False
    assert refresh(store, kv, NOW_MS + TTL_MS + RETRY_MS) is None
    assert version_of(store) == "v2"


@pytest.mark.parametrize(("ttl_ms", "retry_ms"), [(TTL_MS, RETRY_MS), (200, 200)])
@pytest.mark.parametrize("failure", ["raises", "pointer", "snapshot"])
def test_after_a_failure_the_store_is_asked_again_soon_but_not_by_every_request(
    kv: FakeKv, ttl_ms: int, retry_ms: int, failure: str
) -> None:
    store = SnapshotStore(ttl_ms)
    kv.point_to(7 if failure == "pointer" else "gone")
    kv.broken = failure == "raises"
    if kv.broken:
        with pytest.raises(ConnectionError):
            refresh(store, kv)
    else:
        assert refresh(store, kv) is not None
    assert not store.is_due(NOW_MS + retry_ms - 1)
    assert store.is_due(NOW_MS + retry_ms)


def test_while_one_request_refreshes_the_others_go_on_with_what_is_held_until_their_patience_ends(
    store: SnapshotStore, kv: FakeKv
) -> None:
    kv.publish("v1")
    refresh(store, kv)
    kv.publish("v2")
    later_ms = NOW_MS + TTL_MS
    seen: list[tuple[bool, bool]] = []

    async def watched(key: str) -> str | None:
        seen.append((store.is_due(later_ms + PATIENCE_MS - 1), store.is_due(later_ms + PATIENCE_MS)))
        return await kv.get(key)

    assert asyncio.run(store.refresh(watched, later_ms)) is None
    assert seen == [(False, True), (False, True)]


def test_while_nothing_is_held_every_request_looks_for_itself(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")
    seen: list[bool] = []

    async def watched(key: str) -> str | None:
        seen.append(store.is_due(NOW_MS))
        return await kv.get(key)

    assert asyncio.run(store.refresh(watched, NOW_MS)) is None
    assert seen == [True, True]
    assert not store.is_due(NOW_MS)


def test_two_refreshes_that_overlap_both_end_with_the_published_version(store: SnapshotStore, kv: FakeKv) -> None:
    kv.publish("v1")

    async def overlap() -> list[str | None]:
        return list(await asyncio.gather(store.refresh(kv.get, NOW_MS), store.refresh(kv.get, NOW_MS)))

    assert asyncio.run(overlap()) == [None, None]
    assert version_of(store) == "v1"
    assert not store.is_due(NOW_MS)


def test_what_is_switched_off_is_known_from_the_pointer_without_a_new_snapshot(
    store: SnapshotStore, kv: FakeKv
) -> None:
    kv.publish("v1")
    refresh(store, kv)
    assert list(store.off) == []
    kv.values[POINTER_KEY] = Pointer(version="v1", published_ms=1, confirmed_ms=2, off=("hero",)).to_text()
    assert refresh(store, kv) is None
    assert list(store.off) == ["hero"]
    kv.values[POINTER_KEY] = "no pointer"
    refresh(store, kv)
    assert list(store.off) == ["hero"]
    kv.point_to("v1")
    refresh(store, kv)
    assert list(store.off) == []
