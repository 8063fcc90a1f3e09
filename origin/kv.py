"""Workers KV over Cloudflare's REST API; a local edge serves the same calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

import httpx

from origin.errors import KvError, KvValueError

MAX_PAIRS = 10_000
MAX_BYTES = 100_000_000
ATTEMPTS = 5
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)


class KvClient:
    """Reads and writes one KV namespace. `url` is the namespace's; `wait` sleeps between attempts."""

    def __init__(self, url: str, token: str | None = None, *, wait: Callable[[float], None] = time.sleep) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=60.0)
        self._wait = wait

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, key: str) -> str | None:
        """The value of a key, or None where there is none. Raises KvError."""
        response = self._send("GET", f"values/{quote(key, safe='')}", missing_is_fine=True)
        if response.status_code == 404:
            return None
        try:
            return response.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise KvValueError(f"KV holds something else than text under {key}") from error

    def put(self, pairs: Mapping[str, str]) -> int:
        """Write pairs in bulk, and those that were not taken again; returns the bytes of the values.

        Raises KvError, naming the keys, where some are not taken after five attempts.
        """
        for chunk in _chunks(pairs.items()):
            left = dict(chunk)
            for attempt in range(ATTEMPTS):
                body = [{"key": key, "value": value} for key, value in left.items()]
                failed = _unsuccessful(self._send("PUT", "bulk", json=body))
                left = {key: value for key, value in left.items() if key in failed}
                if not left:
                    break
                if attempt < ATTEMPTS - 1:
                    self._wait(0.5 * 2**attempt)
            else:
                names = ", ".join(sorted(left)[:5])
                raise KvError(f"KV did not take {len(left)} of {len(chunk)} keys after {ATTEMPTS} attempts: {names}")
        return sum(len(value.encode()) for value in pairs.values())

    def _send(self, method: str, path: str, *, json: object = None, missing_is_fine: bool = False) -> httpx.Response:
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(0.5 * 2**attempt)
            try:
                response = self._client.request(method, path, json=json)
            except httpx.RequestError as error:
                if isinstance(error, httpx.ConnectError) and self._client.base_url.host in LOOPBACK:
                    raise KvError(
                        f"no local edge answers at {self._client.base_url.copy_with(path='/')}: start scripts/demo; "
                        f"if one ended and left its address in .usher/local.env, remove that file"
                    ) from error
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code in RETRIED_STATUSES:
                problem = f"HTTP {response.status_code}"
                continue
            if response.is_success or (missing_is_fine and response.status_code == 404):
                return response
            raise KvError(f"KV refused {method} {path} with HTTP {response.status_code}: {response.text[:300]}")
        raise KvError(f"KV did not answer {method} {path} after {ATTEMPTS} attempts ({problem}); check USHER_KV_URL")


def _unsuccessful(response: httpx.Response) -> set[str]:
    try:
        result = response.json()["result"]
        return set(result.get("unsuccessful_keys") or ()) if isinstance(result, dict) else set()
    except (ValueError, KeyError, TypeError) as error:
        raise KvError(f"KV answered a bulk write with something else: {response.text[:300]}") from error


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    chunk: list[tuple[str, str]] = []
    size = 0
    for key, value in pairs:
        length = len(json.dumps({"key": key, "value": value}, ensure_ascii=False).encode()) + 2
        if chunk and (len(chunk) == MAX_PAIRS or size + length > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((key, value))
        size += length
    if chunk:
        yield chunk
