"""The sites that are measured: a configuration, its pages, and their publication by the origin's own code."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from origin.config import Config, load_config
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import make_snapshot, publish
from origin.train import Model, train

ROOT = Path(__file__).resolve().parents[2]
BODY = "</main></body></html>"
Fields = Mapping[str, object]


class PageSize(NamedTuple):
    """How many touchpoints a page has, and about how many bytes."""

    touchpoints: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A configuration and the pages it personalises, by URL path.

    `origin` is the Worker that serves the pages, a file of `workers/`; the slow one pauses `pause_ms` between pieces.
    Touchpoints in `individual` are published as decided by the visitor's own posteriors. `profiles` is how many
    profiles KV holds, and `profile_touchpoints` how many touchpoints each of them has scores of.
    """

    name: str
    config: Config
    pages: Mapping[str, str]
    origin: str = "pages.js"
    pause_ms: int = 0
    individual: tuple[str, ...] = ()
    profiles: int = 0
    profile_touchpoints: int = 0

    @property
    def reads(self) -> int:
        """How often a page view of a visitor who is known reads KV: once where the site has profiles."""
        return 1 if self.profiles else 0

    def names_on(self, path: str) -> list[str]:
        """The touchpoints of a page, in its own order."""
        names = re.findall(r'data-usher="([^"]+)"', self.pages[path])
        return [name for name in names if name in self.config.touchpoints]

    def slots(self, path: str) -> list[tuple[str, str]]:
        """The slots of a page in its own order, each with the HTML of the first variant that is not the default."""
        return [(name, next(iter(self.variants(name).values()))) for name in self.names_on(path)]

    def variants(self, touchpoint: str) -> dict[str, str]:
        """The HTML of every variant that writes the slot, the default last."""
        place = self.config.touchpoints[touchpoint]
        found = {each.name: each.html for each in place.expanded_variants if each.html is not None}
        return dict(sorted(found.items(), key=lambda item: item[0] == place.default))

    def shown(self, path: str, page: str) -> dict[str, str | None]:
        """The variant that stands in each slot of a page that was answered; None: none does."""
        return {name: self._shown_in(name, page) for name in self.names_on(path)}

    def _shown_in(self, touchpoint: str, page: str) -> str | None:
        slot = re.search(rf'data-usher="{re.escape(touchpoint)}"[^>]*>', page)
        if slot is None:
            return None
        found = (name for name, html in self.variants(touchpoint).items() if page.startswith(html, slot.end()))
        return next(found, None)


def demo_site() -> Site:
    """The demo shop's front page and its two touchpoints."""
    page = (ROOT / "site" / "index.html").read_text()
    return Site(name="demo", config=load_config(ROOT / "usher.toml"), pages={"/": page})


def made_site(
    *,
    touchpoints: int,
    variants: int = 4,
    pages: Mapping[str, PageSize] | None = None,
    html_bytes: int = 400,
    kind: str = "",
    variant: Callable[[int], Fields] = lambda _: {},
    touchpoint: Fields | None = None,
    whole: Fields | None = None,
) -> Site:
    """A site of the given size: touchpoints `t0`, `t1`, …, and pages by their URL path, each with the first of them.

    Without `pages`, all stand on one of 10 KB; those that stand on none are for pages that nobody asks for. A `kind` of
    its own names a site of which more is said: of every variant by its number, of every touchpoint, of the whole.
    """
    pages = {"/": PageSize(touchpoints, 10_000)} if pages is None else pages
    floor = 0.2 / variants
    places = {
        f"t{i}": {
            "goal": "click",
            "default": "v0",
            "pages": [path for path, size in pages.items() if i < size.touchpoints] or [f"/elsewhere/{i}"],
            "variants": [{**_variant(f"v{v}", html_bytes, floor), **variant(v)} for v in range(variants)],
            **(touchpoint or {}),
        }
        for i in range(touchpoints)
    }
    config = Config.model_validate(
        {
            "site": {"id": "made"},
            "goals": {"click": {"window_h": 1.0}},
            "segments": {f"s{i}": {"condition": {"language": f"l{i}"}} for i in range(5)},
            "touchpoints": places,
            **(whole or {}),
        }
    )
    name = f"made-{touchpoints}-{variants}-{html_bytes}{f'-{kind}' if kind else ''}"
    return Site(name=name, config=config, pages={path: _page(size) for path, size in pages.items()})


def with_individuals(site: Site, *, profiles: int, touchpoints: int) -> Site:
    """The site with its first two touchpoints decided by each visitor's own posteriors: so many profiles in KV, each
    with scores of so many touchpoints."""
    return replace(
        site,
        name=f"{site.name}-{touchpoints}-{profiles}",
        individual=("t0", "t1"),
        profiles=profiles,
        profile_touchpoints=touchpoints,
    )


def write_snapshot(site: Site, folder: Path) -> str:
    """The text of the snapshot of a site of which nothing is known yet."""
    now_ms = _now_ms()
    return make_snapshot(site.config, train(site.config, Lake(folder), now_ms, now_ms), now_ms)[1]


def accept_individual_scores(text: str) -> str:
    """The snapshot with all touchpoints at the individual level, which a site graduates to only with data."""
    lines = []
    for line in text.splitlines():
        key, *parts = line.split("\t")
        if key.startswith("touchpoint:"):
            parts[0] = json.dumps({**json.loads(parts[0]), "finest": "individual", "models": ["m1-bench"]})
        lines.append("\t".join([key, *parts]))
    return "\n".join(lines) + "\n"


def publish_site(site: Site, client: KvClient, folder: Path) -> str:
    """Train and publish a site as the origin does; returns the version that is live now."""
    now_ms = _now_ms()
    lake = Lake(folder)
    model = _graduate(train(site.config, lake, now_ms, now_ms), site.individual)
    return publish(site.config, model, lake, client, now_ms).version


def _graduate(model: Model, names: Iterable[str]) -> Model:
    """The model, these touchpoints having reached decisions by each visitor's own posteriors."""
    graduated = {name: replace(model.touchpoints[name], level="individual") for name in names}
    return replace(model, touchpoints={**model.touchpoints, **graduated})


def _variant(name: str, html_bytes: int, floor: float) -> dict[str, object]:
    return {"name": name, "html": f'<p class="{name}">{"x" * html_bytes}</p>', "floor": floor}


def _page(size: PageSize) -> str:
    """A page of about that size, its slots spread over it."""
    head = "<!doctype html><html><head><title>A page</title></head><body><main>"
    slots = [f'<section data-usher="t{i}"><p>The default of t{i}</p></section>\n' for i in range(size.touchpoints)]
    paragraph = '<p class="text"><a href="/somewhere">A link</a> and a sentence that fills the page with words.</p>\n'
    left = max(0, size.bytes - len(head) - len(BODY) - sum(map(len, slots)))
    return head + "".join(slot + paragraph * (left // (len(paragraph) * len(slots))) for slot in slots) + BODY


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
