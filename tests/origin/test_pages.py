"""Whether the pages with touchpoints or a category reach the Worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.config import load_config
from origin.errors import ConfigError
from origin.pages import check_pages
from tests.origin.shop import USHER_TOML, make_config

ROOT = Path(__file__).resolve().parents[2]


def check(folder: Path, pages: str, wrangler: str) -> list[str]:
    """The problems of pages (a TOML list) under a wrangler.toml."""
    config = make_config(folder, USHER_TOML.replace('pages = ["/"]', f"pages = {pages}"))
    (folder / "wrangler.toml").write_text(wrangler)
    try:
        check_pages(config, folder / "wrangler.toml")
    except ConfigError as error:
        return list(error.problems)
    return []


def problem(page: str, place: str = "touchpoints.hero") -> str:
    return (
        f"wrangler.toml: assets.run_worker_first: the page {page!r} of {place} would be served without the Worker; "
        f"add {page!r}"
    )


def test_the_projects_own_files_fit() -> None:
    check_pages(load_config(ROOT / "usher.toml"), ROOT / "wrangler.toml")


@pytest.mark.parametrize(
    "wrangler",
    [
        'name = "usher"',
        '[assets]\nrun_worker_first = ["/", "/men/*"]',
        '[assets]\nrun_worker_first = ["/*"]',
        "[assets]\nrun_worker_first = true",
    ],
)
def test_pages_that_reach_the_worker_are_fine(tmp_path: Path, wrangler: str) -> None:
    assert check(tmp_path, '["/", "/men/*", "/men/shoes"]', wrangler) == []


@pytest.mark.parametrize(
    "wrangler",
    [
        '[assets]\ndirectory = "site"',
        "[assets]\ndirectory = 'site'\nrun_worker_first = false",
        "[assets]\nrun_worker_first = []",
        '[assets]\nrun_worker_first = ["/men/shoes", "/women/*", "/_usher/*"]',
    ],
)
def test_every_page_that_would_be_served_without_the_worker_is_named(tmp_path: Path, wrangler: str) -> None:
    assert check(tmp_path, '["/", "/men/*"]', wrangler) == [problem("/"), problem("/men/*")]


def test_a_page_pattern_must_be_covered_as_a_whole(tmp_path: Path) -> None:
    assert check(tmp_path, '["/*"]', '[assets]\nrun_worker_first = ["/", "/men/*"]') == [problem("/*")]


def test_pages_that_are_only_observed_must_reach_the_worker_as_well(tmp_path: Path) -> None:
    config = make_config(tmp_path, USHER_TOML + '[categories.pricing]\npages = ["/pricing", "/men/prices"]\n')
    (tmp_path / "wrangler.toml").write_text('[assets]\nrun_worker_first = ["/", "/men/*"]')
    with pytest.raises(ConfigError) as caught:
        check_pages(config, tmp_path / "wrangler.toml")
    assert caught.value.problems == (problem("/pricing", "categories.pricing"),)


@pytest.mark.parametrize("content", [b"[assets", b"\xff", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    config = make_config(tmp_path)
    wrangler = tmp_path / "wrangler.toml"
    wrangler.unlink()
    if content is not None:
        wrangler.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        check_pages(config, wrangler)
    assert caught.value.problems[0].startswith(f"{wrangler}: cannot be read: ")
