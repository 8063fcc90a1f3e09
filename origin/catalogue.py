"""Catalogues: a CSV file of which every row becomes a variant.

Names, HTML and interests are written once, as templates: `{column}` stands for the row's value of that column,
everything else for itself, `{{column}}` for the text `{column}`.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from origin.errors import InvalidCatalogue
from origin.problems import show

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LONGEST_NAME: Final = 100
MOST_SHOWN: Final = 5
_NAME: Final = re.compile(NAME.removesuffix("$") + r"\Z", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{\{(\w[\w .-]*)\}\}|\{(\w[\w .-]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a catalogue: the line of the file it ends on (from 1), and its values by column."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a `catalogue` section gives: the names, HTML and interests of its variants, in the order of the rows, each
    empty where there was a problem with them; and the problems, as (key of the section, what is wrong and what to
    write)."""

    names: tuple[str, ...] = ()
    htmls: tuple[str, ...] = ()
    interests: tuple[tuple[str, ...], ...] = ()
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
    templates = _texts(section.get("interests"))
    bad_interests = [text for template in templates for text in find_unknown_placeholders(template, read.columns)]
    return Expansion(
        names=tuple(fill_text(name, row) for row in read.rows) if isinstance(name, str) and not bad_names else (),
        htmls=tuple(fill_html(markup, row) for row in read.rows) if isinstance(markup, str) and not bad_htmls else (),
        interests=() if bad_interests else tuple(_fill_interests(templates, row) for row in read.rows),
        problems=(
            *(("name", text) for text in bad_names),
            *(("html", text) for text in bad_htmls),
            *(("interests", text) for text in bad_interests),
        ),
    )


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _fill_interests(templates: list[str], row: Row) -> tuple[str, ...]:
    """The row's interests, each once; an empty value is none."""
    filled = (fill_text(template, row).strip() for template in templates)
    return tuple(dict.fromkeys(interest for interest in filled if interest))


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
