"""The Worker's variables and secrets, as types: read once an isolate. All of them are named here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from shared.identity import hash_user, is_signed, read_user_key
from shared.signing import Keys, read_keys

T = TypeVar("T")
# Milliseconds, each with its default.
NUMBERS: Final = {"SNAPSHOT_TTL_MS": 60_000, "COLD_MARGIN_MS": 200, "PROFILE_MARGIN_MS": 10}
SECRETS: Final = ("USHER_KEYS", "USHER_SERVER_TOKENS", "USHER_IDENTIFY_KEYS", "USHER_USER_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long the pointer to the current snapshot is trusted, and how long requests wait for a first snapshot and for
    a profile; the keys of cookies, the tokens that servers are known by, and what `identify` needs (None where that is
    not configured)."""

    snapshot_ttl_ms: int
    cold_margin_s: float
    profile_margin_ms: int
    keys: Keys | None
    tokens: Keys
    is_signed: Callable[[str, str], bool] | None
    hash_user: Callable[[str], str] | None


def read_settings(read: Callable[[str], object]) -> tuple[Settings, list[str]]:
    """Read the settings by their names; what is not of the form counts as absent, and is told. No secret is repeated.

    `read` returns what a variable or secret is set to: a text, or anything else where it is not set.
    """
    problems: list[str] = []
    numbers = {name: _read_number(name, read(name), default, problems) for name, default in NUMBERS.items()}
    cookies, tokens, identify, user = SECRETS
    known = _read_secret(identify, read(identify), read_keys, problems)
    key = _read_secret(user, read(user), read_user_key, problems)
    settings = Settings(
        snapshot_ttl_ms=numbers["SNAPSHOT_TTL_MS"],
        cold_margin_s=numbers["COLD_MARGIN_MS"] / 1000,
        profile_margin_ms=numbers["PROFILE_MARGIN_MS"],
        keys=_read_secret(cookies, read(cookies), read_keys, problems),
        tokens=_read_secret(tokens, read(tokens), read_keys, problems) or {},
        is_signed=None if known is None else partial(is_signed, known),
        hash_user=None if key is None else partial(hash_user, key),
    )
    return settings, problems


def _read_number(name: str, value: object, default: int, problems: list[str]) -> int:
    if not isinstance(value, str | int):
        return default
    try:
        return int(value)
    except ValueError:
        problems.append(f"{name} is {value!r}, no whole number; {default} is used")
        return default


def _read_secret(name: str, value: object, reader: Callable[[str], T], problems: list[str]) -> T | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return reader(value)
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return None
