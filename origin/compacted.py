"""What of the lake's events is compacted: `compacted/index.json`, the one file by which all the others count.

    compacted/index.json                     days and their parts, which objects are in them, what they held by hour
    compacted/<day>/<name>-<n>.parquet       the events of a day of receipt, each once, in parts
    compacted/objects/<day>-<generation>.gz  the keys of the objects in them, by the day in the key, one a line

The index is replaced as a whole, after all that it names is on the disk; a part is never written again under its name
(that of the run's generation and a digest of the objects it took in). What the index does not name is left over from a
run that was interrupted.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from origin.balances import Balance
from origin.errors import LakeError
from origin.lake import Lake

INDEX: Final = "index.json"
SUFFIX: Final = ".ndjson.gz"
_FORMAT: Final = 2
# The format of before parts were weighed and copies were counted.
_UNCOUNTED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of one day's events: its path below `compacted/`, its rows, and the bytes that they take in memory (None:
    they were not counted then)."""

    file: str
    rows: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The index: parts by day of receipt, files of keys by the day in the keys, and balances by hour (its start in
    ms)."""

    generation: int = 0
    days: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    hours: Mapping[int, Balance] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All the files of events, in order."""
        return [part.file for day in sorted(self.days) for part in self.days[day]]

    @property
    def rows(self) -> int:
        """How many events there are."""
        return sum(part.rows for parts in self.days.values() for part in parts)


def read_index(lake: Lake) -> Index:
    """Read the index; an empty one where nothing was compacted. Raises LakeError where it is damaged."""
    path = lake.compacted / INDEX
    try:
        data = json.loads(path.read_bytes())
        if data["format"] not in (_FORMAT, _UNCOUNTED):
            raise LakeError(f"{path}: format {data['format']} is not known to this version; update usher")
        uncounted = dict.fromkeys(("promised_quarantined", "copies", "promised_copies"))
        return Index(
            generation=int(data["generation"]),
            days={day: tuple(Part(**part) for part in parts) for day, parts in data["days"].items()},
            objects=dict(data["objects"]),
            hours={int(hour): Balance(**uncounted | each) for hour, each in data["hours"].items()},
        )
    except FileNotFoundError:
        return Index()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LakeError(
            f"{path}: damaged ({error!r}); remove the folder {lake.compacted}, then run usher pull and usher compact"
        ) from error


def write_index(lake: Lake, index: Index) -> None:
    """Replace the index. Raises LakeError."""
    data = {"format": _FORMAT, **asdict(index)}
    lake.write(lake.compacted / INDEX, json.dumps(data, separators=(",", ":")).encode())


class KnownObjects:
    """Which objects are compacted, asked by their keys. The keys of a day are read when they are first asked for, and
    those of the last few days stay."""

    def __init__(self, lake: Lake, index: Index) -> None:
        self._lake = lake
        self._index = index
        self.of_day = lru_cache(maxsize=4)(self._read)

    def __contains__(self, key: str) -> bool:
        return key in self.of_day(day_of(key))

    def _read(self, day: str) -> frozenset[str]:
        name = self._index.objects.get(day)
        if name is None:
            return frozenset()
        path = self._lake.compacted / name
        try:
            return frozenset(gzip.decompress(path.read_bytes()).decode().splitlines())
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise LakeError(
                f"{path}: damaged ({error}); remove the folder {self._lake.compacted}, then run usher pull and "
                "usher compact"
            ) from error


def write_keys(lake: Lake, name: str, keys: Iterable[str]) -> None:
    """Write a file of keys. Raises LakeError."""
    lake.write(lake.compacted / name, gzip.compress("".join(f"{key}\n" for key in sorted(keys)).encode(), mtime=0))


def day_of(key: str) -> str:
    """The day that an object's key names (`events/<day>/…`); empty where it names none."""
    parts = key.split("/")
    return parts[1] if len(parts) > 2 else ""


def list_objects(lake: Lake) -> Iterator[tuple[str, Path]]:
    """The objects of events that the lake holds as they came, by key in order, with their paths."""
    for path in sorted(lake.events.rglob(f"*{SUFFIX}")):
        yield path.relative_to(lake.root).as_posix(), path


def list_new_objects(lake: Lake, index: Index) -> list[tuple[str, Path]]:
    """Those of them that are not compacted yet."""
    known = KnownObjects(lake, index)
    return [(key, path) for key, path in list_objects(lake) if key not in known]
