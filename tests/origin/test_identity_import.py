"""Importing an identity graph: hashed on the way in, all or nothing, judged like any other link."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from origin.config import IdentityConfig
from origin.errors import IdentityError
from origin.identity.guard import OUTCOMES
from origin.identity.importing import ImportedGraph, forget_graph, import_graph
from origin.identity.persons import read_persons
from origin.identity.state import identities
from origin.identity.stitch import stitch
from origin.lake import Lake
from shared.identity import hash_user
from tests.origin.shop import NOON_MS, store
from tests.origin.test_identity_stitch import LATER_MS, identify, trail, units, view

KEY = b"a-key-of-user-hashes"
HEADER = "kind_1,id_1,kind_2,id_2"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return tmp_path / "graph.csv"


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_imported_links_join_whom_the_events_know(lake: Lake, graph: Path) -> None:
    store(lake, [view("a", 1), identify("b", hash_user(KEY, "anna"), 2), view("c", 3)])
    write(graph, "visitor,a,user,anna@example.com", "user,anna,user,anna@example.com", "visitor,a,visitor,c")
    assert import_graph(graph, KEY, lake, NOON_MS + 9) == ImportedGraph(links=3, is_new=True)
    done = stitch(lake, IdentityConfig(), LATER_MS)
    assert units(lake) == {"a": ("a", "b", "c")}
    assert (done.visitors, done.users, done.persons) == (3, 2, 1)
    assert read_persons(lake, IdentityConfig(), NOON_MS + 8).units == {}


def test_no_raw_user_id_is_kept_anywhere(lake: Lake, graph: Path) -> None:
    write(graph, "visitor,a,user,anna@example.com", "user,anna,user,anna@example.com")
    import_graph(graph, KEY, lake, NOON_MS)
    stitch(lake, IdentityConfig(), LATER_MS)
    tables = [pq.read_table(path) for path in identities(lake).rglob("*.parquet")]
    assert len(tables) == 5
    assert "anna" not in "".join(str(table.to_pylist()) for table in tables)


def test_a_link_says_which_line_it_is_from(lake: Lake, graph: Path) -> None:
    import_graph(write(graph, "", 'visitor,a,user,"x,y"', "visitor,b,user,z"), KEY, lake, NOON_MS)
    stitch(lake, IdentityConfig(), LATER_MS)
    [links] = identities(lake).glob("*/links.parquet")
    rows = pq.read_table(links).to_pylist()
    assert {(row["b"], row["source"], row["evidence"], row["first_ms"]) for row in rows} == {
        ("visitor:a", "import of graph.csv", "line 3", NOON_MS),
        ("visitor:b", "import of graph.csv", "line 4", NOON_MS),
    }


def test_the_same_graph_again_changes_nothing(lake: Lake, graph: Path) -> None:
    import_graph(write(graph, "visitor,a,user,u", "visitor,b,user,u"), KEY, lake, NOON_MS)
    again = write(graph, "user,u,visitor,b", "visitor,a,user,u", "visitor,a,user,u")
    assert import_graph(again, KEY, lake, LATER_MS) == ImportedGraph(links=2, is_new=False)
    assert len(list(identities(lake).rglob("*.parquet"))) == 1


def test_columns_may_stand_in_any_order_behind_a_byte_order_mark(lake: Lake, graph: Path) -> None:
    graph.write_bytes("\ufeffid_1,kind_1,id_2,kind_2\r\na,visitor,Ünal,user\r\n".encode())
    assert import_graph(graph, KEY, lake, NOON_MS).links == 1
    [path] = identities(lake).rglob("*.parquet")
    assert pq.read_table(path)["a"].to_pylist() == [f"user:{hash_user(KEY, 'Ünal')}"]


def test_a_visitor_only_a_graph_names_is_never_a_persons_unit(lake: Lake, graph: Path) -> None:
    """`0` and `1` sort before `a`, but the edge has never seen them."""
    store(lake, [identify("a", hash_user(KEY, "u"), 5), view("b", 9)])
    import_graph(write(graph, "visitor,0,user,u", "visitor,1,user,u", "visitor,0,visitor,b"), KEY, lake, NOON_MS)
    stitch(lake, IdentityConfig(), LATER_MS)
    assert units(lake) == {"a": ("a", "b")}


def test_what_only_a_forgotten_import_said_is_undone_and_the_trail_says_so(lake: Lake, graph: Path) -> None:
    user = f"user:{hash_user(KEY, 'u')}"
    store(lake, [view("a", 1), view("b", 2), view("c", 3), identify("d", "w", 4)])
    import_graph(write(graph, "visitor,a,user,u", "visitor,b,user,u", "visitor,c,user,u"), KEY, lake, NOON_MS + 9)
    stitch(lake, IdentityConfig(), LATER_MS)
    # The wrong pair is the last one; the events come to know the second themselves, once it is joined already.
    store(lake, [identify("b", hash_user(KEY, "u"), 20)], "2")
    stitch(lake, IdentityConfig(), LATER_MS + 1)
    assert units(lake) == {"a": ("a", "b", "c")}
    shuffled = write(graph.with_name("same.csv"), "visitor,c,user,u", "user,u,visitor,a", "visitor,b,user,u")
    assert forget_graph(shuffled, KEY, lake) == 3
    import_graph(write(graph, "visitor,a,user,u"), KEY, lake, NOON_MS + 500)
    done = stitch(lake, IdentityConfig(), LATER_MS + 2)
    assert units(lake) == {"a": ("a", "b")}
    assert (done.outcomes["joined"], done.changes) == (3, {"undone": 1})
    assert trail(lake)[-1] == ("undone", user, "visitor:c", ["a"], "c")
    last = max(identities(lake).glob("*/trail.parquet"))
    assert pq.read_table(last)["reason"].to_pylist() == ["the import that said so was forgotten"]
    rows = pq.read_table(last.with_name("links.parquet")).to_pylist()
    assert {row["b"]: (row["source"], row["first_ms"]) for row in rows} == {
        "visitor:a": ("import of graph.csv", NOON_MS + 500),
        "visitor:b": ("identify", NOON_MS + 20),
        "visitor:d": ("identify", NOON_MS + 4),
    }
    assert stitch(lake, IdentityConfig(), LATER_MS + 3).changes == {}


def test_a_forgotten_import_leaves_what_one_run_over_the_rest_would_give(
    lake: Lake, graph: Path, tmp_path: Path
) -> None:
    """Also where it had made a device shared: that was the import's doing."""
    events = [identify("kiosk", "w", 1), identify("phone", "w", 2)]
    store(lake, events)
    stitch(lake, IdentityConfig(), LATER_MS)
    import_graph(write(graph, *(f"visitor,kiosk,user,u{i}" for i in range(5))), KEY, lake, NOON_MS)
    assert stitch(lake, IdentityConfig(), LATER_MS).outcomes["joined"] == 1
    forget_graph(graph, KEY, lake)
    again = stitch(lake, IdentityConfig(), LATER_MS)
    untouched = Lake(tmp_path / "untouched")
    store(untouched, events)
    assert again.outcomes == stitch(untouched, IdentityConfig(), LATER_MS).outcomes
    assert units(lake) == units(untouched) == {"kiosk": ("kiosk", "phone")}


def test_what_was_not_imported_cannot_be_forgotten(lake: Lake, graph: Path) -> None:
    import_graph(write(graph, "visitor,a,user,u", "visitor,b,user,u"), KEY, lake, NOON_MS)
    write(graph, "visitor,a,user,u")
    with pytest.raises(IdentityError) as caught:
        forget_graph(graph, KEY, lake)
    assert str(caught.value) == (
        "graph.csv: these pairs are not imported; give the very file that was (usher identity show names it)"
    )
    assert len(list(identities(lake).rglob("*.parquet"))) == 1


def test_imported_links_are_guarded_like_all_others(lake: Lake, graph: Path) -> None:
    import_graph(write(graph, *(f"visitor,kiosk,user,u{i}" for i in range(5))), KEY, lake, NOON_MS)
    done = stitch(lake, IdentityConfig(), LATER_MS)
    assert done.outcomes == {**dict.fromkeys(OUTCOMES, 0), "undone": 3, "shared": 2}


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["visitor,a,user,u", "visitor,b,usr,u"], "line 3: kind_2: is no kind of id; write visitor or user"),
        (["visitor,,user,u"], "line 2: id_1: is no visitor's id; write 1 to 100 of A-Z a-z 0-9 _ . ~ -"),
        (["visitor,a b,user,u"], "line 2: id_1: is no visitor's id; write 1 to 100 of A-Z a-z 0-9 _ . ~ -"),
        (["visitor,a,user,"], "line 2: id_2: 0 characters; write the user's id, of 1 to 200 characters"),
        ([f"visitor,a,user,{'x' * 201}"], "line 2: id_2: 201 characters; write the user's id, of 1 to 200 characters"),
        (["visitor,a,user"], "line 2: 3 fields; write 4, with quotes around commas"),
        (["visitor,a,user,u,v"], "line 2: 5 fields; write 4, with quotes around commas"),
        (["visitor,a,visitor,a"], "line 2: both ids are the same; remove the line"),
        (["user,u,user,u"], "line 2: both ids are the same; remove the line"),
        (['visitor,"a"b,user,u'], "line 2: is no CSV (',' expected after '\"'); correct it"),
        ([], "holds no pairs; write one a line below kind_1,id_1,kind_2,id_2"),
    ],
)
def test_what_is_wrong_is_one_message_with_its_line_and_nothing_is_kept(
    lake: Lake, graph: Path, lines: list[str], problem: str
) -> None:
    with pytest.raises(IdentityError) as caught:
        import_graph(write(graph, *lines), KEY, lake, NOON_MS)
    assert str(caught.value) == f"graph.csv: {problem}"
    assert not identities(lake).exists()


@pytest.mark.parametrize("header", ["", "visitor,user", f"{HEADER},confidence", "kind_1,id_1,kind_1,id_2"])
def test_other_columns_are_refused(lake: Lake, graph: Path, header: str) -> None:
    with pytest.raises(IdentityError) as caught:
        import_graph(write(graph, "visitor,a,user,u", header=header), KEY, lake, NOON_MS)
    expected = "graph.csv: line 1: the columns must be kind_1,id_1,kind_2,id_2; write that as line 1"
    assert str(caught.value) == expected


def test_what_is_no_text_file_is_refused(lake: Lake, graph: Path) -> None:
    with pytest.raises(IdentityError, match=r"graph\.csv: cannot be read \(No such file or directory\); name the path"):
        import_graph(graph, KEY, lake, NOON_MS)
    graph.write_bytes(HEADER.encode() + b"\nvisitor,a,user,\xff\n")
    with pytest.raises(IdentityError) as caught:
        import_graph(graph, KEY, lake, NOON_MS)
    assert str(caught.value) == "graph.csv: line 2: is not UTF-8; save the file as UTF-8"


def test_a_message_never_repeats_a_users_id(lake: Lake, graph: Path) -> None:
    """Not even where columns are mixed up."""
    for line in ("anna@example.com,user,a,visitor", "visitor,anna@example.com,user,u", "user,anna@example.com"):
        with pytest.raises(IdentityError) as caught:
            import_graph(write(graph, line), KEY, lake, NOON_MS)
        assert "anna" not in str(caught.value)
