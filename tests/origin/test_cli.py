"""The command line: what each command says, and that every failure is one message and exit code 1."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from origin.cli import app
from origin.kv import KvClient
from origin.lake import Lake
from origin.settings import Settings
from scripts.runtime.edge import Edge
from tests.origin.shop import USHER_TOML, VARIANTS, Event, dump_pointer, exposure, goal, pack, write_config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMANDS = [
    *("schema", "check", "import-log", "pull", "train", "publish", "retrain", "status", "preview"),
    *("replay", "explain", "stitch", "compact", "off", "on"),
]
LEVEL = "uses the segment level (cluster level: {} of 10,000 people and 1 of 90 days so far)"
CLOSED = "2026-12-01T00:00:00+00:00"
Usher = Callable[..., Result]


@pytest.fixture
def usher(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Usher:
    """Run a command in a folder with the shop's configuration; nothing else is set."""
    write_config(tmp_path)
    monkeypatch.setenv("USHER_LAKE", str(lake.root))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run


@pytest.fixture
def live(usher: Usher, edge: Edge, s3: S3Client, kv_url: str, monkeypatch: pytest.MonkeyPatch) -> Usher:
    """The same, with the settings of the local edge; its KV and bucket are empty."""
    for name, value in edge.environment().items():
        monkeypatch.setenv(name, value)
    return usher


def said(result: Result) -> list[str]:
    """The lines of a command that went well."""
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout.splitlines()


def failure(result: Result) -> str:
    """The one message of a command that failed."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    return "\n".join(line.removeprefix("error: ") for line in lines)


def test_help_lists_the_commands(usher: Usher) -> None:
    for result in (usher("--help"), usher()):
        assert all(re.search(rf"^\W*{command}\b", result.output, re.MULTILINE) for command in COMMANDS)
    assert usher("--help").exit_code == 0
    assert {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands} == set(
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(usher: Usher, command: str) -> None:
    assert len(said(usher(command, "--help"))) > 3


def test_schema_prints_json(usher: Usher) -> None:
    assert json.loads("\n".join(said(usher("schema"))))["title"] == "usher.toml"


def test_check_says_what_is_configured(usher: Usher, tmp_path: Path) -> None:
    assert said(usher("check")) == ["ok hero: 3 variants on /, goal click"]
    write_config(tmp_path / "other", USHER_TOML.replace('["/"]', '["/[/]", "/[slug]"]'), 'name = "usher"')
    assert said(usher("check", "--config", "other/usher.toml")) == ["ok hero: 3 variants on /[/], /[slug], goal click"]


def test_check_reports_every_problem_of_the_configuration(usher: Usher, tmp_path: Path) -> None:
    write_config(tmp_path, USHER_TOML.replace('"house", floor = 0.05', '"house", flor = 0.05') + "[sit]\n")
    message = failure(usher("check"))
    assert [line.partition(": ")[0] for line in message.splitlines()] == ["usher.toml"] * 2
    assert "flor" in message and "sit" in message


def test_check_reports_a_page_that_misses_the_worker(usher: Usher, tmp_path: Path) -> None:
    write_config(tmp_path, wrangler='[assets]\nrun_worker_first = ["/men/*"]')
    assert failure(usher("check")) == (
        "wrangler.toml: assets.run_worker_first: the page '/' of touchpoints.hero would be served without the Worker; "
        "add '/'"
    )


@pytest.mark.parametrize("command", [["check"], ["train"], ["publish"], ["retrain"], ["preview", "hero", "craft"]])
def test_a_missing_configuration_is_one_message(usher: Usher, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "usher.toml").unlink()
    assert failure(usher(*command)) == (f"usher.toml: does not exist in {tmp_path}; write one, or name another path")


@pytest.mark.parametrize("command", ["pull", "publish", "retrain", "status"])
def test_missing_settings_are_one_message(usher: Usher, command: str) -> None:
    assert re.match(r"USHER_\w+(, USHER_\w+)+ not set: ", failure(usher(command)))


def test_import_log_says_what_came_in(usher: Usher, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("t,v,p,r\n2019-11-24T00:03:13Z,craft,0.5,1\n2019-11-25,house,0.5,0\n")
    mapping = ['log = "old"', 'touchpoint = "hero"', 'time = "t"', 'variant = "v"', 'propensity = "p"', 'reward = "r"']
    (tmp_path / "mapping.toml").write_text("\n".join(mapping))
    assert said(usher("import-log", "log.csv", "--mapping", "mapping.toml")) == [
        "imported old: 2 decisions on hero, 2 variants, 1 rewards, 2019-11-24 00:03:13 UTC to 2019-11-25 00:00:00 UTC"
    ]
    (tmp_path / "log.csv").write_text("t,v,p,r\n,craft,0.5,2\n")
    assert failure(usher("import-log", "log.csv", "-m", "mapping.toml")).splitlines() == [
        "log.csv: column t: 1 of 1 values are unusable, the first in line 2; expected a time (see time_unit)",
        "log.csv: column r: 1 of 1 values are unusable, the first in line 2; expected 0 or 1",
        "nothing was imported; mend the file or the mapping",
    ]
    assert said(usher("train", "--as-of", CLOSED))[0].startswith("trained hero: 2 decisions, 1 rewards, ")


def test_train_says_what_it_learned_from(usher: Usher, lake: Lake) -> None:
    for key, content in pack([exposure(1), goal(1), exposure(2, "withdrawn")]).items():
        lake.write(lake.root / key, content)
    assert said(usher("train", "--as-of", CLOSED)) == [
        f"trained hero: 1 decisions, 1 rewards, 3 variants, global and 0 segments; {LEVEL.format(2)}",
        "note hero: 1 decisions on variants not configured: left out",
    ]


@pytest.mark.parametrize("moment", ["yesterday", "", "2026-13-01", "1700000000000"])
def test_a_moment_that_is_none_is_one_message(usher: Usher, lake: Lake, moment: str) -> None:
    assert failure(usher("train", f"--as-of={moment}")) == (
        f"--as-of {moment!r}: not a time; write it like 2026-11-22T04:00:00+00:00"
    )
    assert not lake.models.exists()


@pytest.fixture
def holder(lake: Lake) -> Iterator[None]:
    """Another process that holds the lake's lock."""
    code = (
        "import sys; from pathlib import Path; from origin.lake import Lake\n"
        "with Lake(Path(sys.argv[1])).locked(): print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lake.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.stdin.close()


@pytest.mark.usefixtures("holder")
def test_a_lake_in_use_is_one_message(usher: Usher, lake: Lake) -> None:
    assert failure(usher("train")) == (f"{lake.root}: another usher command is writing to this lake; try again later")


def test_a_lake_that_is_no_folder_is_one_message(usher: Usher, lake: Lake) -> None:
    lake.root.write_text("a file")
    assert failure(usher("train")).startswith(f"{lake.root}: cannot be the lake (")


def test_a_damaged_lake_is_one_message(usher: Usher, lake: Lake) -> None:
    lake.write(lake.events / "2026-09-21" / "12" / "damaged.ndjson.gz", b"not packed")
    assert str(lake.events / "2026-09-21" / "12" / "damaged.ndjson.gz") in failure(usher("train"))


def test_retrain_goes_from_the_bucket_to_kv_and_status_tells(live: Usher, s3: S3Client, settings: Settings) -> None:
    assert said(live("status")) == ["nothing is published: every page shows its own content; run usher retrain"]
    events: list[Event] = [exposure(i, VARIANTS[i % 3]) for i in range(90)]
    for key, content in pack([*events, *(goal(i) for i in range(1, 90, 3))]).items():
        s3.put_object(Bucket=settings.bucket, Key=key, Body=content)
    pulled, compacted, stitched, trained, published = said(live("retrain", "--as-of", CLOSED))
    assert pulled == "pulled 1 new objects with 120 events (0 known)"
    assert compacted == "compacted 1 objects into 1 day; 0 copies left out"
    assert stitched == "stitched 0 visitors and 0 users into 0 persons: nothing new"
    assert trained == f"trained hero: 90 decisions, 30 rewards, 3 variants, global and 1 segment; {LEVEL.format(90)}"
    found = re.fullmatch(r"published (\S+): 2 keys, [\d,]+ bytes", published)
    assert found is not None
    first, second, level, *table = said(live("status"))
    assert level == f"hero {LEVEL.format(90)}"
    assert first.startswith(f"live: {found[1]}, since 20")
    assert second == (
        "trained as of 2026-12-01 00:00:00 UTC on 90 decisions from edge, "
        "2026-09-21 12:00:00 UTC to 2026-09-21 12:00:00 UTC"
    )
    assert re.search(r"hero\W+global\W+craft (9\d\.\d|100\.0)%, ", "\n".join(table))
    assert re.search(r"hero\W+segment desktop\W+craft ", "\n".join(table))
    pulled, _, _, _, unchanged = said(live("retrain", "--as-of", "2026-12-02"))
    assert pulled == "pulled 0 new objects with 0 events (1 known)"
    assert unchanged == f"unchanged {found[1]} stays live: the same content is published already"


def test_a_damaged_object_is_an_error_and_stops_no_learning(live: Usher, s3: S3Client, settings: Settings) -> None:
    bad = ["events/a.ndjson.gz", "quarantine/b.ndjson.gz"]
    for key, content in {**pack([exposure(1), goal(1)]), **dict.fromkeys(bad, b"not packed")}.items():
        s3.put_object(Bucket=settings.bucket, Key=key, Body=content)
    result = live("retrain", "--as-of", CLOSED)
    assert [line.partition(": ")[0] for line in failure(result).splitlines()] == bad
    pulled, _, _, trained, published = result.stdout.splitlines()
    assert pulled == "pulled 1 new objects with 2 events (0 known)"
    assert trained.startswith("trained hero: 1 decisions, 1 rewards, ")
    assert published.startswith("published ")
    result = live("pull")
    assert [line.partition(": ")[0] for line in failure(result).splitlines()] == bad
    assert result.stdout.splitlines() == ["pulled 0 new objects with 0 events (1 known)"]


def test_publish_says_what_it_replaced(live: Usher, kv: KvClient) -> None:
    kv.put({"current": "garbage"})
    _, _, _, _, note, published = said(live("retrain"))
    assert note == "note the key current holds 'garbage', not a pointer to a snapshot; written anew"
    assert published.startswith("published ")


def test_train_and_publish_are_the_parts_of_retrain(live: Usher) -> None:
    assert "no model yet; run usher train" in failure(live("publish"))
    said(live("train"))
    assert said(live("pull")) == ["pulled 0 new objects with 0 events (0 known)"]
    assert said(live("publish"))[0].startswith("published ")


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("garbage", "the key current holds 'garbage', not a pointer to a snapshot"),
        (dump_pointer("v9"), "current names v9, which KV does not hold; run usher publish"),
    ],
)
def test_a_pointer_to_nothing_is_one_message(live: Usher, kv: KvClient, pointer: str, message: str) -> None:
    kv.put({"current": pointer})
    assert failure(live("status")) == message


def test_a_snapshot_that_cannot_be_read_is_one_message(live: Usher, kv: KvClient) -> None:
    kv.put({"current": dump_pointer("v9"), "snapshot:v9": "garbage"})
    assert failure(live("status")).startswith("header: ")


def test_publish_mends_what_status_found_missing(live: Usher, kv: KvClient) -> None:
    said(live("train"))
    [line] = said(live("publish"))
    version = line.split()[1].rstrip(":")
    kv.put({"current": dump_pointer(f"20200101T000000000Z-{version.split('-')[1]}")})
    assert "which KV does not hold; run usher publish" in failure(live("status"))
    said(live("publish"))
    assert said(live("status"))[0].startswith("live: ")


def test_off_and_on_say_what_the_edge_is_told_and_status_too(live: Usher) -> None:
    assert failure(live("off")) == "nothing is published, so nothing is personalised; run usher retrain first"
    said(live("train"))
    said(live("publish"))
    assert said(live("off", "hero")) == ["off hero: the pages' own content; usher on ends that"]
    assert said(live("status"))[1] == "off hero: the pages' own content; usher on ends that"
    assert failure(live("off", "her")) == 'her is no touchpoint of the live snapshot; write "hero"'
    assert said(live("off")) == ["off the whole site shows its own content; usher on ends that"]
    said(live("publish"))
    assert said(live("status"))[1] == "off the whole site shows its own content; usher on ends that"
    assert said(live("on")) == ["on everything is personalised"]
    assert said(live("status"))[1].startswith("trained as of ")


def test_preview_prints_a_link_and_nothing_else(live: Usher) -> None:
    [link] = said(live("preview", "hero", "craft", "--url", "https://shop.example/?a=1"))
    assert link.startswith("https://shop.example/?a=1&usher-preview=local.hero%3Dcraft.")


def test_a_preview_of_what_is_not_configured_is_one_message(live: Usher) -> None:
    assert failure(live("preview", "hero", "sale")) == (
        "sale: no such variant of hero; configured are house, craft, offer"
    )


def test_a_preview_without_keys_is_one_message(usher: Usher) -> None:
    assert failure(usher("preview", "hero", "craft")).startswith("USHER_KEYS not set: ")


def test_the_installed_command_is_this_one() -> None:
    done = subprocess.run([Path(sys.executable).parent / "usher", "--help"], capture_output=True, text=True, check=True)
    assert "Personalisation decided at the edge." in done.stdout
