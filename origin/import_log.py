"""Turn a logged bandit file into decisions with rewards, so that a team can start from logs it already has.

A mapping file (TOML) says which column holds what:

    log = "obd-men-random"                # the name of the log; importing it again replaces it
    touchpoint = "pick"
    time = "timestamp"                    # ISO 8601 with an offset, or a number with time_unit = "s" or "ms"
    variant = "item_id"
    variant_name = "item-{}"              # how the configuration names that variant
    propensity = "propensity_score"       # of the shown variant, in (0, 1]
    reward = "click"                      # 0 or 1
    position = "position"                 # optional
    unit = "user_id"                      # optional; without it every row is a unit of its own
    context = { country = "geo_country" } # optional: attribute = column
"""

from __future__ import annotations

import csv
import glob
import gzip
import tomllib
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from origin.errors import ImportLogError, LakeError
from origin.lake import Lake, partial_name, reported, sync

CHUNK_BYTES = 1 << 20
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


class Mapping(BaseModel):
    """Which column of the file holds what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of the log")
    touchpoint: str = Field(min_length=1)
    time: str = Field(min_length=1)
    time_unit: Literal["iso", "s", "ms"] = "iso"
    variant: str = Field(min_length=1)
    variant_name: str = Field(
        default="{}", pattern=r"^[^{}]*\{\}[^{}]*$", description="the variant's name, with one {}"
    )
    propensity: str = Field(min_length=1)
    reward: str = Field(min_length=1)
    position: str | None = None
    unit: str | None = None
    context: dict[str, str] = Field(default_factory=dict)

    def columns(self) -> list[str]:
        """Every column that the file must have."""
        named = [self.time, self.variant, self.propensity, self.reward, self.position, self.unit]
        return [*dict.fromkeys(name for name in [*named, *self.context.values()] if name is not None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought in."""

    log: str
    touchpoint: str
    decisions: int
    rewards: int
    variants: int
    first_ms: int
    last_ms: int


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises ImportLogError with every problem, each with its key."""
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ImportLogError(f"{path}: cannot be read as TOML: {error}") from error
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ImportLogError("\n".join(problems)) from error


def import_log(file: Path, mapping: Mapping, lake: Lake) -> Imported:
    """Check a log and write it into the lake as one Parquet file, replacing an earlier import of the same name.

    Raises ImportLogError, and leaves the lake as it was, for a file that cannot be read to its end, missing columns,
    and values that are not usable, with how many there are and the row of the first; LakeError where the lake cannot be
    written.
    """
    _check_readable(file)
    if not file.name.endswith(SUFFIXES):
        raise ImportLogError(f"{file}: unknown kind of file; expected {', '.join(SUFFIXES)}")
    connection = ibis.duckdb.connect()
    target = lake.imports / f"{mapping.log}.parquet"
    partial = partial_name(target)
    try:
        table = _read(connection, file)
        missing = [name for name in mapping.columns() if name not in table.columns]
        if missing:
            raise ImportLogError(
                f"{file}: no column {', '.join(map(repr, missing))}; the file has {', '.join(table.columns)[:500]}; "
                f"correct the mapping"
            )
        with reported(target):
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.touch()
        connection.to_parquet(_parse(table, mapping), partial)
        parsed = connection.read_parquet(partial)
        _check_values(parsed, mapping, file)
        summary = _summarise(parsed, mapping)
        with reported(target):
            sync(partial)
            partial.replace(target)
    except duckdb.Error as error:
        if partial.name in str(error):
            raise LakeError(f"{target}: cannot be written: {_shorten(str(error))}") from error
        raise ImportLogError(f"{file}: cannot be read: {_shorten(str(error))}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        connection.disconnect()
    return summary


def _check_readable(file: Path) -> None:
    """Read a compressed file to its end: a truncated one must fail before anything is made of it."""
    if not file.is_file():
        raise ImportLogError(f"{file}: no such file")
    if file.suffix != ".gz":
        return
    try:
        with gzip.open(file) as stream:
            while stream.read(CHUNK_BYTES):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise ImportLogError(f"{file}: truncated or damaged gzip ({error}); fetch the file again") from error


def _read(connection: ibis.BaseBackend, file: Path) -> ir.Table:
    """The file as a table of texts. Nothing is guessed about its form: a guess may drop lines without a word."""
    name = glob.escape(str(file))  # DuckDB takes names for patterns
    if file.suffix == ".parquet":
        typed = connection.read_parquet(name)
        return typed.select(**{column: typed[column].cast("string") for column in typed.columns})
    columns, delimiter = _read_header(file)
    table: ir.Table = connection.read_csv(
        name,
        columns=dict.fromkeys(columns, "VARCHAR"),
        auto_detect=False,
        header=True,
        delim=delimiter,
        quote='"',
        escape='"',
    )
    return table


def _read_header(file: Path) -> tuple[list[str], str]:
    """The columns' names in the first line, and what stands between them."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            line = stream.readline(CHUNK_BYTES).decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ImportLogError(f"{file}: the first line is not UTF-8; save the file as UTF-8") from error
    if not line:
        raise ImportLogError(f"{file}: the first line is empty; expected the names of the columns")
    delimiter = "\t" if ".tsv" in file.suffixes else ";" if ";" in line and "," not in line else ","
    columns = [name or f"column{i}" for i, name in enumerate(next(csv.reader([line], delimiter=delimiter)))]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ImportLogError(f"{file}: the column {', '.join(map(repr, twice))} stands there twice; rename one")
    return columns, delimiter


def _shorten(message: str) -> str:
    """DuckDB's message without the file's line and its own settings."""
    first, *others = message.partition("\n\n")[0].splitlines()
    return "; ".join([first, *(line for line in others if line.startswith(("Expected Number", "Invalid unicode")))])


def _parse(table: ir.Table, mapping: Mapping) -> ir.Table:
    """The log as decisions; what cannot be parsed is null and found by `_check_values`."""
    row = ibis.row_number() + 2  # as an editor counts: the header is line 1
    before, after = mapping.variant_name.split("{}")
    names = list(mapping.context)
    values = [table[mapping.context[name]] for name in names]
    none = ibis.literal([], type="array<string>")  # typed, so that logs without context fit to the others
    return table.select(
        row=row,
        log=ibis.literal(mapping.log),
        unit=table[mapping.unit] if mapping.unit else ibis.literal(f"{mapping.log}:") + row.cast("string"),
        touchpoint=ibis.literal(mapping.touchpoint),
        variant=ibis.literal(before) + table[mapping.variant].nullif("") + ibis.literal(after),
        position=_whole(table[mapping.position]) if mapping.position else ibis.null("int64"),
        decided_ms=_time_ms(table[mapping.time], mapping.time_unit),
        propensity=table[mapping.propensity].try_cast("float64"),
        reward=table[mapping.reward].try_cast("float64"),
        context=ibis.map(ibis.array(names), ibis.array(values)) if names else ibis.map(none, none),
    )


@ibis.udf.scalar.builtin(signature=((dt.Timestamp("UTC"),), dt.int64))
def epoch_ms(moment):  # type: ignore[no-untyped-def]  # DuckDB's own function
    """Milliseconds since 1970; a text without an offset was read as UTC, the connection's time zone."""


def _time_ms(column: ir.Value, unit: str) -> ir.Value:
    if unit == "iso":
        return epoch_ms(column.try_cast("timestamp('UTC')"))
    return _countable(column.try_cast("float64") * (1000 if unit == "s" else 1)).round().cast("int64")


def _whole(column: ir.Value) -> ir.Value:
    """A whole number, or null: casting alone would round."""
    number = _countable(column.try_cast("float64"))
    return ibis.ifelse(number == number.floor(), number, ibis.null("float64")).cast("int64")


def _countable(number: ir.Value) -> ir.Value:
    """The number where it is so small that it can be a whole one, else null; DuckDB sorts NaN above all."""
    return ibis.ifelse(number.abs() < 2.0**53, number, ibis.null("float64"))


def _check_values(parsed: ir.Table, mapping: Mapping, file: Path) -> None:
    propensity, reward = parsed.propensity, parsed.reward
    usable = [
        (mapping.time, parsed.decided_ms.notnull(), "a time (see time_unit)"),
        (mapping.variant, parsed.variant.notnull(), "a name"),
        (
            mapping.propensity,
            propensity.notnull() & ~propensity.isnan() & (propensity > 0) & (propensity <= 1),
            "a number above 0 and at most 1",
        ),
        (mapping.reward, reward.notnull() & reward.isin([0.0, 1.0]), "0 or 1"),
    ]
    if mapping.position is not None:
        usable.append((mapping.position, parsed.position.notnull(), "a whole number"))
    if mapping.unit is not None:
        usable.append((mapping.unit, parsed.unit.notnull() & (parsed.unit != ""), "a name"))
    aggregates: dict[str, ir.Value] = {"rows": parsed.count()}
    for i, (_, good, _) in enumerate(usable):
        bad = ~good.fill_null(False)
        aggregates[f"bad{i}"] = bad.sum()
        aggregates[f"first{i}"] = parsed.row.min(where=bad)
    [found] = parsed.aggregate(**aggregates).to_pyarrow().to_pylist()
    if found["rows"] == 0:
        raise ImportLogError(f"{file}: holds no rows")
    problems = [
        f"{file}: column {column}: {found[f'bad{i}']} of {found['rows']} values are unusable, the first in line "
        f"{found[f'first{i}']}; expected {expected}"
        for i, (column, _, expected) in enumerate(usable)
        if found[f"bad{i}"]
    ]
    if problems:
        raise ImportLogError("\n".join([*problems, "nothing was imported; mend the file or the mapping"]))


def _summarise(parsed: ir.Table, mapping: Mapping) -> Imported:
    [found] = (
        parsed.aggregate(
            decisions=parsed.count(),
            rewards=parsed.reward.sum(),
            variants=parsed.variant.nunique(),
            first_ms=parsed.decided_ms.min(),
            last_ms=parsed.decided_ms.max(),
        )
        .to_pyarrow()
        .to_pylist()
    )
    return Imported(
        log=mapping.log,
        touchpoint=mapping.touchpoint,
        decisions=found["decisions"],
        rewards=int(found["rewards"]),
        variants=found["variants"],
        first_ms=found["first_ms"],
        last_ms=found["last_ms"],
    )
