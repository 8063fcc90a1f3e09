"""The sites that are measured: a configuration, its pages, and their publication by the origin's own code."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from origin.config import Config, load_config
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import make_snapshot, publish
from origin.train import train

ROOT = Path(__file__).resolve().parents[2]
BODY = "</main></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A configuration and the pages it personalises, by URL path."""

    name: str
    config: Config
    pages: Mapping[str, str]

    def slots(self, path: str) -> list[tuple[str, str]]:
        """The slots of a page in its own order, each with the HTML of the first variant that is not the default."""
        names = re.findall(r'data-usher="([^"]+)"', self.pages[path])
        return [(name, self.replacements(name)[0]) for name in names if name in self.config.touchpoints]

    def replacements(self, touchpoint: str) -> list[str]:
        """The HTML of every variant of a touchpoint that changes the page."""
        place = self.config.touchpoints[touchpoint]
        return [each.html for each in place.expanded_variants if each.html is not None and each.name != place.default]


def demo_site() -> Site:
    """The demo shop's front page and its two touchpoints."""
    page = (ROOT / "site" / "index.html").read_text()
    return Site(name="demo", config=load_config(ROOT / "usher.toml"), pages={"/": page})


def made_site(
    *, touchpoints: int, variants: int = 4, page_bytes: int = 10_000, html_bytes: int = 400, targeted: bool = False
) -> Site:
    """A site of the given size, its touchpoints `t0`, `t1`, … all on one page.

    With `targeted`, the last variant of each is for phones only, so that targeting removes it for all others.
    """
    places = {
        f"t{i}": {
            "goal": "click",
            "default": "v0",
            "pages": ["/"],
            "variants": [_variant(f"v{v}", html_bytes, targeted and v == variants - 1) for v in range(variants)],
        }
        for i in range(touchpoints)
    }
    config = Config.model_validate(
        {
            "site": {"id": "made"},
            "goals": {"click": {"window_h": 1.0}},
            "segments": {f"s{i}": {"condition": {"language": f"l{i}"}} for i in range(5)},
            "touchpoints": places,
        }
    )
    name = f"made-{touchpoints}x{variants}-{page_bytes}-{html_bytes}{'-targeted' if targeted else ''}"
    return Site(name=name, config=config, pages={"/": _page(touchpoints, page_bytes)})


def write_snapshot(site: Site, folder: Path) -> str:
    """The text of the snapshot of a site of which nothing is known yet."""
    now_ms = _now_ms()
    return make_snapshot(site.config, train(site.config, Lake(folder), now_ms, now_ms), now_ms)[1]


def publish_site(site: Site, kv_url: str, folder: Path) -> str:
    """Train and publish a site as the origin does; returns the version that is live now."""
    now_ms = _now_ms()
    lake, client = Lake(folder), KvClient(kv_url)
    try:
        return publish(site.config, train(site.config, lake, now_ms, now_ms), lake, client, now_ms).version
    finally:
        client.close()


def _variant(name: str, html_bytes: int, for_phones: bool) -> dict[str, object]:
    html = f'<p class="{name}">{"x" * html_bytes}</p>'
    condition = {"condition": {"device": "mobile"}} if for_phones else {}
    return {"name": name, "html": html, "floor": 0.05, **condition}


def _page(touchpoints: int, page_bytes: int) -> str:
    """A page of about so many bytes, its slots spread over it."""
    head = "<!doctype html><html><head><title>A page</title></head><body><main>"
    slots = [f'<section data-usher="t{i}"><p>The default of t{i}</p></section>\n' for i in range(touchpoints)]
    paragraph = '<p class="text"><a href="/somewhere">A link</a> and a sentence that fills the page with words.</p>\n'
    each = max(0, page_bytes - len(head) - len(BODY) - sum(map(len, slots))) // (len(paragraph) * max(1, touchpoints))
    return head + "".join(slot + paragraph * each for slot in slots) + BODY


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
