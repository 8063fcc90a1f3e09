"""Who may be told apart at all: asked first, before anything of a visitor is read."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from shared.records import Header
from worker.cookies import OURS, read_cookie

# The site sets it to 1 for who does not want to be personalised.
OPT_OUT_COOKIE: Final = "usher-optout"
_FORGET: Final = "; Path=/; Max-Age=0; Secure; SameSite=Lax"


def is_allowed(header: Header | None, gpc: str, cookies: str) -> bool:
    """Whether a visitor may be personalised and events be taken: by the opt-out cookie, by Global Privacy Control
    (`gpc` is the header Sec-GPC) where the site honours it, and by the site's own consent cookie where it requires one.

    Where no snapshot is known yet (`header` is None), Global Privacy Control is honoured.
    """
    if OPT_OUT_COOKIE in cookies and read_cookie(cookies, OPT_OUT_COOKIE) == "1":
        return False
    if header is None:
        return gpc != "1"
    if gpc == "1" and header.honour_gpc:
        return False
    consent = header.consent
    return consent is None or consent.granted in unquote(read_cookie(cookies, consent.cookie) or "")


def forget_cookies(cookies: str) -> str | None:
    """The Set-Cookie values, by lines, that remove what Usher keeps in a browser, as far as it is there; None where
    nothing is."""
    names = [name for name in OURS if read_cookie(cookies, name) is not None]
    return "\n".join([f"{name}={_FORGET}" for name in names]) or None
