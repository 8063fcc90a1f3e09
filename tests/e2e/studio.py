"""A small studio's site, as the browser tests visit it: pages of some length behind the edge, and its configuration."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Nothing but what the page's own origin serves may run or be reached.
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"
LINKS = ("/", "/cases/harbour", "/pricing", "/pricing/bought", "/imprint")
SECTIONS = ("brief", "survey", "result", "figures")
# Longer than any name may be; half of its last character would be none.
LONG = "a" + "🙂" * 300
CONFIG = """
[site]
id = "studio"
holdout_share = 0.05

[goals.book]
window_h = 24

[goals.order]
window_h = 24
event = "purchase"

[events.plans_compared]
properties = { plans = "texts", seats = "whole", order = "text" }
required = ["seats"]

[questions.topic]
answers = ["bridges", "harbours"]

[touchpoints.banner]
goal = "book"
default = "own"
pages = ["/", "/cases/*", "/pricing*"]

[[touchpoints.banner.variants]]
name = "own"

[[touchpoints.banner.variants]]
name = "call"
html = '<p>Call us</p><button data-usher-goal="book">Book</button>'
"""


def render(path: str, head: str = "") -> str:
    """A page: the banner's slot, and below it four sections of one window's height each. The names of `/cases/long`,
    that of its category included, are too long."""
    more = LONG if path == "/cases/long" else ""
    sections = "".join(f'<section data-usher-section="{more}{name}"><h2>{name}</h2></section>' for name in SECTIONS)
    category = f'<meta name="usher:category" content="{more}case-study">' if path.startswith("/cases/") else ""
    links = "".join(f'<a href="{to}">{to}</a> ' for to in LINKS)
    return (
        f'<!doctype html><html lang="en-GB"><head><meta charset="utf-8">{category}{head}<title>{path}</title>'
        f'<link rel="stylesheet" href="/studio.css"></head><body><nav>{links}</nav>'
        f'<div data-usher="banner"><button data-usher-goal="book">Book</button></div>{sections}</body></html>'
    )


FILES = {
    "/studio.css": ("text/css", "body, h2 { margin: 0 } nav, div { height: 50px } section { height: 1000px }"),
    "/bought.js": ("text/javascript", 'usher.track("purchase", { value: 1, currency: "EUR" });'),
}
# What the documentation has a page say before the client's script has run.
EARLY = (ROOT / "docs" / "events.md").read_text().partition("```html\n<script>")[2].partition("</script>")[0]


class _Pages(BaseHTTPRequestHandler):
    """The studio's server. `/ahead/prerender/pricing` has the browser render `/pricing` ahead, and with `prefetch` only
    fetch it; `/pricing/bought` tracks something once the client's script has run, `/pricing/early` before.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a page, or the style sheet."""
        path = self.path.partition("?")[0]
        kind, text = FILES.get(path) or ("text/html; charset=utf-8", render(path, _scripts(path)))
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if not path.startswith("/ahead/") and not path.endswith("/early"):  # these hold scripts themselves
            self.send_header("content-security-policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
        del arguments


def _scripts(path: str) -> str:
    if path.startswith("/ahead/"):
        how, _, page = path.removeprefix("/ahead/").partition("/")
        rules = {how: [{"urls": [f"/{page}"], "eagerness": "immediate"}]}
        return f'<script type="speculationrules">{json.dumps(rules)}</script>'
    if path.endswith("/early"):
        return f'<script>{EARLY} usher.push(["prefer", "topic", "harbours"]);</script>'
    return '<script src="/bought.js" defer></script>' if path.endswith("/bought") else ""


@contextmanager
def serve_studio() -> Iterator[str]:
    """Serve the site on a free port; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
