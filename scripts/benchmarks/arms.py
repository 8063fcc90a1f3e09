"""The arms of `scripts/bench edge`, as a table of groups. A further arm is a further row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from scripts.benchmarks.growthbook import COOKIE, EDGE_VARIABLES, sdk_variables
from scripts.benchmarks.runtime import Worker, floor_variables
from scripts.benchmarks.sites import PageSize, Site, demo_site, made_site

KB: Final = 1_000
# A touchpoint of four variants of 400 bytes takes about 2.4 KB of a snapshot, one of 280 bytes 1.9.
SNAPSHOTS: Final = {"10 KB": (5, 280), "100 KB": (43, 400), "1 MB": (434, 400)}
PROFILES: Final = ((5, 1_000), (50, 1_000), (5, 100_000))
# What every personalised page has.
SCRIPT: Final = "/_usher/usher.js"
Visit = Literal["new", "returning", "next"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row: the Worker that is asked, for which path and by whom, and a text that the answer must hold.

    `visitor` is `new` (no cookie), `returning` (a cookie that the Worker gave; what it decided is repeated), or `next`
    (the same visitor in another session, so that all is decided anew); `cookie` is sent as it is instead. `hello`,
    `floor` and `passing` name the arms of the same group that the row is compared with.
    """

    name: str
    title: str
    worker: Worker
    path: str = "/"
    visitor: Visit = "new"
    cookie: str = ""
    expect: str = ""
    hello: str = "py-hello"
    floor: str = ""
    passing: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a site, and what it is called; makes the arms that are measured on it."""

    site: Site
    path: str
    label: str

    def passed(self) -> Arm:
        """The page as it is."""
        arm = self._arm("pass", "Passed through", self._worker("pass", "pass.js"), expect="data-usher")
        return replace(arm, floor="")

    def floor(self, *, reads: int = 1) -> Arm:
        """The I/O of a personalised page, and nothing else."""
        kind, title = ("floor", "Python floor") if reads else ("floor-no-kv", "Python floor without KV")
        worker = self._worker(kind, "floor.py", floor_variables(self.site, reads=reads))
        return self._arm(kind, title, worker, expect=self.site.slots(self.path)[0][1])

    def usher(self, visitor: Visit, *, floor: str = "") -> Arm:
        """Usher, asked by such a visitor."""
        title = {"new": "Usher, new visitor", "returning": "Usher", "next": "Usher, decided anew"}[visitor]
        arm = self._arm(f"usher-{visitor}", title, self._worker("usher", None), expect=SCRIPT)
        return replace(arm, visitor=visitor, floor=floor or arm.floor)

    def growthbook_sdk(self) -> Arm:
        """GrowthBook's SDK in a JavaScript Worker of the same I/O."""
        worker = self._worker("growthbook-sdk", "growthbook-sdk.js", sdk_variables(self.site))
        return replace(self._arm("growthbook-sdk", "GrowthBook's SDK", worker), cookie=COOKIE)

    def growthbook_edge(self) -> Arm:
        """GrowthBook's own edge app."""
        worker = self._worker("growthbook-edge", "growthbook-edge.js", EDGE_VARIABLES)
        return replace(self._arm("growthbook-edge", "GrowthBook's edge app", worker), cookie=COOKIE)

    def _worker(self, kind: str, entry: str | None, variables: Mapping[str, str] | None = None) -> Worker:
        return Worker(name=f"{kind}-{self.site.name}", entry=entry, site=self.site, variables=variables or {})

    def _arm(self, kind: str, title: str, worker: Worker, *, expect: str = "") -> Arm:
        return Arm(
            name=f"{kind} {self.label}",
            title=f"{title}, {self.label}",
            worker=worker,
            path=self.path,
            expect=expect,
            floor=f"{kind} {self.label}" if kind.startswith("floor") else f"floor {self.label}",
            passing=f"pass {self.label}",
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
        page.floor(),
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
    return [
        demo.passed(),
        demo.floor(reads=0),
        demo.floor(),
        demo.usher("new", floor="floor-no-kv demo"),
        demo.usher("returning"),
    ]


def _touchpoints() -> list[Arm]:
    """Pages of 10 KB with 1, 5 and 20 touchpoints of four variants."""
    return [
        arm
        for page in _touchpoint_pages()
        for arm in (page.passed(), page.floor(), page.usher("returning"), page.usher("next"))
    ]


def _peers() -> list[Arm]:
    """The same pages by Usher and by GrowthBook, which is given the experiments of that page only."""
    arms = []
    for page in _touchpoint_pages():
        names = page.site.names_on(page.path)
        sizes = {page.path: PageSize(len(names), 10 * KB)}
        alone = replace(page, site=made_site(touchpoints=len(names), pages=sizes))
        arms += [page.passed(), page.floor(), page.usher("returning"), page.usher("next")]
        arms += [alone.growthbook_sdk(), alone.growthbook_edge()]
    return arms


def _touchpoint_pages() -> list[_Page]:
    sizes = {1: "1 touchpoint", 5: "5 touchpoints", 20: "20 touchpoints"}
    site = made_site(touchpoints=20, pages={f"/{count}": PageSize(count, 10 * KB) for count in sizes})
    return [_Page(site, f"/{count}", label) for count, label in sizes.items()]


def _pages() -> list[Arm]:
    """Pages of 10 KB, 100 KB and 1 MB with five touchpoints."""
    sizes = {"/10": "10 KB page", "/100": "100 KB page", "/1000": "1 MB page"}
    site = made_site(touchpoints=5, pages={path: PageSize(5, int(path[1:]) * KB) for path in sizes})
    return [
        arm
        for page in (_Page(site, path, label) for path, label in sizes.items())
        for arm in (page.passed(), page.floor(), page.usher("returning"), page.growthbook_sdk(), page.growthbook_edge())
    ]


def _snapshots() -> list[Arm]:
    """Snapshots of 10 KB, 100 KB and 1 MB; five touchpoints on the page, the others elsewhere."""
    arms = []
    for label, (count, html_bytes) in SNAPSHOTS.items():
        site = made_site(touchpoints=count, pages={"/": PageSize(5, 10 * KB)}, html_bytes=html_bytes)
        page = _Page(site, "/", f"{label} snapshot")
        arms += [page.passed(), page.floor(), page.usher("returning"), page.usher("next")]
    return arms


def _profiles() -> list[Arm]:
    """Two of five touchpoints decided by the visitor's own posteriors: profiles of 5 and 50 touchpoints, among a
    thousand and a hundred thousand others in KV."""
    arms = []
    made = made_site(touchpoints=50, pages={"/": PageSize(5, 10 * KB)})
    for places, count in PROFILES:
        site = replace(
            made,
            name=f"{made.name}-{places}-{count}",
            individual=("t0", "t1"),
            profiles=count,
            profile_touchpoints=places,
        )
        page = _Page(site, "/", f"{count:,} profiles of {places}")
        arms += [page.passed(), page.floor(), page.usher("returning"), page.usher("next")]
    return arms


GROUPS: Final[Mapping[str, Callable[[], list[Arm]]]] = {
    "basics": _basics,
    "touchpoints": _touchpoints,
    "peers": _peers,
    "pages": _pages,
    "snapshots": _snapshots,
    "profiles": _profiles,
}
