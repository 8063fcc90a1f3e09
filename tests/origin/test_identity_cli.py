"""What the commands about identity say."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.lake import Lake
from shared.identity import hash_user
from tests.origin.shop import USHER_TOML, store, write_config
from tests.origin.test_cli import Usher, failure, said, usher
from tests.origin.test_identity_stitch import identify

KEY = "a-key-of-user-hashes"
ANNA = hash_user(KEY.encode(), "anna")

__all__ = ["usher"]


def test_stitch_says_what_it_found(usher: Usher, lake: Lake, tmp_path: Path) -> None:
    assert said(usher("stitch")) == ["stitched 0 visitors and 0 users into 0 persons: nothing new"]
    store(lake, [identify("a", "u"), identify("b", "u", 1), *(identify("kiosk", f"u{i}", i) for i in range(5))])
    assert said(usher("stitch")) == [
        "stitched 2 visitors and 1 users into 1 persons: 2 merged, 5 refused",
        "note 5 links are not joined, because of shared visitors or users, or of too large persons",
    ]
    write_config(tmp_path, USHER_TOML + "[identity]\nusers_per_visitor = 5\n")
    assert said(usher("stitch")) == ["stitched 3 visitors and 6 users into 2 persons: 5 merged"]


def test_the_guard_is_checked_like_all_of_the_configuration(usher: Usher, tmp_path: Path) -> None:
    write_config(tmp_path, USHER_TOML + "[identity]\nusers_per_visitor = 0\nwindow = 3\n")
    assert failure(usher("stitch")).splitlines() == [
        "usher.toml: identity.users_per_visitor: 0 is less than 1; write at least 1, such as users_per_visitor = 3",
        "usher.toml: identity.window: is not a known key; write window_days",
    ]


def test_a_graph_is_imported_and_shown(
    usher: Usher, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "graph.csv").write_text("kind_1,id_1,kind_2,id_2\nvisitor,b,user,anna\n")
    assert failure(usher("identity", "import", "graph.csv")).startswith("USHER_USER_KEY not set: ")
    monkeypatch.setenv("USHER_USER_KEY", "short")
    assert failure(usher("identity", "import", "graph.csv")) == (
        "USHER_USER_KEY: the key must have 16 or more characters; give the very key that the Worker has"
    )
    monkeypatch.setenv("USHER_USER_KEY", KEY)
    imported = "imported 1 links{}; the next usher stitch or usher retrain judges them"
    assert said(usher("identity", "import", "graph.csv")) == [imported.format("")]
    assert said(usher("identity", "import", "graph.csv")) == [imported.format(" (known already)")]
    assert failure(usher("identity", "show", "a")) == f"{lake.root}: nothing is stitched yet; run usher stitch"
    store(lake, [identify("a", ANNA)])
    said(usher("stitch"))
    lines = said(usher("identity", "show", "anna"))
    assert lines[0] == "person a, unit a"
    assert "visitor b: never seen by the edge" in lines
    assert any(
        line.startswith(f"  because of visitor b and user {ANNA}: import of graph.csv, line 2, ") for line in lines
    )
    assert failure(usher("identity", "show", "berta")) == "berta: no visitor, user or person of that id is known"
    assert said(usher("identity", "forget-import", "graph.csv")) == [
        "forgotten 1 links; the next usher stitch or usher retrain undoes what only they said"
    ]
    assert failure(usher("identity", "forget-import", "graph.csv")).startswith(
        "graph.csv: these pairs are not imported; "
    )
    assert said(usher("stitch")) == ["stitched 1 visitors and 1 users into 1 persons: 1 undone"]


def test_the_group_lists_its_commands(usher: Usher) -> None:
    text = usher("identity", "--help").output
    assert "import" in text and "forget-import" in text and "show" in text
