"""What the commands share: how they print, fail, and open the lake."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from origin.errors import OriginError
from shared.errors import UsherError

if TYPE_CHECKING:
    from origin.lake import Lake
    from origin.settings import Settings

out = Console(highlight=False, soft_wrap=True)


@contextmanager
def reported() -> Iterator[None]:
    """Print the project's errors as one message and exit with 1."""
    try:
        yield
    except (OriginError, UsherError) as error:
        print_errors(str(error).splitlines())
        raise typer.Exit(1) from error


def print_errors(lines: Sequence[str]) -> None:
    """Print errors, each on a line of its own."""
    sys.stdout.flush()
    for line in lines:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/] {escape(line)}")


def settings_of_environment() -> Settings:
    """The settings. Raises SettingsError."""
    from origin.settings import read_settings

    return read_settings()


@contextmanager
def locked_lake(settings: Settings) -> Iterator[Lake]:
    """The lake, while nobody else writes to it. Raises LakeError."""
    from origin.lake import Lake

    lake = Lake(settings.lake)
    with lake.locked():
        yield lake


def show_time(time_ms: int) -> str:
    """A moment as a person reads it."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
