"""The README names every setting, command and Worker variable there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from origin.cli import app
from origin.settings import Settings
from worker.settings import NUMBERS, SECRETS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_of_the_origin_is_documented(name: str) -> None:
    assert f"`USHER_{name.upper()}`" in README


def test_every_variable_of_the_worker_is_documented() -> None:
    page = (ROOT / "worker" / "page.mjs").read_text(encoding="utf-8")
    bindings = {"ASSETS", "SCORES", "EVENTS", "LAKE"}
    read = {*re.findall(r"env\.([A-Z_]+)", page), *NUMBERS, *SECRETS} - bindings
    declared = set(tomllib.loads((ROOT / "wrangler.toml").read_text(encoding="utf-8"))["vars"])
    assert {"SNAPSHOT_TTL_MS", "UPSTREAM", "USHER_KEYS"} <= read
    assert {name for name in read | declared if f"`{name}`" not in README} == set()


def test_every_command_is_in_the_documentation() -> None:
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009 - typer's groups have it, its type does not say so
    assert {name for name in commands if f"usher {name}" not in README} <= {"pull", "train", "publish"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
