"""Stitching: incremental, whole or not at all, with a trail."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from origin.compact import compact
from origin.config import IdentityConfig
from origin.errors import LakeError
from origin.identity import state as state_module
from origin.identity.guard import OUTCOMES
from origin.identity.persons import read_persons
from origin.identity.state import identities, read_state
from origin.identity.stitch import Stitched, stitch
from origin.lake import Lake
from tests.origin.shop import NOON_MS, Event, store

GUARD = IdentityConfig()
LATER_MS = NOON_MS + 1_000_000


def identify(visitor: str, user: str, after_ms: int = 0, **fields: object) -> Event:
    """A visitor signed in as a user, so long after noon."""
    return {
        "type": "identify",
        "event_id": f"{visitor}-{user}-{after_ms}",
        "received_ms": NOON_MS + after_ms,
        "visitor": visitor,
        "user": user,
        **fields,
    }


def view(visitor: str, after_ms: int) -> Event:
    return identify(visitor, "", after_ms, type="page_view")


def units(lake: Lake, as_of_ms: int = LATER_MS, guard: IdentityConfig = GUARD) -> dict[str, tuple[str, ...]]:
    return dict(read_persons(lake, guard, as_of_ms).units)


def trail(lake: Lake) -> list[tuple[str, str, str, list[str], str]]:
    """All that runs have recorded: kind, both ids, the persons before and after."""
    files = sorted(identities(lake).glob("*/trail.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return [(row["kind"], row["a"], row["b"], row["before"], row["person"]) for row in rows]


def test_a_lake_that_was_never_stitched_has_no_persons_of_several_devices(lake: Lake) -> None:
    store(lake, [identify("a", "u"), identify("b", "u")])
    assert units(lake) == {}


def test_an_empty_lake_is_stitched_to_nothing(lake: Lake) -> None:
    none = Stitched(visitors=0, users=0, persons=0, outcomes=dict.fromkeys(OUTCOMES, 0), changes={})
    assert stitch(lake, GUARD, NOON_MS) == none


def test_devices_of_one_user_are_one_person_by_the_visitor_that_was_seen_first(lake: Lake) -> None:
    store(lake, [identify("a", "u", 10), identify("b", "u", 20), view("b", 5), view("c", 1)])
    done = stitch(lake, GUARD, LATER_MS)
    assert (done.visitors, done.users, done.persons, done.changes) == (2, 1, 1, {"merged": 2})
    assert units(lake) == {"b": ("b", "a")}


def test_visitors_seen_in_the_same_moment_are_in_the_order_of_their_ids(lake: Lake) -> None:
    store(lake, [identify("b", "u"), identify("a", "u")])
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_any_event_with_a_visitor_and_a_user_links_them(lake: Lake) -> None:
    store(lake, [identify("a", "u", type="purchase"), identify("b", "u", 5, type="support_ticket")])
    store(lake, [identify("", "u", 7, type="email_open"), view("d", 9)], "2")
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_a_visitor_whom_only_servers_name_is_never_a_persons_unit(lake: Lake) -> None:
    store(lake, [identify("0", "u", 1, source="server"), identify("a", "u", 2, source="browser"), view("b", 3)])
    store(lake, [identify("b", "u", 4, source="server"), identify("1", "u", 5, source="server")], "2")
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_an_earlier_visitor_who_comes_later_gives_the_person_its_name(lake: Lake) -> None:
    store(lake, [identify("b", "u", 10), identify("c", "u", 20), view("a", 1)])
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"b": ("b", "c")}
    store(lake, [identify("a", "u", 30)], "2")
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b", "c")}
    assert trail(lake)[-1] == ("merged", "user:u", "visitor:a", ["b", "a"], "a")


def test_persons_are_known_as_of_a_moment(lake: Lake) -> None:
    store(lake, [identify("b", "u", 10), identify("c", "u", 20), view("a", 1), identify("a", "u", 30)])
    stitch(lake, GUARD, LATER_MS)
    found = [units(lake, NOON_MS + after_ms) for after_ms in (19, 20, 30)]
    assert found == [{}, {"b": ("b", "c")}, {"a": ("a", "b", "c")}]


def test_the_trail_says_which_link_merged_whom(lake: Lake) -> None:
    store(lake, [identify("a", "u", 10), identify("b", "w", 20)])
    stitch(lake, GUARD, LATER_MS)
    store(lake, [identify("a", "u", 40), identify("b", "u", 50), identify("a", "w", 60)], "2")
    stitch(lake, GUARD, LATER_MS + 5)
    assert trail(lake) == [
        ("merged", "user:u", "visitor:a", ["user:u", "a"], "a"),
        ("merged", "user:w", "visitor:b", ["user:w", "b"], "b"),
        ("merged", "user:u", "visitor:b", ["a", "b"], "a"),
    ]
    rows = pq.read_table(max(identities(lake).glob("*/trail.parquet"))).to_pylist()
    [row] = rows
    assert (row["source"], row["evidence"], row["first_ms"]) == ("identify", "b-u-50", NOON_MS + 50)
    assert (row["recorded_ms"], row["reason"]) == (LATER_MS + 5, "")


def test_a_shared_device_is_taken_out_of_the_person_it_was_in(lake: Lake) -> None:
    store(lake, [identify("a", "u1", 1), identify("kiosk", "u1", 2), identify("kiosk", "u2", 3)])
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "kiosk")}
    store(lake, [identify("kiosk", "u3", 4), identify("kiosk", "u4", 5)], "2")
    done = stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {}
    assert done.outcomes == {**dict.fromkeys(OUTCOMES, 0), "joined": 1, "undone": 3, "shared": 1}
    assert done.changes == {"refused": 2, "undone": 2}
    assert trail(lake)[-4:] == [
        ("undone", "user:u1", "visitor:kiosk", ["a"], "kiosk"),
        ("undone", "user:u2", "visitor:kiosk", ["a"], "kiosk"),
        ("refused", "user:u3", "visitor:kiosk", ["user:u3", "kiosk"], "kiosk"),
        ("refused", "user:u4", "visitor:kiosk", ["user:u4", "kiosk"], "kiosk"),
    ]
    [reason] = {row["reason"] for row in pq.read_table(max(identities(lake).glob("*/trail.parquet"))).to_pylist()}
    assert reason == "the visitor is shared: more than 3 users within 30 days, so it is linked to nobody"


def test_strangers_whom_a_site_calls_by_one_name_part_again_and_are_free_for_others(lake: Lake) -> None:
    store(lake, [identify(f"v{i}", "guest", i) for i in range(15)])
    stitch(lake, GUARD, LATER_MS)
    assert {len(each) for each in units(lake).values()} == {15}
    store(lake, [identify(f"v{i}", "guest", i) for i in range(15, 100)], "2")
    store(lake, [identify("v3", "anna", 5_000), identify("phone", "anna", 6_000)], "3")
    done = stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"v3": ("v3", "phone")}
    assert done.outcomes == {**dict.fromkeys(OUTCOMES, 0), "joined": 2, "user_undone": 15, "user_shared": 85}
    assert done.changes == {"merged": 2, "refused": 85, "undone": 15}
    rows = pq.read_table(max(identities(lake).glob("*/trail.parquet"))).to_pylist()
    assert {row["reason"] for row in rows if row["kind"] != "merged"} == {
        "the user is shared: more than 15 visitors within 7 days, so it is linked to nobody"
    }


def test_what_was_refused_stays_refused_however_often_it_comes_again(lake: Lake) -> None:
    guard = IdentityConfig(visitors_per_person=2)
    store(lake, [identify(visitor, "u", after_ms) for after_ms, visitor in enumerate("abc")])
    first = stitch(lake, guard, LATER_MS)
    assert (first.outcomes["too_large"], first.changes) == (1, {"merged": 2, "refused": 1})
    for run in range(3):
        store(lake, [identify("c", "u", 1_000 + run), identify("a", "u", 2_000 + run)], f"again-{run}")
        assert stitch(lake, guard, LATER_MS + run).changes == {}
    assert units(lake, guard=guard) == {"a": ("a", "b")}


def test_a_run_without_news_writes_nothing(lake: Lake) -> None:
    store(lake, [identify("a", "u", 10), identify("b", "u", 20)])
    first = stitch(lake, GUARD, LATER_MS)
    [folder] = identities(lake).iterdir()
    again = stitch(lake, GUARD, LATER_MS + 1)
    assert (again.persons, again.changes) == (first.persons, {})
    assert list(identities(lake).iterdir()) == [folder]


def test_only_what_is_new_is_read(lake: Lake) -> None:
    [path] = store(lake, [identify("a", "u", 10)])
    stitch(lake, GUARD, LATER_MS)
    content = path.read_bytes()
    path.write_bytes(b"no gzip")  # would be an error, were it read again
    lake.write(path.parents[2] / "2027-01-01" / "00" / "later.ndjson.gz", content)
    assert stitch(lake, GUARD, LATER_MS).visitors == 1
    assert set(read_state(lake).sources) == {f"events/{path.parents[1].name}", "events/2027-01-01"}


def test_compacted_events_are_read_like_those_that_are_not(lake: Lake) -> None:
    store(lake, [identify("a", "u", 10), view("b", 5)])
    compact(lake)
    store(lake, [identify("b", "u", 20)], "2")
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"b": ("b", "a")}
    compact(lake, remove=True)
    store(lake, [identify("c", "u", 30)], "3")
    assert stitch(lake, GUARD, LATER_MS).changes == {"merged": 1}
    assert units(lake) == {"b": ("b", "a", "c")}
    assert all(name.endswith(".parquet") or name.startswith("events/") for name in read_state(lake).sources)


def test_what_is_gone_from_the_lake_is_still_known(lake: Lake) -> None:
    [path] = store(lake, [identify("a", "u", 10)])
    stitch(lake, GUARD, LATER_MS)
    path.unlink()
    store(lake, [identify("b", "u", 20)], "2")
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_other_numbers_of_the_guard_judge_all_links_anew(lake: Lake) -> None:
    store(lake, [identify(visitor, "u", after_ms) for after_ms, visitor in enumerate("abc")])
    strict = IdentityConfig(visitors_per_person=2)
    stitch(lake, strict, LATER_MS)
    assert stitch(lake, GUARD, LATER_MS).changes == {"merged": 1}
    assert units(lake) == {"a": ("a", "b", "c")}
    assert stitch(lake, strict, LATER_MS).changes == {"undone": 1}


def test_only_the_trail_of_earlier_runs_is_kept(lake: Lake) -> None:
    for run in range(3):
        store(lake, [identify("a", f"u{run}", run)], f"run-{run}")
        stitch(lake, GUARD, LATER_MS)  # the same moment: runs are in their order all the same
    *earlier, last = sorted(identities(lake).iterdir())
    assert [sorted(path.name for path in folder.iterdir()) for folder in earlier] == [
        ["state.json", "trail.parquet"]
    ] * 2
    assert sorted(path.name for path in last.iterdir()) == [
        "crossings.parquet", "links.parquet", "state.json", "trail.parquet", "visitors.parquet",
    ]  # fmt: skip


def test_who_dies_while_writing_leaves_the_state_of_before(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store(lake, [identify("a", "u", 1), identify("b", "u", 2)])
    stitch(lake, GUARD, LATER_MS)
    store(lake, [identify("c", "u", 3)], "2")

    def fill_up(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(state_module, "sync", fill_up)
        with pytest.raises(LakeError, match="No space left on device"):
            stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}
    assert len(list(identities(lake).iterdir())) == 1
    assert trail(lake)[1:] == [("merged", "user:u", "visitor:b", ["a", "b"], "a")]


def test_what_a_killed_run_left_is_removed_by_the_next(lake: Lake) -> None:
    left = identities(lake) / ".20260101T000000000Z.17.part"
    left.mkdir(parents=True)
    (left / "links.parquet").write_bytes(b"half")
    store(lake, [identify("a", "u", 1)])
    stitch(lake, GUARD, LATER_MS)
    assert not left.exists()


@pytest.mark.parametrize("name", ["links.parquet", "visitors.parquet", "state.json"])
def test_a_damaged_state_is_named_and_made_anew_once_removed(lake: Lake, name: str) -> None:
    store(lake, [identify("a", "u", 1), identify("b", "u", 2)])
    stitch(lake, GUARD, LATER_MS)
    [folder] = identities(lake).iterdir()
    (folder / name).write_bytes(b"PAR1nonsense")
    with pytest.raises(LakeError) as caught:
        stitch(lake, GUARD, LATER_MS)
    assert str(caught.value).startswith(f"{folder}: damaged (")
    assert str(caught.value).endswith("; remove it and run usher stitch, which makes it anew")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    stitch(lake, GUARD, LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_a_damaged_file_of_events_is_named(lake: Lake) -> None:
    [path] = store(lake, [identify("a", "u", 1)])
    path.write_bytes(b"no gzip")
    with pytest.raises(LakeError) as caught:
        stitch(lake, GUARD, LATER_MS)
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert not identities(lake).exists()
