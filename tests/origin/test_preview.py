"""Preview links: what the Worker takes for the variant that was asked for."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from origin.config import Config
from origin.errors import SettingsError
from origin.preview import preview_link
from origin.settings import Settings
from shared.errors import InvalidValue
from shared.signing import PREVIEW_PARAMETER, read_keys
from worker.plan import read_preview

KEYS = "new:a-secret-of-some-length,old:another-secret-of-length"


def make_settings(keys: str | None = KEYS) -> Settings:
    return Settings(_env_file=None, keys=keys)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    ("url", "before", "fragment"),
    [
        ("/", "/?", ""),
        ("https://shop.example/men/?size=m", "https://shop.example/men/?size=m&", ""),
        ("/men/#item-1", "/men/?", "#item-1"),
        ("/men/?size=m#item?1", "/men/?size=m&", "#item?1"),
    ],
)
def test_the_worker_reads_the_variant_from_the_link(config: Config, url: str, before: str, fragment: str) -> None:
    link = preview_link(config, make_settings(), url, "hero", "craft")
    assert link.startswith(f"{before}{PREVIEW_PARAMETER}=new.hero%3Dcraft.")
    parts = urlsplit(link)
    assert parts.fragment == fragment.removeprefix("#")
    [value] = parse_qs(parts.query)[PREVIEW_PARAMETER]
    assert read_preview(read_keys(KEYS), value) == {"hero": "craft"}
    assert read_preview(read_keys("new:some-other-secret-altogether"), value) == {}


def test_an_unknown_touchpoint_or_variant_is_refused_with_what_there_is(config: Config) -> None:
    with pytest.raises(InvalidValue, match="^banner: no such touchpoint; configured are hero$"):
        preview_link(config, make_settings(), "/", "banner", "craft")
    with pytest.raises(InvalidValue, match="^sale: no such variant of hero; configured are house, craft, offer$"):
        preview_link(config, make_settings(), "/", "hero", "sale")


def test_without_usable_keys_the_variable_is_named_and_no_secret_shown(config: Config) -> None:
    with pytest.raises(SettingsError, match="^USHER_KEYS not set: preview links are signed with the Worker's keys$"):
        preview_link(config, make_settings(None), "/", "hero", "craft")
    with pytest.raises(SettingsError, match="^USHER_KEYS: key 1 must read id:secret") as caught:
        preview_link(config, make_settings("a:short"), "/", "hero", "craft")
    assert "short" not in str(caught.value)
