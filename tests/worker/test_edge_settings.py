from __future__ import annotations

from collections.abc import Mapping

import pytest

from shared.identity import hash_user, sign_user
from shared.signing import read_keys
from worker.settings import NUMBERS, SECRETS, Settings, read_settings

SITE_KEYS = "site:0123456789abcdef"
COOKIE_KEYS = "k1:fedcba9876543210"


def read(values: Mapping[str, object]) -> tuple[Settings, list[str]]:
    return read_settings(values.get)


def test_settings_are_read_from_their_configured_forms() -> None:
    settings, problems = read(
        {
            "SNAPSHOT_TTL_MS": "1000",
            "COLD_MARGIN_MS": "300",
            "PROFILE_MARGIN_MS": 20,
            "USHER_KEYS": COOKIE_KEYS,
            "USHER_SERVER_TOKENS": "crm:crm-crm-crm-crm-1",
            "USHER_IDENTIFY_KEYS": SITE_KEYS,
            "USHER_USER_KEY": "0123456789abcdef",
        }
    )
    assert problems == []
    assert (settings.snapshot_ttl_ms, settings.cold_margin_s, settings.profile_margin_ms) == (1000, 0.3, 20)
    assert settings.keys == read_keys(COOKIE_KEYS)
    assert settings.tokens == {"crm": b"crm-crm-crm-crm-1"}
    assert settings.is_signed is not None and settings.hash_user is not None
    assert settings.is_signed("anna", sign_user(read_keys(SITE_KEYS), "anna"))
    assert not settings.is_signed("anna", "site.00")
    assert settings.hash_user("anna") == hash_user(b"0123456789abcdef", "anna")


@pytest.mark.parametrize("value", [None, "", object()])
def test_what_is_not_set_has_its_default_or_is_absent_and_no_problem(value: object) -> None:
    settings, problems = read(dict.fromkeys(SECRETS, value))
    assert (settings.snapshot_ttl_ms, settings.cold_margin_s, settings.profile_margin_ms) == (60_000, 0.2, 10)
    assert (settings.keys, settings.tokens, settings.is_signed, settings.hash_user, problems) == (
        None,
        {},
        None,
        None,
        [],
    )


def test_a_secret_that_is_not_of_the_form_is_absent_and_named_without_repeating_it() -> None:
    settings, problems = read(dict.fromkeys(SECRETS, "hush"))
    assert (settings.keys, settings.tokens, settings.is_signed, settings.hash_user) == (None, {}, None, None)
    assert sorted(problem.partition(":")[0] for problem in problems) == sorted(SECRETS)
    assert "hush" not in "".join(problems)


def test_a_number_that_is_none_has_its_default_and_is_named() -> None:
    settings, problems = read(dict.fromkeys(NUMBERS, "soon"))
    assert settings.snapshot_ttl_ms == 60_000
    assert problems == [f"{name} is 'soon', no whole number; {default} is used" for name, default in NUMBERS.items()]
