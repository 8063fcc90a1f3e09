"""The arms of `scripts/bench edge`, as a table of groups. A further arm is a further row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from scripts.benchmarks.growthbook import COOKIE, EDGE_VARIABLES, sdk_variables
from scripts.benchmarks.runtime import Worker
from scripts.benchmarks.sites import PageSize, Site, demo_site, made_site, with_individuals

KB: Final = 1_000
# A touchpoint of four variants of 400 bytes takes about 2.4 KB of a snapshot, one of 280 bytes 1.9.
SNAPSHOTS: Final = {"10 KB": (5, 280), "100 KB": (43, 400), "1 MB": (434, 400)}
PROFILES: Final = ((5, 1_000), (50, 1_000), (5, 100_000))
COUNTED: Final = {f"/{count}": PageSize(count, 10 * KB) for count in (1, 5, 20)}
# What every personalised page has.
SCRIPT: Final = "/_usher/usher.js"
# Usher with five touchpoints, two of them individual: milliseconds of p50 above the floor of the same I/O.
MOST_OVER_FLOOR_MS: Final = 1.0
# Usher on pages of 100 KB and more: its p95 by that of GrowthBook's edge app.
MOST_TIMES_EDGE: Final = 1.0
Visit = Literal["new", "returning", "next"]
# By the Worker's kind: with it a page's I/O, but for KV, and nothing else.
FLOORS: Final = {
    "floor": ("floor.py", "Python floor"),
    "streamer": ("streamer.py", "Python, page.mjs streams"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row: the Worker that is asked, for which path and by whom, a text that the answer must hold, and by
    touchpoint the HTML of which one piece must stand in the slot.

    `visitor` is `new` (no cookie), `returning` (a cookie that the Worker gave; what it decided is repeated), or `next`
    (the same visitor in another session, so that all is decided anew); `cookie` is sent as it is instead. `floor`,
    `streamer`, `passing` and `edge_app` name the arms of the same group that the row is compared with; the first two
    read KV as often as it does. `targets` says how large a figure of its row should be at most.
    """

    name: str
    title: str
    worker: Worker
    path: str = "/"
    visitor: Visit = "new"
    cookie: str = ""
    expect: str = ""
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)
    floor: str = ""
    streamer: str = ""
    passing: str = ""
    edge_app: str = ""
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a site, and what it is called; makes the arms that are measured on it.

    `twin` is what the page is called that looks the same and is passed through, where this is not that page itself.
    """

    site: Site
    path: str
    label: str
    twin: str = ""

    def passed(self) -> Arm:
        """The page as it is."""
        return self._arm("pass", "Passed through", self._worker("pass", "pass.js"), expect="data-usher")

    def floors(self) -> list[Arm]:
        """The I/O of a personalised page and nothing else: its slots written by Python, and by Usher's JavaScript."""
        arms = []
        for kind, (entry, title) in FLOORS.items():
            worker = self._worker(kind, entry)
            arm = self._arm(kind, f"{title}{' with KV' if self.site.reads else ''}", worker)
            arms.append(replace(arm, slots={name: [html] for name, html in self.site.slots(self.path)}))
        return arms

    def usher(self, visitor: Visit, *, targets: Mapping[str, float] | None = None) -> Arm:
        """Usher, asked by such a visitor."""
        title = {"new": "new visitor", "returning": "decisions kept", "next": "decided anew"}[visitor]
        arm = self._arm(f"usher-{visitor}", f"Usher, {title}", self._worker("usher", None), expect=SCRIPT)
        return replace(
            arm,
            visitor=visitor,
            slots=self._any(with_bare=visitor != "new"),
            floor=f"floor {self.label}",
            streamer=f"streamer {self.label}",
            edge_app=f"growthbook-edge {self.twin or self.label}",
            targets=targets or {},
        )

    def growthbook_sdk(self) -> Arm:
        """GrowthBook's SDK in a JavaScript Worker of the same I/O, but for profiles."""
        worker = self._worker("growthbook-sdk", "growthbook-sdk.js", sdk_variables(self.site))
        return self._growthbook(self._arm("growthbook-sdk", "GrowthBook's SDK", worker))

    def growthbook_edge(self) -> Arm:
        """GrowthBook's own edge app."""
        worker = self._worker("growthbook-edge", "growthbook-edge.js", EDGE_VARIABLES)
        return self._growthbook(self._arm("growthbook-edge", "GrowthBook's edge app", worker))

    def _growthbook(self, arm: Arm) -> Arm:
        return replace(arm, cookie=COOKIE, slots=self._any(with_bare=True))

    def _any(self, *, with_bare: bool) -> dict[str, list[str]]:
        """By touchpoint, the HTML of its variants; without `with_bare` only where the default has any, too."""
        names = self.site.names_on(self.path)
        found = {name: self.site.variants(name) for name in names}
        places = self.site.config.touchpoints
        return {name: [*each.values()] for name, each in found.items() if with_bare or places[name].default in each}

    def _worker(self, kind: str, entry: str | None, variables: Mapping[str, str] | None = None) -> Worker:
        return Worker(name=f"{kind}-{self.site.name}", entry=entry, site=self.site, variables=variables or {})

    def _arm(self, kind: str, title: str, worker: Worker, *, expect: str = "") -> Arm:
        return Arm(
            name=f"{kind} {self.label}",
            title=f"{title}, {self.label}",
            worker=worker,
            path=self.path,
            expect=expect,
            passing="" if kind == "pass" else f"pass {self.twin or self.label}",
        )


def make_group(name: str, candidate: Path | None = None) -> list[Arm]:
    """The rows of a group, in the order they are printed in; `candidate` is a folder of staged modules to compare
    Usher with, arm by arm."""
    arms = [*_hellos(), *GROUPS[name]()]
    if candidate is None:
        return arms
    return [twin for arm in arms for twin in (arm, *_candidate(arm, candidate))]


def make_slow(pause_ms: int) -> list[Arm]:
    """The rows of a page of 100 KB whose origin pauses so long after every tenth."""
    made = made_site(touchpoints=5, pages={"/": PageSize(5, 100 * KB)})
    page = _Page(replace(made, name=f"{made.name}-slow", origin="slow.js", pause_ms=pause_ms), "/", "slow origin")
    return [
        page.passed(),
        *page.floors(),
        page.usher("new"),
        page.usher("returning"),
        page.growthbook_sdk(),
        page.growthbook_edge(),
    ]


def _candidate(arm: Arm, folder: Path) -> list[Arm]:
    if arm.worker.entry is not None:
        return []
    worker = replace(arm.worker, name=f"candidate-{arm.worker.name}", entry=folder)
    return [replace(arm, name=f"candidate-{arm.name}", title=f"— candidate: {arm.title}", worker=worker)]


def _hellos() -> list[Arm]:
    return [
        Arm(
            name="js-hello",
            title="JavaScript no-op",
            worker=Worker(name="js-hello", entry="nothing.js"),
            expect="hello",
        ),
        Arm(name="py-hello", title="Python no-op", worker=Worker(name="py-hello", entry="hello.py"), expect="hello"),
    ]


def _basics() -> list[Arm]:
    """The demo's front page, for a new visitor and one that comes back."""
    demo = _Page(demo_site(), "/", "demo")
    return [demo.passed(), *demo.floors(), demo.usher("new"), demo.usher("returning")]


def _touchpoints() -> list[Arm]:
    """Pages of 10 KB with 1, 5 and 20 touchpoints of four variants."""
    site = made_site(touchpoints=20, pages=COUNTED)
    return [arm for page in _counted(site) for arm in _compared(page)]


def _peers() -> list[Arm]:
    """The same pages by Usher and by GrowthBook, which is given the experiments of that page only; once more with two
    touchpoints individual (one, where there is one)."""
    site = made_site(touchpoints=20, pages=COUNTED)
    twins = _counted(with_individuals(site, profiles=1_000, touchpoints=5), are_twins=True)
    arms = []
    for page, twin in zip(_counted(site), twins, strict=True):
        size = COUNTED[page.path]
        alone = made_site(touchpoints=size.touchpoints, pages={page.path: size}, kind="alone")
        rival = replace(page, site=alone)
        arms += [*_compared(page), *twin.floors(), twin.usher("next")]
        arms += [rival.growthbook_sdk(), rival.growthbook_edge()]
    return arms


def _pages() -> list[Arm]:
    """Pages of 10 KB, 100 KB and 1 MB with five touchpoints, by Usher and by GrowthBook; once more with two of the
    touchpoints individual."""
    sizes = {"/10": "10 KB page", "/100": "100 KB page", "/1000": "1 MB page"}
    site = made_site(touchpoints=5, pages={path: PageSize(5, int(path[1:]) * KB) for path in sizes})
    known = with_individuals(site, profiles=1_000, touchpoints=5)
    arms = []
    for path, label in sizes.items():
        page, twin = _Page(site, path, label), _Page(known, path, f"{label}, individual", label)
        targets = {"p95_times_edge_app": MOST_TIMES_EDGE} if path != "/10" else {}
        arms += [page.passed(), *page.floors()]
        arms += [page.usher("returning", targets=targets), page.usher("next", targets=targets)]
        arms += [*twin.floors(), twin.usher("next", targets=targets)]
        arms += [page.growthbook_sdk(), page.growthbook_edge()]
    return arms


def _snapshots() -> list[Arm]:
    """Snapshots of 10 KB, 100 KB and 1 MB; five touchpoints on the page, the others elsewhere."""
    arms = []
    for label, (count, html_bytes) in SNAPSHOTS.items():
        site = made_site(touchpoints=count, pages={"/": PageSize(5, 10 * KB)}, html_bytes=html_bytes)
        arms += _compared(_Page(site, "/", f"{label} snapshot"))
    return arms


def _profiles() -> list[Arm]:
    """Two of five touchpoints decided by the visitor's own posteriors: profiles of 5 and 50 touchpoints, among a
    thousand and a hundred thousand others in KV."""
    made = made_site(touchpoints=50, pages={"/": PageSize(5, 10 * KB)})
    targets = {"over_floor_ms": MOST_OVER_FLOOR_MS}
    arms = []
    for places, count in PROFILES:
        site = with_individuals(made, profiles=count, touchpoints=places)
        arms += _compared(_Page(site, "/", f"{count:,} profiles of {places}"), targets=targets)
    return arms


def _compared(page: _Page, *, targets: Mapping[str, float] | None = None) -> list[Arm]:
    """Usher on a page, its decisions kept and made anew, and what it is compared with."""
    return [
        page.passed(),
        *page.floors(),
        page.usher("returning", targets=targets),
        page.usher("next", targets=targets),
    ]


def _counted(site: Site, *, are_twins: bool = False) -> list[_Page]:
    """The pages of a site with 1, 5 and 20 touchpoints."""
    pages = []
    for path, size in COUNTED.items():
        label = f"{size.touchpoints} {'touchpoints' if size.touchpoints > 1 else 'touchpoint'}"
        pages.append(_Page(site, path, f"{label}, individual", label) if are_twins else _Page(site, path, label))
    return pages


GROUPS: Final[Mapping[str, Callable[[], list[Arm]]]] = {
    "basics": _basics,
    "touchpoints": _touchpoints,
    "peers": _peers,
    "pages": _pages,
    "snapshots": _snapshots,
    "profiles": _profiles,
}
