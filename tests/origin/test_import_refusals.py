"""Logs that cannot be imported: every reason, in full, and a lake that is left as it was."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from origin.errors import ImportLogError
from origin.import_log import Mapping, import_log, read_mapping
from origin.lake import Lake

HEADER = "t,v,p,r,n"
GOOD = "2019-11-24T00:03:13Z,1,0.5,1,1"
MAPPING = Mapping(log="x", touchpoint="pick", time="t", variant="v", propensity="p", reward="r", position="n")
LAST = "nothing was imported; mend the file or the mapping"


def write(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refusal(file: Path, lake: Lake, mapping: Mapping = MAPPING) -> str:
    """The message with which a file is refused, its path left out."""
    with pytest.raises(ImportLogError) as caught:
        import_log(file, mapping, lake)
    assert not lake.imports.exists() or not list(lake.imports.iterdir())
    return str(caught.value).replace(str(file), "log")


@pytest.mark.parametrize("value", ["nan", "NaN", "", "0", "-0.5", "1.01", "inf", "half"])
def test_a_propensity_must_be_above_0_and_at_most_1(tmp_path: Path, lake: Lake, value: str) -> None:
    bad = f"2019-11-24T00:03:13Z,1,{value},1,1"
    assert refusal(write(tmp_path, "\n".join([HEADER, GOOD, bad, GOOD])), lake) == (
        "log: column p: 1 of 3 values are unusable, the first in line 3; expected a number above 0 and at most 1\n"
        + LAST
    )


@pytest.mark.parametrize("value", ["2", "0.5", "-1", "", "nan", "yes"])
def test_a_reward_must_be_0_or_1(tmp_path: Path, lake: Lake, value: str) -> None:
    bad = f"2019-11-24T00:03:13Z,1,0.5,{value},1"
    assert refusal(write(tmp_path, "\n".join([HEADER, bad, GOOD, bad])), lake) == (
        f"log: column r: 2 of 3 values are unusable, the first in line 2; expected 0 or 1\n{LAST}"
    )


@pytest.mark.parametrize("value", ["x", "", "1.5", "nan", "1e300"])
def test_a_position_must_be_a_whole_number(tmp_path: Path, lake: Lake, value: str) -> None:
    bad = f"2019-11-24T00:03:13Z,1,0.5,1,{value}"
    assert refusal(write(tmp_path, f"{HEADER}\n{bad}"), lake) == (
        f"log: column n: 1 of 1 values are unusable, the first in line 2; expected a whole number\n{LAST}"
    )


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("yesterday", "iso"),
        ("", "iso"),
        ("1574553793", "iso"),
        ("2019-13-01", "iso"),
        ("infinity", "iso"),
        ("2019-11-24", "s"),
        ("nan", "s"),
        ("inf", "ms"),
        ("1e300", "ms"),
    ],
)
def test_a_time_must_be_of_the_mappings_unit(tmp_path: Path, lake: Lake, value: str, unit: str) -> None:
    mapping = MAPPING.model_copy(update={"time_unit": unit})
    assert refusal(write(tmp_path, f"{HEADER}\n{value},1,0.5,1,1"), lake, mapping) == (
        f"log: column t: 1 of 1 values are unusable, the first in line 2; expected a time (see time_unit)\n{LAST}"
    )


def test_all_bad_columns_are_named_at_once(tmp_path: Path, lake: Lake) -> None:
    rows = "\n".join([HEADER, GOOD, "x,,0,2,a", "x,1,0.5,1,1"])
    assert refusal(write(tmp_path, rows), lake).splitlines() == [
        "log: column t: 2 of 3 values are unusable, the first in line 3; expected a time (see time_unit)",
        "log: column v: 1 of 3 values are unusable, the first in line 3; expected a name",
        "log: column p: 1 of 3 values are unusable, the first in line 3; expected a number above 0 and at most 1",
        "log: column r: 1 of 3 values are unusable, the first in line 3; expected 0 or 1",
        "log: column n: 1 of 3 values are unusable, the first in line 3; expected a whole number",
        LAST,
    ]


def test_a_unit_must_have_a_name(tmp_path: Path, lake: Lake) -> None:
    mapping = MAPPING.model_copy(update={"unit": "u"})
    assert refusal(write(tmp_path, f"{HEADER},u\n{GOOD},\n{GOOD},me"), lake, mapping) == (
        f"log: column u: 1 of 2 values are unusable, the first in line 2; expected a name\n{LAST}"
    )


def test_a_column_with_two_meanings_must_fit_both(tmp_path: Path, lake: Lake) -> None:
    mapping = MAPPING.model_copy(update={"position": "r"})
    bad = "2019-11-24T00:03:13Z,1,0.5,2,1"
    assert refusal(write(tmp_path, f"{HEADER}\n{bad}"), lake, mapping) == (
        f"log: column r: 1 of 1 values are unusable, the first in line 2; expected 0 or 1\n{LAST}"
    )


def test_all_missing_columns_are_named_at_once(tmp_path: Path, lake: Lake) -> None:
    mapping = MAPPING.model_copy(update={"context": {"device": "d", "again": "t"}})
    assert refusal(write(tmp_path, "t,click\n1,1\n"), lake, mapping) == (
        "log: no column 'v', 'p', 'r', 'n', 'd'; the file has t, click; correct the mapping"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\n", "log: holds no rows"),
        (HEADER, "log: holds no rows"),
        ("", "log: the first line is empty; expected the names of the columns"),
        ("\n" + HEADER, "log: the first line is empty; expected the names of the columns"),
        ("t,v,t,v,n\n1,2,3,4,5\n", "log: the column 't', 'v' stands there twice; rename one"),
        (HEADER.encode() + b",caf\xe9\n", "log: the first line is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_table_needs_a_header_and_rows(tmp_path: Path, lake: Lake, content: str | bytes, message: str) -> None:
    assert refusal(write(tmp_path, content), lake) == message


@pytest.mark.parametrize("row", ["2019-11-24T00:03:13Z,1", f"{GOOD},1"])
@pytest.mark.parametrize("before", [1, 50_000])
def test_a_line_with_too_few_or_many_columns_is_found_wherever_it_is(
    tmp_path: Path, lake: Lake, row: str, before: int
) -> None:
    file = write(tmp_path, "\n".join([HEADER, *[GOOD] * before, row, GOOD]))
    assert refusal(file, lake) == (
        f"log: cannot be read: Invalid Input Error: CSV Error on Line: {before + 2}; "
        f"Expected Number of Columns: 5 Found: {row.count(',') + 1}"
    )


def test_a_text_that_is_not_utf_8_is_refused(tmp_path: Path, lake: Lake) -> None:
    message = refusal(write(tmp_path, f"{HEADER}\n{GOOD}\n".encode() + GOOD.replace("1", "é").encode("latin-1")), lake)
    assert message.startswith("log: cannot be read: Invalid Input Error: CSV Error on Line: ")
    assert message.endswith("This file is not utf-8 encoded.")


def damage(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0x5A for byte in content[middle : middle + 40]) + content[middle + 40 :]


def test_a_compressed_file_must_be_whole(tmp_path: Path, lake: Lake) -> None:
    rows = "\n".join([HEADER, *(GOOD.replace(",1,", f",{i},") for i in range(3_000))])
    packed = gzip.compress(rows.encode())
    begin, end = "log: truncated or damaged gzip (", "); fetch the file again"
    cut = refusal(write(tmp_path, packed[:-100], "log.csv.gz"), lake)
    assert cut == f"{begin}Compressed file ended before the end-of-stream marker was reached{end}"
    assert refusal(write(tmp_path, rows, "log.csv.gz"), lake) == f"{begin}Not a gzipped file (b't,'){end}"
    for content in (damage(packed), packed[:-8] + b"\0" * 8, packed + b"more"):
        message = refusal(write(tmp_path, content, "log.csv.gz"), lake)
        assert message.startswith(begin)
        assert message.endswith(end)


@pytest.mark.parametrize("name", ["log.txt", "log.csv.zip", "log.csv.bak", "log", "log.gz"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, lake: Lake, name: str) -> None:
    content = f"{HEADER}\n{GOOD}"
    file = write(tmp_path, gzip.compress(content.encode()) if name.endswith(".gz") else content, name)
    assert refusal(file, lake) == "log: unknown kind of file; expected .csv, .csv.gz, .tsv, .tsv.gz, .parquet"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, lake: Lake) -> None:
    assert refusal(tmp_path / "gone.csv", lake) == "log: no such file"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(tmp_path / "folder.csv", lake) == "log: no such file"


def test_a_damaged_parquet_file_is_refused(tmp_path: Path, lake: Lake) -> None:
    assert refusal(write(tmp_path, b"PAR1nonsense", "log.parquet"), lake).startswith("log: cannot be read: ")


@pytest.mark.parametrize("content", [f"{HEADER}\nx,1,0.5,1,1", HEADER, "a,b\n1,2", f"{HEADER}\n{GOOD}\n1,2", "\xff"])
def test_a_failed_import_leaves_the_earlier_one_as_it_was(tmp_path: Path, lake: Lake, content: str) -> None:
    import_log(write(tmp_path, f"{HEADER}\n{GOOD}"), MAPPING, lake)
    [before] = lake.imports.iterdir()
    bytes_before = before.read_bytes()
    with pytest.raises(ImportLogError):
        import_log(write(tmp_path, content), MAPPING, lake)
    [after] = lake.imports.iterdir()
    assert (after.name, after.read_bytes()) == ("x.parquet", bytes_before)


WHOLE = 'log = "x"\ntouchpoint = "pick"\ntime = "t"\nvariant = "v"\npropensity = "p"\nreward = "r"\n'


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("log = ", ["cannot be read as TOML: Invalid value (at end of document)"]),
        (WHOLE + 'user = "u"', ["user: Extra inputs are not permitted"]),
        (
            'log = "x"\ntouchpoint = "pick"',
            [f"{name}: Field required" for name in ("time", "variant", "propensity", "reward")],
        ),
        (
            WHOLE + 'variant_name = "item"',
            ["variant_name: String should match pattern '^[^{}]*\\{\\}[^{}]*$'"],
        ),
        (WHOLE + 'time_unit = "us"', ["time_unit: Input should be 'iso', 's' or 'ms'"]),
        (WHOLE + "context = { device = 1 }", ["context.device: Input should be a valid string"]),
        (
            WHOLE.replace('"x"', '"../x"'),
            ["log: String should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$'"],
        ),
    ],
)
def test_a_mapping_says_every_problem_with_its_key(tmp_path: Path, text: str, problems: list[str]) -> None:
    file = write(tmp_path, text, "mapping.toml")
    with pytest.raises(ImportLogError) as caught:
        read_mapping(file)
    assert str(caught.value) == "\n".join(f"{file}: {problem}" for problem in problems)


def test_a_mapping_that_is_missing_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    for file in (tmp_path / "gone.toml", write(tmp_path, b"log = '\xff'", "mapping.toml")):
        with pytest.raises(ImportLogError, match="cannot be read as TOML: "):
            read_mapping(file)


def test_a_whole_mapping_is_read_with_its_defaults(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path, WHOLE, "mapping.toml"))
    assert (mapping.time_unit, mapping.variant_name, mapping.unit, mapping.context) == ("iso", "{}", None, {})
    assert mapping.columns() == ["t", "v", "p", "r"]
