"""Links that show one variant to whoever opens them."""

from __future__ import annotations

from urllib.parse import quote

from origin.config import Config
from origin.errors import SettingsError
from origin.settings import Settings
from shared.errors import InvalidValue
from shared.signing import PREVIEW_PARAMETER, PREVIEW_PURPOSE, read_keys, sign


def preview_link(config: Config, settings: Settings, url: str, touchpoint: str, variant: str) -> str:
    """Return `url` with the signed preview parameter of a touchpoint and variant.

    Raises InvalidValue for names that the configuration does not have, SettingsError where the keys are missing.
    """
    known = config.touchpoints.get(touchpoint)
    if known is None:
        raise InvalidValue(touchpoint, f"no such touchpoint; configured are {', '.join(config.touchpoints)}")
    names = [each.name for each in known.expanded_variants]
    if variant not in names:
        raise InvalidValue(variant, f"no such variant of {touchpoint}; configured are {', '.join(names)}")
    if settings.keys is None:
        raise SettingsError("USHER_KEYS not set: preview links are signed with the Worker's keys")
    try:
        keys = read_keys(settings.keys.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"USHER_KEYS: {error}") from error
    signed = sign(keys, PREVIEW_PURPOSE, f"{touchpoint}={variant}")
    page, hash_mark, fragment = url.partition("#")
    return f"{page}{'&' if '?' in page else '?'}{PREVIEW_PARAMETER}={quote(signed)}{hash_mark}{fragment}"
