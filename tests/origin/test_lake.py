"""The lake: what the disk refuses is one error that names the file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from origin.errors import LakeError
from origin.import_log import import_log, read_mapping
from origin.lake import Lake, name_moment


def test_a_file_is_written_whole_and_nothing_else_stays(lake: Lake) -> None:
    lake.write(lake.models / "a.json", b"1")
    lake.write(lake.models / "a.json", b"2")
    assert {path.name: path.read_bytes() for path in lake.models.iterdir()} == {"a.json": b"2"}


def test_a_folder_that_cannot_be_made_is_named(lake: Lake) -> None:
    lake.root.mkdir()
    lake.models.write_text("a file")
    path = lake.models / "a.json"
    with pytest.raises(LakeError) as caught:
        lake.write(path, b"1")
    assert str(caught.value).startswith(f"{path}: cannot be written (")


def test_a_full_disk_is_named_and_leaves_no_part(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("origin.lake.os.fsync", refuse)
    path = lake.models / "a.json"
    with pytest.raises(LakeError) as caught:
        lake.write(path, b"1")
    assert str(caught.value) == (
        f"{path}: cannot be written (No space left on device); see to the space and the rights there"
    )
    assert list(lake.models.iterdir()) == []


def test_an_import_into_a_lake_that_cannot_be_written_names_the_lake(lake: Lake, tmp_path: Path) -> None:
    log, mapping = tmp_path / "log.csv", tmp_path / "mapping.toml"
    log.write_text("t,v,p,r\n2019-11-24T00:03:13Z,craft,0.5,1\n")
    mapping.write_text('log="old"\ntouchpoint="hero"\ntime="t"\nvariant="v"\npropensity="p"\nreward="r"\n')
    lake.root.mkdir()
    lake.imports.write_text("a file")
    with pytest.raises(LakeError) as caught:
        import_log(log, read_mapping(mapping), lake)
    assert str(caught.value).startswith(f"{lake.imports / 'old.parquet'}: cannot be written (")


def test_moments_sort_as_time_does() -> None:
    moments = [0, 1, 10, 999, 1_000, 1_790_000_000_007]
    names = [name_moment(moment) for moment in moments]
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("19700101T000000000Z", "20260921T141320007Z")
