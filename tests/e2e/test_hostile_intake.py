"""Whatever is sent to the intake: a declared answer, no crash, and the next page as if nothing had been."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import httpx
import pytest

from origin.config import Config
from scripts.runtime.edge import LOCAL_SERVER_TOKENS, run_edge
from tests.e2e.world import ROOT, Browser, World, make_world, now_ms

MEGABYTES: Final = 10_000_000
MUTATIONS: Final = 400
TOKEN = LOCAL_SERVER_TOKENS.partition(":")[2]
GOOD: Final = b'{"type":"goal","event_id":"e","name":"hero_click","created_ms":1}'
DIGITS: Final = b"9" * 4_301


Declared = dict[int, list[str]]


@pytest.fixture(scope="module")
def declared() -> Declared:
    """What the event API is documented to answer a POST with: the codes of each status."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    return {
        int(status): codes_of(response)
        for status, response in document["paths"]["/_usher/events"]["post"]["responses"].items()
    }


def codes_of(response: dict[str, Any]) -> list[str]:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return list(schema.get("properties", {}).get("error", {}).get("enum", []))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, demo_config: Config) -> Iterator[World]:
    options = {"queue": {"maxBatchTimeout": 0.2}, "ratelimits": {}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200"}, options=options) as edge:
        made: World = make_world(edge, tmp_path_factory.mktemp("hostile"), demo_config)
        made.publish_untrained()
        yield made
        made.kv.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The shop's edge; after every test it answers a page and takes an event, and has counted nothing unforeseen."""
    yield running
    browser = running.browser()
    assert "usher.js" in browser.get("/").text
    assert browser.report("hero_click").status_code == 202
    for reason in ("intake_failed", "request_failed", "upstream_failed", "queue_failed"):
        assert running.edge.counted(reason) == 0, running.edge.log[-5:]


@pytest.fixture
def browser(world: World) -> Browser:
    browser: Browser = world.browser()
    browser.get("/")
    return browser


def batch(*events: bytes) -> bytes:
    return b'{"sent_ms":1,"events":[' + b",".join(events) + b"]}"


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return batch(opening * depth + b"1" + closing * depth)


BODIES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "a space": b" ",
    "null": b"null",
    "a text": b'"events"',
    "a number": b"7",
    "NUL": b"\0",
    "NUL inside": batch(b'{"type":"goal\\u0000","event_id":"\0"}'),
    "NUL in a field": batch(GOOD.replace(b'"e"', b'"\\u0000"')),
    "no UTF-8": b"\xff\xfe\xfd",
    "half a character": batch(b'"\xf0\x9f"'),
    "UTF-16": json.dumps({"sent_ms": 1, "events": []}).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + batch(GOOD),
    "half a surrogate pair": batch(GOOD.replace(b"hero_click", b"\\ud800")),
    "half a pair as a key": batch(b'{"\\udfff":"\\ud800","type":"\\udead"}'),
    "duplicate keys": b'{"sent_ms":1,"sent_ms":"2","events":[],"events":[%s],"events":7}' % GOOD,
    "duplicate keys in an event": batch(b'{"type":"goal","type":"purchase","type":5,"event_id":"a","event_id":"b"}'),
    "keys of JavaScript": batch(b'{"__proto__":{"type":"goal"},"constructor":1,"toString":2,"type":"goal"}'),
    "lists too deep": nested(b"[", b"]", 30_000),
    "lists at the limit": nested(b"[", b"]", 97),
    "objects too deep": nested(b'{"a":', b"}", 9_000),
    "objects at the limit": nested(b'{"a":', b"}", 97),
    "brackets that never close": b"[" * 65_000,
    "brackets that never open": b"]" * 65_000,
    "brackets in a text": batch(b'"' + b"[{" * 30_000 + b'"'),
    "quotes and backslashes": b'{"sent_ms":1,"events":["' + b'\\"' * 30_000,
    "a hundred deep events": batch(*[b"[" * 90 + b"]" * 90] * 100),
    "more events than allowed": batch(*[b"1"] * 30_000),
    "a huge whole number": batch(b'{"type":"goal","event_id":"e","name":"hero_click","created_ms":%s}' % DIGITS),
    "a huge sent_ms": b'{"sent_ms":' + b"9" * 60_000 + b',"events":[]}',
    "infinite": b'{"sent_ms":1e999,"events":[-Infinity,NaN,1e-999]}',
    "an infinite field": batch(GOOD.replace(b":1}", b":1e999}")),
    "a long text": batch(b'{"type":"' + b"x" * 60_000 + b'"}'),
    "a long key": batch(b'{"' + b"k" * 60_000 + b'":1,"type":"goal"}'),
    "many keys": batch(b"{" + b",".join(b'"%d":%d' % (i, i) for i in range(4_000)) + b"}"),
    "escapes that grow": batch(b'{"type":"search","event_id":"e","created_ms":1,"query":"' + b"\x7f" * 60_000 + b'"}'),
    "wide characters": batch(b'{"type":"' + "🙂".encode() * 15_000 + b'"}'),
    "line breaks": batch(GOOD.replace(b'"e"', b'"e\\ne\xe2\x80\xa8e"')),
    "what looks like a line of the lake": b'e{"type":"exposure"}\nq{}',
    "two documents": batch(GOOD) * 2,
    "trailing rubbish": batch(GOOD) + b"x",
    "a regular expression's worst": batch(b'"' + b'\\"' * 20_000 + b"\\" * 20_001 + b'"'),
}


def post(world: World, body: object, cookie: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"content-type": "application/json", "cookie": cookie, **named}
    return httpx.post(f"{world.edge.url}/_usher/events", content=body, headers=named, timeout=60)  # type: ignore[arg-type]


def assert_declared(answer: httpx.Response, declared: Declared) -> None:
    assert answer.status_code < 500
    if answer.status_code == 202:
        assert set(answer.json()) == {"accepted", "quarantined"}
    else:
        assert answer.json()["error"] in declared[answer.status_code]
        assert answer.json()["remedy"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_hostile_body_is_answered(world: World, browser: Browser, declared: Declared, name: str, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    assert_declared(post(world, BODIES[name], browser.cookie, **headers), declared)


def test_bodies_that_are_nearly_good_are_answered(world: World, browser: Browser, declared: Declared) -> None:
    draw = random.Random(20_261_122)
    sent = now_ms()
    events: list[dict[str, object]] = [
        {"type": "page_view", "url": "/men/?utm_source=a", "referrer": "https://b.example/", "language": "en"},
        {"type": "custom", "name": "size_guide_opened", "properties": {"item": "c-1", "sizes": ["44"]}},
        {"type": "identify", "user": "anna", "signature": "site.00"},
        {"type": "purchase", "value": 1.5, "currency": "EUR", "items": ["a", "b"]},
    ]
    good = [{**event, "event_id": f"near-{i}", "created_ms": sent} for i, event in enumerate(events)]
    body = json.dumps({"sent_ms": sent, "events": good}).encode()
    for _ in range(MUTATIONS):
        mutated = bytearray(body)
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(mutated))
            match draw.randrange(4):
                case 0:
                    mutated[at] = draw.randrange(256)
                case 1:
                    del mutated[at : at + draw.randrange(1, 30)]
                case 2:
                    mutated[at:at] = draw.choice(
                        [b'"', b"{", b"}", b"[", b"]", b",", b"\\u", b"\\ud800", b"1e999", b"\0"]
                    )
                case _:
                    other = draw.randrange(len(mutated))
                    mutated[at:at] = mutated[other : other + draw.randrange(1, 60)]
        assert_declared(post(world, bytes(mutated), browser.cookie), declared)


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("chunked", [False, True])
def test_ten_megabytes_are_refused_without_being_kept(
    world: World, browser: Browser, declared: Declared, token: str, chunked: bool
) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    piece = b'{"sent_ms":1,"events":[' + b" " * 99_977
    whole = [piece] + [b" " * 100_000] * (MEGABYTES // 100_000 - 1)

    def upload(_: int) -> int:
        body: object = iter(whole) if chunked else b"".join(whole)
        try:
            answer = post(world, body, browser.cookie, **headers)
        except httpx.WriteError:  # it was refused, and the connection closed, before all of it was sent
            return 413
        assert answer.json()["error"] == "too_large"
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(upload, range(16))) == {413}
    assert 413 in declared


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/html",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "a" * 4_000,
    ],
)
def test_a_wrong_content_type_is_refused(world: World, browser: Browser, kind: str) -> None:
    answer = post(world, batch(GOOD), browser.cookie, content_type=kind)
    assert (answer.status_code, answer.json()["error"]) == (415, "content_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "identity, gzip", "x" * 4_000])
def test_a_content_encoding_is_refused(world: World, browser: Browser, encoding: str) -> None:
    answer = post(world, b"\x1f\x8b" + b"\0" * 100, browser.cookie, content_encoding=encoding)
    assert (answer.status_code, answer.json()["error"]) == (415, "content_encoding")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_a_wrong_method_is_refused(world: World, method: str) -> None:
    answer = httpx.request(method, f"{world.edge.url}/_usher/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-usher=",
        "__Host-usher=local.",
        "__Host-usher=" + "!" * 3_000,
        "__Host-usher=local.3!!!!.x",
        "=",
        ";" * 500,
    ],
)
def test_a_hostile_cookie_is_no_visitor(world: World, cookie: str) -> None:
    answer = post(world, batch(GOOD), cookie)
    assert (answer.status_code, answer.json()["error"]) == (401, "no_visitor")


def speak(world: World, head: list[str], body: bytes, cookie: str) -> bytes:
    """Send bytes as they are, say that no more will come, and return what is answered."""
    host, _, port = world.edge.url.removeprefix("http://").partition(":")
    lines = ["POST /_usher/events HTTP/1.1", f"host: {host}:{port}", "connection: close", f"cookie: {cookie}", *head]
    answer = b""
    with suppress(BrokenPipeError, ConnectionResetError), socket.create_connection((host, int(port)), 20) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        wire.shutdown(socket.SHUT_WR)
        while chunk := wire.recv(65_536):
            answer += chunk
    return answer


JSON: Final = "content-type: application/json"
CHUNKED: Final = "transfer-encoding: chunked"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param([JSON, "content-length: 5000"], batch(GOOD), id="less than it says"),
        pytest.param([JSON, "content-length: 10"], batch(GOOD), id="more than it says"),
        pytest.param([JSON, "content-length: 0"], batch(GOOD), id="nothing, it says"),
        pytest.param([JSON, "content-length: -1"], batch(GOOD), id="a negative length"),
        pytest.param([JSON, "content-length: " + "9" * 30], batch(GOOD), id="an endless length"),
        pytest.param([JSON, "content-length: ten"], batch(GOOD), id="a length in words"),
        pytest.param([JSON, "content-length: 5", "content-length: 900"], batch(GOOD), id="two lengths"),
        pytest.param([JSON, CHUNKED, "content-length: 5"], b'5\r\n{"a":\r\n0\r\n\r\n', id="a length and chunks"),
        pytest.param([JSON, CHUNKED], b"zz\r\n{}\r\n", id="a chunk of no size"),
        pytest.param([JSON, CHUNKED], b"ffffffffffff\r\n{}", id="an endless chunk"),
        pytest.param([JSON, CHUNKED], b"10\r\n{}", id="a chunk cut short"),
        pytest.param([JSON, "x: \x00", "content-length: 2"], b"{}", id="NUL in a header"),
        pytest.param([JSON, "x: " + "y" * 200_000, "content-length: 2"], b"{}", id="a header of 200 KB"),
        pytest.param([JSON], b"", id="no length and no body"),
        pytest.param([], b"", id="nothing at all"),
    ],
)
def test_a_request_that_lies_about_itself_is_answered_or_cut_off(
    world: World, browser: Browser, declared: Declared, head: list[str], body: bytes
) -> None:
    answer = speak(world, head, body, browser.cookie)
    if answer:  # what is no HTTP is cut off by the server before any Worker
        status = int(answer.split(b" ", 2)[1])
        assert status in declared or (status in (400, 413, 431, 501) and b'"error"' not in answer)
