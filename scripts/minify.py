"""Make the browser's script small: `python -m scripts.minify` writes worker/client/usher.min.js from usher.js.

The number of the event schema takes the place of SCHEMA in it. esbuild is pinned by package-lock.json (wrangler brings
it), so the same source gives the same bytes everywhere.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shared.events import SCHEMA

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "worker" / "client" / "usher.js"
SMALL = SOURCE.with_name("usher.min.js")
# The browsers of 2021 and later run it; older ones show the page without it.
TARGET = "es2021"


def minify() -> str:
    """Return the small form of the script. Raises CalledProcessError, with esbuild's words, where it is no script."""
    node, esbuild = Path(sys.executable).parent / "node", ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
    options = ("--minify", f"--target={TARGET}", f"--define:SCHEMA={SCHEMA}", "--log-level=warning")
    command = [str(node), str(esbuild), str(SOURCE), *options]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    SMALL.write_text(minify(), encoding="utf-8")
