"""The rooms: who may import whom is checked by import-linter; that the edge needs no library at all, here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_shared_and_worker_import_with_no_site_packages_at_all() -> None:
    rooms = [path for room in ("shared", "worker") for path in (ROOT / room).rglob("*.py")]
    names = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in rooms
        if path != ROOT / "worker" / "entry.py"
    )
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(names) > 15
