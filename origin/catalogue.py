"""The variants of a touchpoint, taken together: catalogues that give them, and what must hold among them.

A catalogue is a CSV file of which every row becomes a variant. Names and HTML are written once, as templates:
`{column}` stands for the row's value of that column, everything else for itself, `{{column}}` for the text `{column}`.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeGuard

from origin.condition_checks import find_unmatched
from origin.errors import InvalidCatalogue
from origin.problems import Place, Problem, show, show_place, suggest
from shared.conditions import compile_condition
from shared.errors import InvalidCondition

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LONGEST_NAME: Final = 100
MOST_SHOWN: Final = 5
_FLOOR_SLACK: Final = 1e-12  # what rounding may add, as in shared.constraints
_NAME: Final = re.compile(NAME.removesuffix("$") + r"\Z", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{\{(\w[\w .-]*)\}\}|\{(\w[\w .-]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a catalogue: the line of the file it ends on (from 1), and its values by column."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a `catalogue` section gives: the names and the HTML of its variants, in the order of the rows, each empty
    where there was a problem with them; and the problems, as (key of the section, what is wrong and what to write)."""

    names: tuple[str, ...] = ()
    htmls: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A catalogue as read: its columns and at least one row, each with a value for every column."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def expand_catalogue(directory: Path, section: Mapping[str, object]) -> Expansion:
    """Make a variant of every row of the section's file, which is relative to `directory`.

    `section` is the table as parsed: keys that are missing or of another type are passed over, since the models of
    the configuration report them, and what remains is still checked.
    """
    file, name, markup = section.get("file"), section.get("name"), section.get("html")
    if not isinstance(file, str) or not file:
        return Expansion()
    try:
        read = read_catalogue(directory / file)
    except InvalidCatalogue as error:
        return Expansion(problems=(("file", f"{show(file)} {error}"),))
    bad_names = list(find_unknown_placeholders(name, read.columns)) if isinstance(name, str) else []
    bad_htmls = list(find_unknown_placeholders(markup, read.columns)) if isinstance(markup, str) else []
    if isinstance(name, str) and not bad_names:
        bad_names = list(find_bad_names(name, read))
    return Expansion(
        names=tuple(fill_text(name, row) for row in read.rows) if isinstance(name, str) and not bad_names else (),
        htmls=tuple(fill_html(markup, row) for row in read.rows) if isinstance(markup, str) and not bad_htmls else (),
        problems=(*(("name", text) for text in bad_names), *(("html", text) for text in bad_htmls)),
    )


def read_catalogue(file: Path) -> Catalogue:
    """Read a CSV file in UTF-8 whose first line names the columns; empty lines are skipped.

    Raises InvalidCatalogue, with what to do, for a file that is missing, of another encoding, without columns or rows,
    or with a row that has more or fewer values than there are columns.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            records = [(reader.line_num, record) for record in reader if record]
    except FileNotFoundError as error:
        raise InvalidCatalogue("does not exist; write the path of a CSV file, relative to usher.toml") from error
    except OSError as error:
        raise InvalidCatalogue(f"cannot be read ({error.strerror}); write the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise InvalidCatalogue("is not UTF-8; save the file as UTF-8") from error
    except csv.Error as error:
        raise InvalidCatalogue(f"is not CSV ({error}); put values with commas or quotes in double quotes") from error
    if not records:
        raise InvalidCatalogue("is empty; write a line of column names, and below it one line a variant")
    return _check_shape(tuple(records[0][1]), records[1:])


def _check_shape(columns: tuple[str, ...], records: list[tuple[int, list[str]]]) -> Catalogue:
    twice = next((column for i, column in enumerate(columns) if column in columns[:i]), None)
    if twice is not None:
        raise InvalidCatalogue(f'has two columns "{twice}"; rename one of them')
    if not records:
        raise InvalidCatalogue("has no rows; write one line a variant below the column names")
    for line, record in records:
        if len(record) != len(columns):
            raise InvalidCatalogue(
                f"has {_count(len(record), 'value')} in line {line} for {_count(len(columns), 'column')}; "
                "give every row one value a column"
            )
    rows = tuple(Row(line=line, values=dict(zip(columns, record, strict=True))) for line, record in records)
    return Catalogue(columns=columns, rows=rows)


def fill_text(template: str, row: Row) -> str:
    """Put the row's values into the template as they are. Raises KeyError for a placeholder that is no column."""
    return _fill(template, lambda column: row.values[column])


def fill_html(template: str, row: Row) -> str:
    """Put the row's values into the template, escaped for text and for quoted attribute values.

    Raises KeyError for a placeholder that is no column.
    """
    return _fill(template, lambda column: html.escape(row.values[column], quote=True))


def _fill(template: str, value: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}" if found[1] is not None else value(found[2]), template)


def find_unknown_placeholders(template: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Yield, for every placeholder that is no column, what is wrong and what to write."""
    placeholders = [found[2] for found in _PLACEHOLDER.finditer(template) if found[2] is not None]
    for column in dict.fromkeys(placeholders):
        if column not in columns:
            near = get_close_matches(column, columns, n=1)
            known = near or columns[:10]
            remedy = " or ".join(f"{{{each}}}" for each in known)
            yield f"{{{column}}} is no column of the catalogue; write {remedy}, or {{{{{column}}}}} for that very text"


def find_bad_names(template: str, catalogue: Catalogue) -> Iterator[str]:
    """Yield, for rows whose name is empty, not allowed, or taken, what is wrong and what to write."""
    problems = list(_check_names(template, catalogue))
    yield from problems[:MOST_SHOWN]
    if len(problems) > MOST_SHOWN:
        yield f"and {_count(len(problems) - MOST_SHOWN, 'more row')} like these; correct the file or the template"


def _check_names(template: str, catalogue: Catalogue) -> Iterator[str]:
    taken: dict[str, int] = {}
    for row in catalogue.rows:
        name = fill_text(template, row)
        if not name:
            yield f"the name is empty in line {row.line} of the catalogue; write a template that names every row"
        elif len(name) > LONGEST_NAME or not _NAME.match(name):
            yield (
                f"{show(name)} in line {row.line} of the catalogue is no name; take a column of at most {LONGEST_NAME} "
                'letters, digits, "_", "." and "-"'
            )
        elif name in taken:
            yield (
                f'"{name}" in line {row.line} of the catalogue is already the name of line {taken[name]}; '
                "take a column whose values differ"
            )
        else:
            taken[name] = row.line


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def find_condition_problems(place: Place, table: Mapping[str, object]) -> Iterator[Problem]:
    """Yield what is wrong with a table's `condition`, if it has one that is a table."""
    condition = table.get("condition")
    if not isinstance(condition, Mapping):
        return
    place = (*place, "condition")
    example = 'condition = { device = "mobile" }'
    try:
        compile_condition(condition, show_place(place))
        json.dumps(condition, allow_nan=False)
    except InvalidCondition as error:
        yield Problem(place, f"{error.problem}; write it as in {example}", error.path)
    except (TypeError, ValueError):
        yield Problem(place, f"holds a date or a number that is not finite; write texts and numbers, as in {example}")
    else:
        yield from find_unmatched(place, show_place(place), condition)


def find_variant_problems(place: Place, touchpoint: Mapping[str, object]) -> Iterator[Problem]:
    """Yield what is wrong with the `variants` of a touchpoint taken together, and with their conditions."""
    listed = touchpoint.get("variants", [])
    if not isinstance(listed, list):
        return
    if not listed:
        remedy = f"add [[{show_place((*place, 'variants'))}]] or [{show_place((*place, 'catalogue'))}]"
        yield Problem(place, f"has no variants; {remedy}")
        return
    variants = [(i, variant) for i, variant in enumerate(listed) if isinstance(variant, Mapping)]
    first: dict[str, int] = {}
    for i, variant in variants:
        at: Place = (*place, "variants", i)
        name = variant.get("name")
        if isinstance(name, str) and first.setdefault(name, i) != i:
            text = f"{show(name)} is already the name of variants[{first[name]}]; give every variant a name of its own"
            yield Problem((*at, "name"), text)
        yield from find_condition_problems(at, variant)
    default = touchpoint.get("default")
    yield from _find_default_problems(place, default, list(first))
    bare = [i for i, variant in variants if "html" not in variant and variant.get("name") != default]
    for i in bare if default in first else bare[1:]:  # one of them may be what a misspelt default means
        text = 'is missing, and only the default variant may go without; write html = "<p>…</p>"'
        yield Problem((*place, "variants", i, "html"), text)
    floors = [floor for _, variant in variants if _is_share(floor := variant.get("floor"))]
    if (total := _add_up(floors)) > 1.0 + _FLOOR_SLACK:
        arithmetic = " + ".join(show(floor) for floor in floors if floor)
        text = f"the floors are {arithmetic} = {total:.6g}, more than 1; lower them until they sum to 1 or less"
        yield Problem((*place, "variants"), text)


def find_catalogue_problems(place: Place, touchpoint: Mapping[str, object], expansion: Expansion) -> Iterator[Problem]:
    """Yield what is wrong with the `catalogue` of a touchpoint, of which `expansion` was made."""
    section = touchpoint["catalogue"]
    if "variants" in touchpoint:
        yield Problem(place, "has both variants and a catalogue; keep one of them")
    yield from (Problem((*place, "catalogue", key), text) for key, text in expansion.problems)
    if not isinstance(section, Mapping) or not expansion.names:
        return
    yield from _find_default_problems(place, touchpoint.get("default"), expansion.names)
    count, floor = len(expansion.names), section.get("floor")
    if _is_share(floor) and (total := _add_up([floor] * count)) > 1.0 + _FLOOR_SLACK:
        scale = 10 ** (len(str(count)) + 1)
        text = (
            f"the floors are {count} × {show(floor)} = {total:.6g}, more than 1; write at most {scale // count / scale}"
        )
        yield Problem((*place, "catalogue", "floor"), text)


def _find_default_problems(place: Place, default: object, names: Sequence[str]) -> Iterator[Problem]:
    if isinstance(default, str) and names and default not in names:
        text = f"{show(default)} is no variant of this touchpoint; write {suggest(default, names)}"
        yield Problem((*place, "default"), text)


def _is_share(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _add_up(floors: Iterable[float]) -> float:
    total = 0.0
    for floor in floors:
        total += floor
    return total
