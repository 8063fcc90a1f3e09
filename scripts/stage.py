"""Stage what is uploaded: the entry file at the root, `worker/` and `shared/` beside it. Nothing but the standard
library, because wrangler runs this as its build command."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stage(target: Path) -> None:
    """Replace the folder `target` by a fresh copy of the modules of the Worker.

    workerd takes the root of the modules from the folder of the main module, so `worker/entry.py` moves to the top.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(ROOT / "worker" / "entry.py", target / "entry.py")
    for package in ("worker", "shared"):
        for source in sorted((ROOT / package).rglob("*.*")):
            if not source.name.endswith((".py", ".mjs", ".min.js")) or source == ROOT / "worker" / "entry.py":
                continue
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


if __name__ == "__main__":
    stage(ROOT / "build" / "edge")
