"""An HTTP proxy on loopback that stands before a real server and fails where a test tells it to."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the proxy."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def name(self) -> str:
        """The last part of the path: `bulk`, or the key of a value."""
        return urlsplit(self.path).path.rpartition("/")[2]

    @property
    def keys(self) -> list[str]:
        """The keys of a bulk write, in order."""
        return [pair["key"] for pair in json.loads(self.body)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the proxy answers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Forward = Callable[[Call], Answer]
# What to do with a call: the answer, or None to drop the connection.
Rule = Callable[[Call, Forward], Answer | None]


def pass_on(call: Call, forward: Forward) -> Answer | None:
    """The rule of a proxy that does not fail."""
    return forward(call)


@dataclass(slots=True)
class Proxy:
    """A running proxy: its address, what reached it, and the rule it follows, which a test may change at any time."""

    url: str
    rule: Rule = pass_on
    calls: list[Call] = field(default_factory=list)

    def names(self) -> list[str]:
        """Every call as method and last part of the path, a bulk write with its keys."""
        return [f"{call.method} {' '.join(call.keys) if call.name == 'bulk' else call.name}" for call in self.calls]


@contextmanager
def run_proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before the server at `upstream` (scheme, host and port); it stops when the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    proxy = Proxy(url=f"http://127.0.0.1:{server.server_port}")

    def forward(call: Call) -> Answer:
        connection = http.client.HTTPConnection(str(urlsplit(upstream).netloc), timeout=30)
        try:
            connection.request(call.method, call.path, body=call.body, headers=dict(call.headers))
            response = connection.getresponse()
            headers = tuple(pair for pair in response.getheaders() if pair[0].lower() not in HOP_HEADERS)
            return Answer(status=response.status, body=response.read(), headers=headers)
        finally:
            connection.close()

    def answer(call: Call) -> Answer | None:
        proxy.calls.append(call)
        return proxy.rule(call, forward)

    _Handler.answers[server.server_port] = answer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        del _Handler.answers[server.server_port]


class _Handler(BaseHTTPRequestHandler):
    answers: dict[int, Callable[[Call], Answer | None]] = {}  # noqa: RUF012 - by the server's port

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = tuple(pair for pair in self.headers.items() if pair[0].lower() not in HOP_HEADERS)
        call = Call(method=self.command, path=self.path, headers=headers, body=body)
        answer = self.answers[self.server.server_address[1]](call)  # type: ignore[index]
        if answer is None:
            return
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# Rules that several tests use.


def fail_first(times: int, answer: Answer | None) -> Rule:
    """Give this answer (None: drop the connection) to the first calls, then pass on."""
    left = [times]

    def rule(call: Call, forward: Forward) -> Answer | None:
        left[0] -= 1
        return answer if left[0] >= 0 else forward(call)

    return rule


def refuse_keys(keys: Sequence[str], times: int) -> Rule:
    """Leave these keys out of the first bulk writes that hold them, and say so, as the API does."""
    left = dict.fromkeys(keys, times)

    def rule(call: Call, forward: Forward) -> Answer | None:
        if call.name != "bulk":
            return forward(call)
        pairs = json.loads(call.body)
        refused = [pair["key"] for pair in pairs if left.get(pair["key"], 0) > 0]
        for key in refused:
            left[key] -= 1
        taken = [pair for pair in pairs if pair["key"] not in refused]
        if taken:
            forward(Call(method="PUT", path=call.path, headers=call.headers, body=json.dumps(taken).encode()))
        result = {"successful_key_count": len(taken), "unsuccessful_keys": refused}
        return Answer(status=200, body=json.dumps({"success": True, "result": result}).encode())

    return rule
