"""Logs that are imported: what of a file becomes a decision, whatever its form."""

from __future__ import annotations

import gzip
from pathlib import Path

import ibis
import pytest

from origin.import_log import Imported, Mapping, import_log, read_mapping
from origin.lake import Lake

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT.parent / "shared" / "data" / "obd"

MAPPING = Mapping(
    log="shop-log",
    touchpoint="pick",
    time="timestamp",
    variant="item_id",
    variant_name="item-{}",
    propensity="propensity_score",
    reward="click",
    position="position",
    context={"device": "device"},
)
ROWS = [
    ["", "timestamp", "item_id", "position", "click", "propensity_score", "device"],
    ["0", "2019-11-24 00:03:13.442+00:00", "14", "3", "0", "0.0294117647058823529", "mobile"],
    ["1", "2019-11-24 09:03:14.5+09:00", "2", "1", "1", "1", "desk, top"],
    ["2", "2019-11-24T00:03:15Z", "14", "2", "0", "1e-3", ""],
]
TIMES_MS = [1574553793442, 1574553794500, 1574553795000]


def write_table(file: Path, rows: list[list[str]]) -> Path:
    separator = "\t" if ".tsv" in file.suffixes else ","
    lines = [separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in rows]
    content = ("\n".join(lines) + "\n").encode()
    if file.suffix == ".parquet":
        table = file.with_suffix(".csv")
        table.write_bytes(content)
        connection = ibis.duckdb.connect()
        connection.to_parquet(connection.read_csv(table), file)
        connection.disconnect()
    else:
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


def imported_rows(lake: Lake, log: str = "shop-log") -> list[dict[str, object]]:
    connection = ibis.duckdb.connect()
    table = connection.read_parquet(lake.imports / f"{log}.parquet").order_by("row")
    rows: list[dict[str, object]] = connection.to_pyarrow(table).to_pylist()
    connection.disconnect()
    return rows


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.tsv", "log.tsv.gz", "log.parquet"])
def test_every_kind_of_file_gives_the_same_decisions(tmp_path: Path, lake: Lake, name: str) -> None:
    done = import_log(write_table(tmp_path / name, ROWS), MAPPING, lake)
    assert done == Imported(
        log="shop-log",
        touchpoint="pick",
        decisions=3,
        rewards=1,
        variants=2,
        first_ms=TIMES_MS[0],
        last_ms=TIMES_MS[2],
    )
    rows = imported_rows(lake)
    assert [row["decided_ms"] for row in rows] == TIMES_MS
    assert [row["variant"] for row in rows] == ["item-14", "item-2", "item-14"]
    assert [row["propensity"] for row in rows] == [1 / 34, 1.0, 0.001]
    assert [row["reward"] for row in rows] == [0.0, 1.0, 0.0]
    assert [row["position"] for row in rows] == [3, 1, 2]
    assert [row["context"] for row in rows] == [[("device", each)] for each in ("mobile", "desk, top", None)]
    assert [row["unit"] for row in rows] == ["shop-log:2", "shop-log:3", "shop-log:4"]
    assert {row["touchpoint"] for row in rows} == {"pick"}


@pytest.mark.parametrize(
    ("time", "unit", "expected_ms"),
    [
        ("2019-11-24T00:03:13.442+00:00", "iso", 1574553793442),
        ("2019-11-24T09:03:13.442+09:00", "iso", 1574553793442),
        ("2019-11-23 19:03:13-05", "iso", 1574553793000),
        ("2019-11-24 00:03:13.442", "iso", 1574553793442),
        ("2019-11-24", "iso", 1574553600000),
        ("1574553793", "s", 1574553793000),
        ("1574553793.4424", "s", 1574553793442),
        ("1574553793442", "ms", 1574553793442),
        ("-1000", "ms", -1000),
    ],
)
def test_a_time_is_an_instant_and_without_an_offset_utc(
    tmp_path: Path, lake: Lake, time: str, unit: str, expected_ms: int
) -> None:
    rows = [ROWS[0], ["0", time, "1", "1", "0", "0.5", "mobile"]]
    mapping = MAPPING.model_copy(update={"time_unit": unit})
    assert import_log(write_table(tmp_path / "log.csv", rows), mapping, lake).first_ms == expected_ms


def test_a_unit_column_names_the_units(tmp_path: Path, lake: Lake) -> None:
    mapping = MAPPING.model_copy(update={"unit": "device", "context": {}})
    import_log(write_table(tmp_path / "log.csv", ROWS[:3]), mapping, lake)
    rows = imported_rows(lake)
    assert [row["unit"] for row in rows] == ["mobile", "desk, top"]
    assert [row["context"] for row in rows] == [[], []]


@pytest.mark.parametrize("text", ["\ufeff{}", "{}\r\n", "{}\n\n"])
def test_marks_and_line_ends_of_other_systems_do_not_matter(tmp_path: Path, lake: Lake, text: str) -> None:
    end = "\r\n" if "\r" in text else "\n"
    file = tmp_path / "log.csv"
    file.write_bytes(text.format(end.join(",".join(row) for row in [ROWS[0], ROWS[1]])).encode())
    assert import_log(file, MAPPING, lake).decisions == 1
    assert imported_rows(lake)[0]["context"] == [("device", "mobile")]


def test_semicolons_may_stand_between_the_columns(tmp_path: Path, lake: Lake) -> None:
    file = tmp_path / "log.csv"
    file.write_text("\n".join(";".join(row) for row in ROWS))
    assert import_log(file, MAPPING, lake).decisions == 3
    assert imported_rows(lake)[1]["context"] == [("device", "desk, top")]


def test_lines_that_begin_with_a_hash_are_rows_like_any_other(tmp_path: Path, lake: Lake) -> None:
    rows = [ROWS[0], *(["#", *ROWS[1][1:]] for _ in range(5)), ROWS[2]]
    assert import_log(write_table(tmp_path / "log.csv", rows), MAPPING, lake).decisions == 6


def test_a_name_that_looks_like_a_pattern_means_that_one_file(tmp_path: Path, lake: Lake) -> None:
    for name in ("log1.csv", "log2.csv"):
        write_table(tmp_path / name, ROWS)
    for name in ("log[1].csv", "log*.csv"):
        assert import_log(write_table(tmp_path / name, ROWS[:2]), MAPPING, lake).decisions == 1


def test_importing_again_replaces_the_log(tmp_path: Path, lake: Lake) -> None:
    import_log(write_table(tmp_path / "log.csv", ROWS), MAPPING, lake)
    import_log(write_table(tmp_path / "log.csv", ROWS[:2]), MAPPING, lake)
    assert [row["decided_ms"] for row in imported_rows(lake)] == TIMES_MS[:1]
    assert [file.name for file in lake.imports.iterdir()] == ["shop-log.parquet"]


def test_another_log_stands_beside_the_first(tmp_path: Path, lake: Lake) -> None:
    file = write_table(tmp_path / "log.csv", ROWS)
    import_log(file, MAPPING, lake)
    import_log(file, MAPPING.model_copy(update={"log": "other"}), lake)
    assert sorted(each.name for each in lake.imports.iterdir()) == ["other.parquet", "shop-log.parquet"]


@pytest.mark.parametrize(("policy", "clicks"), [("random", 46), ("bts", 69)])
def test_the_open_bandit_dataset_is_imported_whole(lake: Lake, policy: str, clicks: int) -> None:
    file = LOGS / policy / "men" / "men.csv.gz"
    if not file.is_file():
        pytest.skip(f"the Open Bandit Dataset is not at {LOGS}; it lies beside the project, not in it")
    done = import_log(file, read_mapping(ROOT / "scripts" / "obd" / f"men-{policy}.toml"), lake)
    assert (done.decisions, done.rewards, done.variants, done.touchpoint) == (10_000, clicks, 34, "pick")
    [context] = {tuple(key for key, _ in row["context"]) for row in imported_rows(lake, done.log)}  # type: ignore[attr-defined]
    assert context == tuple(f"user_feature_{i}" for i in range(4))
