"""Whether the pages with touchpoints or a category reach the Worker at all."""

from __future__ import annotations

import tomllib
from pathlib import Path

from origin.config import Config
from origin.errors import ConfigError
from shared.paths import path_matches


def check_pages(config: Config, wrangler: Path) -> None:
    """Compare the configured pages with the `run_worker_first` of wrangler.toml's assets, where it has any.

    Raises ConfigError naming every page that would be served without the Worker.
    """
    try:
        assets = tomllib.loads(wrangler.read_text(encoding="utf-8")).get("assets", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{wrangler}: cannot be read: {error}"]) from error
    patterns = assets.get("run_worker_first")
    if not assets or patterns is True:
        return
    problems = [
        f"{wrangler.name}: assets.run_worker_first: the page {page!r} of {place} would be served without the Worker; "
        f"add {page!r}"
        for place, pages in _observed_pages(config).items()
        for page in pages
        if not any(path_matches(pattern, page) for pattern in patterns or [])
    ]
    if problems:
        raise ConfigError(problems)


def _observed_pages(config: Config) -> dict[str, tuple[str, ...]]:
    """The page patterns of every touchpoint and category, by their place in the configuration."""
    touchpoints = {f"touchpoints.{name}": touchpoint.pages for name, touchpoint in config.touchpoints.items()}
    return touchpoints | {f"categories.{name}": category.pages for name, category in config.categories.items()}
