"""The script that the edge adds to the pages it decides: `usher.js`, the browser's half.

`usher.js` is the source. What is served is `usher.min.js`, which `python -m scripts.minify` makes of it with esbuild.
The result is kept beside its source, because a deployment stages the Worker with Python alone and may have no esbuild
at hand; a test compares the two.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

PATH: Final = "/_usher/usher.js"
CONTENT_TYPE: Final = "text/javascript; charset=utf-8"
CACHE_CONTROL: Final = "public, max-age=3600"
SCRIPT: Final = Path(__file__).with_name("usher.min.js").read_text(encoding="utf-8")
ETAG: Final = f'"{sha256(SCRIPT.encode()).hexdigest()[:16]}"'


def is_known(if_none_match: str | None) -> bool:
    """Whether the browser has this script already; caches on the way may have made its tag a weak one."""
    return if_none_match is not None and ETAG in if_none_match


def script_tag(page_view: str, *, is_shown: bool, honours_gpc: bool) -> str:
    """The element that loads the script; it stays within a strict Content-Security-Policy of `script-src 'self'`.

    It tells the script the id of the page view, that the page was fetched ahead of its time (not `is_shown`), and that
    the site honours Global Privacy Control.
    """
    fetched = "" if is_shown else ' data-fetched="1"'
    gpc = ' data-gpc="1"' if honours_gpc else ""
    return f'<script src="{PATH}" data-view="{page_view}"{fetched}{gpc} defer></script>'
