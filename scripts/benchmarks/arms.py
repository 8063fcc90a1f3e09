"""The arms of `scripts/bench edge`, as a table. A further arm is a further row, and a Worker if it needs one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from scripts.benchmarks.runtime import Worker, floor_variables
from scripts.benchmarks.sites import demo_site

# What the others are compared with.
HELLO: Final = "py-hello"
FLOOR: Final = "py-floor"
PASS: Final = "js-pass"
PERSONALISED: Final = "/_usher/usher.js"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row: the Worker that is asked, for which path and by whom, and a text that the answer must hold.

    `visitor` is `new` (no cookie) or `returning` (the cookie that the Worker itself gave to a visitor whom it showed
    a variant in every slot).
    """

    name: str
    title: str
    worker: str
    path: str = "/"
    visitor: Literal["new", "returning"] = "new"
    expect: str = ""


def make_workers(candidate: Path | None = None) -> list[Worker]:
    """The Workers that run side by side; `candidate` is a folder of staged modules to compare Usher with."""
    demo = demo_site()
    workers = [
        Worker(name="js-hello", entry="nothing.js"),
        Worker(name="py-hello", entry="hello.py"),
        Worker(name="js-pass", entry="pass.js", site=demo),
        Worker(name="floor", entry="floor.py", site=demo, variables=floor_variables(demo, "/", reads=1)),
        Worker(name="floor-no-kv", entry="floor.py", site=demo, variables=floor_variables(demo, "/", reads=0)),
        Worker(name="usher-demo", entry=None, site=demo),
    ]
    if candidate is not None:
        workers.append(Worker(name="candidate", entry=candidate, site=demo))
    return workers


def make_arms(*, candidate: bool = False) -> list[Arm]:
    """The rows, in the order they are printed in."""
    arms = [
        Arm(name="js-hello", title="JavaScript: no-op", worker="js-hello", expect="hello"),
        Arm(name=HELLO, title="Python: no-op", worker="py-hello", expect="hello"),
        Arm(name=PASS, title="JavaScript: the page passed through", worker="js-pass", expect="data-usher"),
        Arm(name="py-floor-no-kv", title="Python floor without KV", worker="floor-no-kv", expect="data-usher"),
        Arm(name=FLOOR, title="Python floor: KV, rewriter, queue", worker="floor", expect="data-usher"),
        *_both_visitors("usher", "Usher", "usher-demo"),
    ]
    return arms + (_both_visitors("candidate", "Candidate", "candidate") if candidate else [])


def _both_visitors(name: str, title: str, worker: str) -> list[Arm]:
    return [
        Arm(name=f"{name}-new", title=f"{title}: new visitor", worker=worker, expect=PERSONALISED),
        Arm(
            name=f"{name}-returning",
            title=f"{title}: returning visitor",
            worker=worker,
            visitor="returning",
            expect=PERSONALISED,
        ),
    ]
