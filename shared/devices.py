"""The device class that a user agent claims."""

from __future__ import annotations

from typing import Final

DEVICES: Final = ("mobile", "tablet", "desktop")


def device_of(user_agent: str) -> str:
    """`mobile`, `tablet` or `desktop`, as the user agent claims."""
    if "iPad" in user_agent or ("Android" in user_agent and "Mobile" not in user_agent):
        return "tablet"
    return "mobile" if "Mobi" in user_agent else "desktop"
