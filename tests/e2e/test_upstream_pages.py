"""Pages from an upstream: what is rewritten, what passes as it is, and that nothing waits for the end of the body."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from origin.config import Config
from scripts.runtime.edge import run_edge
from tests.e2e.world import World, eventually, make_world

SLOT = '<section data-usher="hero"><h1>Own</h1></section>'
PAGE = f"<!doctype html><html><head><title>Käse</title></head><body>{SLOT}<p>ä &amp; ö</p></body></html>"
HTML = "text/html; charset=utf-8"


class Upstream(BaseHTTPRequestHandler):
    """A site with every kind of answer that the edge must tell apart."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[dict[str, str]]] = []
    paths: ClassVar[list[str]] = []
    # So many requests are answered by what is no HTTP.
    garbled: ClassVar[int] = 0

    def do_GET(self) -> None:
        if Upstream.garbled:
            Upstream.garbled -= 1
            self.wfile.write(b"no such thing\r\n\r\n")
            self.close_connection = True
            return
        self.paths.append(self.path)
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        kind = self.path.partition("?")[2].partition("&")[0]
        body = PAGE.encode()
        answers: dict[str, tuple[int, bytes, dict[str, str]]] = {
            "plain": (200, body, {"content-type": HTML, "etag": '"v1"', "x-own": "kept"}),
            "gzip": (200, gzip.compress(body), {"content-type": HTML, "content-encoding": "gzip"}),
            "latin": (200, PAGE.encode("latin-1"), {"content-type": "text/html; charset=iso-8859-1"}),
            "utf16": (200, PAGE.encode("utf-16"), {"content-type": "text/html; charset=utf-16"}),
            "json": (200, b'{"a":1}', {"content-type": "application/json", "etag": '"j1"'}),
            "missing": (404, body, {"content-type": HTML}),
            "moved": (302, b"", {"location": "/elsewhere"}),
            "unclosed": (200, f"<html><head><title>x</title><body>{SLOT}".encode(), {"content-type": "text/html"}),
            "headless": (200, SLOT.encode(), {"content-type": "text/html"}),
        }
        if kind in ("slow", "late"):
            with suppress(OSError):  # the client, and so the edge, may leave
                self.send_slowly(early="<p>" if kind == "slow" else "<section")
            self.close_connection = True
            return
        status, content, headers = answers[kind]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_slowly(self, early: str) -> None:
        """The page up to where `early` stands at once, then a bit at a time, and the rest once `go_on` is set (or after
        15 s)."""
        self.send_response(200)
        self.send_header("content-type", HTML)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        first, rest = PAGE.split(early)
        self.send_chunk(first)
        for _ in range(75):
            if go_on.wait(0.2):
                break
            self.send_chunk("<!-- still working -->")
        self.send_chunk(early + rest)
        self.wfile.write(b"0\r\n\r\n")

    def send_chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        del arguments


go_on = threading.Event()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_config: Config, modules_under_test: Path) -> Iterator[World]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    variables = {"UPSTREAM": f"http://127.0.0.1:{server.server_port}", "SNAPSHOT_TTL_MS": "200"}
    options = {"modules": str(modules_under_test), "queue": {"maxBatchTimeout": 0.2}, "assets": False}
    config = demo_config.model_copy(
        update={
            "touchpoints": {"hero": demo_config.touchpoints["hero"]},
            "site": demo_config.site.model_copy(update={"holdout_share": 0.0}),
        }
    )
    try:
        with run_edge(variables=variables, options=options) as edge:
            world = make_world(edge, tmp_path_factory.mktemp("site"), config)
            world.publish_untrained()
            yield world
            world.kv.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def personalised(site: World, kind: str) -> httpx.Response:
    browser = site.browser()
    response: httpx.Response = browser.get(f"/?{kind}")
    return response


def variants_html(site: World) -> list[str]:
    return [variant.html or "<h1>Own</h1>" for variant in site.config.touchpoints["hero"].expanded_variants]


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_a_page_of_html_is_rewritten_and_else_unchanged(site: World, kind: str) -> None:
    response = personalised(site, kind)
    head, _, rest = response.text.partition('<section data-usher="hero">')
    inner, _, tail = rest.partition("</section>")
    assert inner in variants_html(site)
    assert tail == "<p>ä &amp; ö</p></body></html>"
    assert head.startswith("<!doctype html><html><head><script src=")
    assert "etag" not in response.headers
    assert response.headers["cache-control"] == "private, no-cache"


def test_other_headers_of_the_upstream_are_kept(site: World) -> None:
    assert personalised(site, "plain").headers["x-own"] == "kept"


def test_a_page_in_another_ascii_compatible_charset_stays_in_it(site: World) -> None:
    assert "<p>ä &amp; ö</p>".encode("latin-1") in personalised(site, "latin").content


@pytest.mark.parametrize("kind", ["headless", "unclosed"])
def test_a_page_without_head_tags_is_rewritten_too_and_has_the_script_once(site: World, kind: str) -> None:
    text = personalised(site, kind).text
    inner = text.partition('<section data-usher="hero">')[2].partition("</section>")[0]
    assert inner in variants_html(site)
    assert text.count("/_usher/usher.js") == 1


@pytest.mark.parametrize("path", ["//other.invalid/?plain", "/%5C%5Cother.invalid/?plain", "///other.invalid?plain"])
def test_a_path_that_looks_like_another_host_stays_with_the_upstream(site: World, path: str) -> None:
    host, port = site.edge.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request("GET", path, headers={"accept": "text/html"})
        response = connection.getresponse()
        assert response.status == 200
        assert b"<title>K" in response.read()
    finally:
        connection.close()
    assert Upstream.paths[-1].startswith("/")
    assert "other.invalid" in Upstream.paths[-1]


def test_an_upstream_that_is_down_is_a_plain_502(site: World) -> None:
    del site
    with run_edge(variables={"UPSTREAM": "http://127.0.0.1:9"}, options={"assets": False}) as edge:
        for number in (1, 2):  # before and after it is known what is published
            response = httpx.get(f"{edge.url}/", headers={"accept": "text/html"})
            assert (response.status_code, response.headers["cache-control"]) == (502, "no-store")
            assert response.text == "The site cannot be reached. Please try again later.\n"
            eventually(lambda: edge.counted("upstream_failed") >= number or None, "the failure counted")  # noqa: B023


@pytest.mark.parametrize("path", ["/?plain", "/nobody-looks-here?plain"])
def test_an_upstream_that_fails_once_is_asked_again(site: World, path: str) -> None:
    site.browser().get("/?plain")
    before = site.edge.counted("request_failed")
    Upstream.garbled = 1
    response = site.browser().get(path)
    assert (response.status_code, Upstream.garbled) == (200, 0)
    eventually(lambda: site.edge.counted("request_failed") > before or None, "the failure counted")


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("utf16", 200, PAGE.encode("utf-16")),
        ("json", 200, b'{"a":1}'),
        ("missing", 404, PAGE.encode()),
        ("moved", 302, b""),
    ],
)
def test_what_is_not_a_200_of_html_passes_as_it_is(site: World, kind: str, status: int, content: bytes) -> None:
    response = personalised(site, kind)
    assert (response.status_code, response.content) == (status, content)
    assert "set-cookie" not in response.headers
    assert response.headers.get("location") == ("/elsewhere" if kind == "moved" else None)
    assert response.headers.get("etag") == ('"j1"' if kind == "json" else None)


def test_the_upstream_is_asked_for_the_whole_page_and_never_sees_our_cookie(site: World) -> None:
    moment = "Sun, 22 Nov 2026 00:00:00 GMT"
    conditions = {"if_match": '"v0"', "if_unmodified_since": moment, "if_range": '"v1"'}
    browser = site.browser(if_none_match='"v1"', range="bytes=0-10", if_modified_since=moment, **conditions)
    browser.get("/?plain")
    unconditional = {"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range", "if-range"}
    assert not unconditional & set(Upstream.seen[-1])
    assert browser.cookie.startswith("__Host-usher=")
    httpx.get(
        f"{site.edge.url}/?plain",
        headers={"accept": "text/html", "cookie": f"cart=7; {browser.cookie}; theme=dark", "if-none-match": '"v1"'},
    )
    asked = Upstream.seen[-1]
    assert not {"if-none-match", "if-modified-since", "range"} & set(asked)
    assert asked["cookie"] == "cart=7; theme=dark"


def test_nor_does_it_where_the_request_failed_before(site: World) -> None:
    ours = "__Host-usher=2!v; usher-said=topic:ships; usher-left=v.90.12"
    httpx.post(f"{site.edge.url}/_test/break", content="_describe").raise_for_status()
    try:
        response = httpx.get(f"{site.edge.url}/?plain", headers={"cookie": f"cart=7; {ours}; theme=dark"})
    finally:
        httpx.post(f"{site.edge.url}/_test/forget").raise_for_status()
    assert (response.status_code, response.text) == (200, PAGE)
    assert Upstream.seen[-1]["cookie"] == "cart=7; theme=dark"


def test_the_first_bytes_do_not_wait_for_the_last_ones(site: World) -> None:
    go_on.clear()
    host = site.edge.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("GET", "/?slow", headers={"accept": "text/html"})
        response = connection.getresponse()
        early = b""
        while b"</section>" not in early:
            early += response.read1(4096)
        assert "ö".encode() not in early
        go_on.set()
        assert early + response.read() != b""
    finally:
        go_on.set()
        connection.close()


def test_a_client_that_leaves_is_exposed_to_what_it_was_sent(site: World) -> None:
    go_on.clear()
    connection = http.client.HTTPConnection(site.edge.url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/?slow", headers={"accept": "text/html"})
    response = connection.getresponse()
    early = b""
    while b"</section>" not in early:
        early += response.read1(4096)
    started = time.monotonic()
    response.close()
    connection.close()
    view = early.decode().partition('data-view="')[2].partition('"')[0]
    [event] = site.events(lambda event: event["type"] == "exposure" and event["page_view"] == view)
    go_on.set()
    assert event["touchpoint"] == "hero"
    assert time.monotonic() - started < 10, "by the abort, not by the timer"


def test_a_slot_that_comes_when_time_is_up_is_an_exposure_all_the_same(site: World) -> None:
    go_on.clear()
    httpx.post(f"{site.edge.url}/_test/timer", content="100").raise_for_status()
    connection = http.client.HTTPConnection(site.edge.url.removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", "/?late", headers={"accept": "text/html"})
        response = connection.getresponse()
        early = b""
        while b"</script>" not in early:
            early += response.read1(4096)
        eventually(lambda: site.edge.counted("exposure_timer") or None, "the timer counted")
        go_on.set()
        assert b"</section>" in response.read()
    finally:
        go_on.set()
        connection.close()
        httpx.post(f"{site.edge.url}/_test/forget").raise_for_status()
    view = early.decode().partition('data-view="')[2].partition('"')[0]
    [event] = site.events(lambda event: event["type"] == "exposure" and event["page_view"] == view)
    assert event["touchpoint"] == "hero"
