"""`usher replay`: what it says and the status it ends with, in a terminal of 80 columns."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from origin.cli import app
from origin.lake import Lake
from shared.snapshot import Snapshot
from tests.origin.logs import change, is_kept, log_views, see, view_of, view_thrice, visitor_of


def run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str], list[str]]:
    """Status, output and errors of the command."""
    monkeypatch.setenv("USHER_LAKE", str(lake.root))
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["replay"])
    return done.exit_code, done.stdout.splitlines(), done.stderr.splitlines()


def test_a_faithful_log_is_certified(lake: Lake, targeted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    log_views(lake, view_thrice(targeted, "v"))
    assert run(lake, monkeypatch) == (0, ["same 3 decisions, to the last bit; 1 of them repeating an earlier one"], [])


def test_what_is_not_certified_is_counted(lake: Lake, targeted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, third = view_thrice(targeted, "v")
    log_views(lake, [first, third, view_of(targeted, visitor_of("w"), forced={"hero": "offer"})])
    assert run(lake, monkeypatch) == (
        0,
        [
            "same 1 decision, to the last bit; 0 of them repeating an earlier one",
            "same 1 preview, as the links ask",
            "note not certified: 1 repeat whose draw the lake does not hold",
        ],
        [],
    )


def test_the_first_difference_is_named_and_fails(
    lake: Lake, targeted: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_views(lake, [*view_thrice(targeted, "v"), see(targeted, visitor_of("w"), 5)])
    before = change(lake, is_kept, variant="gone", propensity=0.5)
    change(lake, lambda line: bool(line["visitor"] == "w"), propensity=0.5)
    status, said, errors = run(lake, monkeypatch)
    assert (status, said) == (1, ["same 2 decisions, to the last bit; 0 of them repeating an earlier one"])
    assert errors == [
        "error: 2 decisions came out otherwise, the first:",
        "error:   hero of pv-v-2-hero",
        "error:   visitor v, received at 1700000000002 ms",
        f"error:   variant: logged 'gone', computed '{before['variant']}'",
        f"error:   propensity: logged 0.5, computed {before['propensity']!r}",
    ]


def test_what_is_missing_is_named_and_fails(lake: Lake, targeted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    log_views(lake, view_thrice(targeted, "v"))
    path = lake.snapshots / "v1.txt"
    path.unlink()
    assert run(lake, monkeypatch) == (
        1,
        ["same 1 decision, to the last bit; 1 of them repeating an earlier one"],
        [
            "error: 2 decisions cannot be replayed, the first:",
            f"error:   pv-v-0-hero: {path}: the lake does not hold this snapshot; bring it back",
        ],
    )
