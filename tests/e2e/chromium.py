"""A whole Chromium, as visitors have it: tabs that are hidden when another is in front, a back-forward cache, pages
that are rendered ahead. Playwright's own start switches all of that off, so this one is started beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Playwright

# Chromium must not call home: it only waits for answers that a closed network never gives.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
START_S = 30.0


def find_chromium() -> str:
    """The path of a Chromium; the test fails where there is none."""
    named = os.environ.get("USHER_CHROMIUM")
    found = named or next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.fail("no Chromium found: install it (Debian: apt-get install chromium) or name one in USHER_CHROMIUM")
    return found


@contextmanager
def run_chromium(playwright: Playwright, profile: Path) -> Iterator[BrowserContext]:
    """Run Chromium with an empty profile; yields its window, in which pages are tabs."""
    command = [
        find_chromium(),
        "--headless=new",
        "--remote-debugging-port=0",
        "--window-size=1280,900",
        f"--user-data-dir={profile}",
        *FLAGS,
        "about:blank",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = _await_address(profile / "DevToolsActivePort")
        browser = playwright.chromium.connect_over_cdp(address, no_defaults=True)
        yield browser.contexts[0]
        browser.close()
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await_address(file: Path) -> str:
    deadline = time.monotonic() + START_S
    while not file.exists() or len(lines := file.read_text().splitlines()) < 2:
        if time.monotonic() > deadline:
            pytest.fail(f"Chromium has not started after {START_S:.0f} s")
        time.sleep(0.05)
    return f"http://127.0.0.1:{lines[0]}"


def forget_visitor(window: BrowserContext, url: str) -> None:
    """Close all tabs but an empty one and drop what the site has stored: the next visit is a new visitor's."""
    tab = window.new_page()
    for page in window.pages:
        if page != tab:
            page.close()
    session = window.new_cdp_session(tab)
    session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
    session.send("Network.clearBrowserCache")
    session.detach()
