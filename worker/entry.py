"""The one file that touches the runtime: turns requests into plain Python and plain Python into responses.

Bindings (wrangler.toml): KV `SCORES`, queue `EVENTS`, bucket `LAKE`, optional dataset `COUNTERS`, optional assets
`ASSETS`. Variables: `USHER_KEYS` (secret, `id:secret,…`), `UPSTREAM` (origin of the pages where they are neither assets
nor the zone's own), `SNAPSHOT_TTL_MS`, `COLD_MARGIN_MS`, `PROFILE_MARGIN_MS`.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import js
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint, import_from_javascript

from shared.signing import Keys, read_keys
from worker import client, intake
from worker.asked import AskedPage, header_names, read_page_request
from worker.deciding import Deciding
from worker.snapshots import SnapshotStore
from worker.storage import pack_batch, to_messages
from worker.upstream import CACHE_HEADERS, REMOVED_REQUEST_HEADERS, VALIDATORS, is_rewritable
from worker.visitor import read_visitor, without_ours, write_visitor

if TYPE_CHECKING:
    from shared.snapshot import Snapshot
    from worker.page_view import PageView

EXPOSURE_TIMER_MS: Final = 20_000
STALE_SNAPSHOT_MS: Final = 2 * 86_400_000

# What the isolate keeps between requests. No request awaits here what belongs to another.
_store: SnapshotStore | None = None
_keys: dict[str, Keys] = {}
_open_pages: dict[int, OpenPage] = {}
_page_numbers = 0
_module: Any = None
_counters: Any = None


class OpenPage(NamedTuple):
    """A page view that is being streamed, and where its exposures go."""

    view: PageView
    queue: Any


def _end_page(number: int, written: str, cause: str) -> Any:
    """The page has ended, its client has left, or time is up: log the slots that were written.

    Returns the promise of what is sent, or None where there is nothing to send.
    """
    page = _open_pages.pop(number)
    if cause == "timer":
        _count("exposure_timer")
    exposures = page.view.exposures([int(slot) for slot in written.split(",") if slot])
    messages = to_messages([each.to_dict() for each in exposures], ())
    if len(messages) == 1:
        return page.queue.send(messages[0], _as_text)
    return _send_all(page.queue, messages) if messages else None


async def _send_all(queue: Any, messages: list[str]) -> None:
    for message in messages:
        await queue.send(message, _as_text)


def _object(**fields: Any) -> Any:
    """A JavaScript object of the given fields."""
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def _log(reason: str, detail: str = "") -> None:
    js.console.warn(json.dumps({"usher": reason, "detail": detail[:500]}))


def _count(reason: str, detail: str = "") -> None:
    """Count a failure by its reason: a structured line in the log, and a data point where there is a dataset."""
    _log(reason, detail)
    if _counters is not None:
        with suppress(Exception):  # counting a failure must not make another
            _counters.writeDataPoint(_object(indexes=js.Array.of(reason), doubles=js.Array.of(1)))


_as_text = _object(contentType="text")
# One proxy each for the life of the isolate: made for a request, it would have to be destroyed on every path.
_end_page_proxy = create_proxy(_end_page)
_count_proxy = create_proxy(_count)


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """The Worker: pages, events, the queue's consumer, and the cron trigger."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        global _counters  # noqa: PLW0603 - the isolate's one dataset
        _counters = getattr(self.bindings, "COUNTERS", None)

    @property
    def bindings(self) -> Any:
        """The environment without the SDK's wrappers, whose conversions cost on every access."""
        return getattr(self.env, "_env", self.env)

    async def fetch(self, request: Any) -> Any:
        """Answer a request. Whatever fails here, the page itself gets through."""
        self.ctx.passThroughOnException()
        request = getattr(request, "js_object", request)
        try:
            return await self._route(request)
        except Exception as error:  # noqa: BLE001 - the last resort: the page without us
            _count("request_failed", repr(error))
        try:
            return await _page_module().fetchUpstream(self.bindings, request)
        except Exception as error:  # noqa: BLE001 - there is no page to be had
            _count("upstream_failed", repr(error))
            return _respond("The site cannot be reached. Please try again later.\n", 502, "text/plain; charset=utf-8")

    async def _route(self, request: Any) -> Any:
        asked = _describe(request)
        if asked.path == intake.PATH:
            return await self._take_events(request)
        if asked.path == client.PATH:
            return _respond(client.SCRIPT, 200, "text/javascript; charset=utf-8", cache_control=client.CACHE_CONTROL)
        if asked.method not in ("GET", "HEAD") or asked.header("upgrade"):
            return await _page_module().fetchUpstream(self.bindings, request)
        return await self._answer_page(request, asked)

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002 - the runtime's signature
        """Write a batch of messages to the lake. An exception makes the queue deliver it again."""
        raw = getattr(batch, "_binding", batch)
        messages = [(message.id, int(message.timestamp.getTime()), message.body) for message in raw.messages]
        for stored in pack_batch(messages):
            await self.bindings.LAKE.put(stored.key, to_js(stored.content))

    async def scheduled(self, controller: Any = None, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002
        """Look whether what is published is fresh, and count it where it is not."""
        store, now_ms = _store_of(self.bindings), time_ns() // 1_000_000
        await self._refresh(store, now_ms)
        if store.snapshot is not None and now_ms - store.confirmed_ms > STALE_SNAPSHOT_MS:
            _count("snapshot_stale", store.snapshot.version)

    # Pages

    async def _answer_page(self, request: Any, asked: AskedPage) -> Any:
        store, now_ms, module = _store_of(self.bindings), time_ns() // 1_000_000, _page_module()
        loading = None
        if store.is_due(now_ms):
            loading = asyncio.ensure_future(self._refresh(store, now_ms))
            self.ctx.waitUntil(loading)
        names = _names_on(store, asked.path)
        may_be_page = names is None and "text/html" in asked.header("accept")
        if not names and not may_be_page:
            return await module.fetchUpstream(self.bindings, request)
        cookies = without_ours(asked.header("cookie"))
        fetched = module.fetchPage(self.bindings, request, REMOVED_REQUEST_HEADERS, cookies)
        deciding = self._start_deciding(asked, store.snapshot, names, now_ms)
        response = await fetched
        if store.snapshot is None and loading is not None:
            await self._wait_for_first_snapshot(loading)
        if names is None:
            names = _names_on(store, asked.path)
            asked = _describe(request)  # what the snapshot wants to know of a request was not known before
            deciding = self._start_deciding(asked, store.snapshot, names, now_ms)
        headers = response.headers
        if names == [] or not is_rewritable(
            response.status, _text(headers.get("content-type")), _text(headers.get("content-encoding"))
        ):
            return response
        view = await deciding.finish(_profile_margin_s(self.bindings)) if deciding is not None else None
        keys = self._read_keys()
        if view is None or keys is None:
            return module.withHeaders(response, VALIDATORS, CACHE_HEADERS, None)
        try:
            written = self._write_slots(request, view, response)
        except Exception as error:  # noqa: BLE001 - the page as it is
            _count("rewriter_failed", repr(error))
            return module.withHeaders(response, VALIDATORS, CACHE_HEADERS, None)
        return module.withHeaders(written, VALIDATORS, CACHE_HEADERS, write_visitor(view.visitor, keys))

    def _start_deciding(
        self, asked: AskedPage, snapshot: Snapshot | None, names: list[str] | None, now_ms: int
    ) -> Deciding | None:
        """Decide while the page is being fetched; None where nothing is to be decided."""
        keys = self._read_keys()
        if snapshot is None or not names or keys is None or asked.method == "HEAD":
            return None
        try:
            request, problem = read_page_request(asked, snapshot, names, keys, now_ms, os.urandom)
            if problem is not None:
                _count(problem)
            if request is None:
                return None
            deciding = Deciding(request, _count)
            key = request.profile_key
            if key is None:
                deciding.decide(None)
            else:
                deciding.wait_for_profile(asyncio.ensure_future(self.bindings.SCORES.get(key)))
        except Exception as error:  # noqa: BLE001 - the page itself always gets through
            _count("decision_failed", repr(error))
            return None
        return deciding

    def _write_slots(self, request: Any, view: PageView, response: Any) -> Any:
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        slots: list[str | None] = []
        for slot in view.plan.slots:
            slots += (slot.decision.touchpoint, slot.html)
        written = _page_module().writeSlots(
            self.ctx, request, response, _page_numbers, EXPOSURE_TIMER_MS, client.script_tag(view.request.id),
            _end_page_proxy, _count_proxy, *slots,
        )  # fmt: skip
        _open_pages[_page_numbers] = OpenPage(view, self.bindings.EVENTS)  # the page's end comes later than this
        return written

    # What is published

    async def _refresh(self, store: SnapshotStore, now_ms: int) -> None:
        scores = self.bindings.SCORES

        async def kv_get(key: str) -> str | None:
            value = await scores.get(key)
            return value if isinstance(value, str) else None

        try:
            problem = await store.refresh(kv_get, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever KV raises, the last good snapshot stays
            _count("kv_failed", repr(error))
        else:
            if problem is not None:
                _count(problem)

    async def _wait_for_first_snapshot(self, loading: asyncio.Future[None]) -> None:
        """Give a fresh isolate's first read of KV a bounded time; it goes on for the next requests."""
        done, _ = await asyncio.wait([loading], timeout=_number(self.bindings, "COLD_MARGIN_MS", 200) / 1000)
        if not done:
            _count("kv_deadline")

    # Events

    async def _take_events(self, request: Any) -> Any:
        if request.method != "POST":
            return _refuse(intake.Refusal(status=405, code="method", remedy="send a POST request"))
        get = request.headers.get
        refusal = intake.check_headers(
            _text(get("content-type")), _text(get("content-encoding")), _text(get("content-length"))
        )
        if refusal is not None:
            return _refuse(refusal)
        keys = self._read_keys()
        if keys is None:
            return _refuse(intake.Refusal(status=503, code="no_keys", remedy="try again later"), retry_after_s=60)
        store, now_ms = _store_of(self.bindings), time_ns() // 1_000_000
        if store.is_due(now_ms):
            self.ctx.waitUntil(self._refresh(store, now_ms))
        body = await _read_at_most(request.body, intake.MAX_BODY_BYTES)
        if body is None:
            return _refuse(intake.too_large())
        snapshot = store.snapshot
        if _text(get("sec-gpc")) == "1" and (snapshot is None or snapshot.header.honour_gpc):
            return _respond("", 204, None)
        visitor, _ = read_visitor(_text(get("cookie")), keys)
        if visitor is None:
            remedy = "send the cookie of a page that Usher answered"
            return _refuse(intake.Refusal(status=401, code="no_visitor", remedy=remedy))
        goals = snapshot.header.goals if snapshot is not None else None
        result = intake.read_batch(body, visitor=visitor.id, received_ms=now_ms, goals=goals)
        if isinstance(result, intake.Refusal):
            return _refuse(result)
        messages = to_messages([goal.to_dict() for goal in result.accepted], result.quarantined)
        if not await self._enqueue(messages):
            refusal = intake.Refusal(status=503, code="queue", remedy="keep the events and send them again")
            return _refuse(refusal, retry_after_s=5)
        return _respond(json.dumps(result.verdicts()), 202, "application/json")

    async def _enqueue(self, messages: list[str]) -> bool:
        try:
            await _send_all(self.bindings.EVENTS, messages)
        except Exception as error:  # noqa: BLE001 - named, counted, and answered by the caller
            _count("queue_failed", repr(error))
            return False
        return True

    # Settings

    def _read_keys(self) -> Keys | None:
        text = getattr(self.bindings, "USHER_KEYS", None)
        if not isinstance(text, str):
            _count("no_keys")
            return None
        if text not in _keys:
            try:
                _keys[text] = read_keys(text)
            except ValueError as error:
                _count("keys_invalid", str(error))
                return None
        return _keys[text]


def _page_module() -> Any:
    """The JavaScript side; it can be imported once a request is under way, not before."""
    global _module  # noqa: PLW0603 - code, not state
    if _module is None:
        _module = import_from_javascript("worker/page.mjs")
    return _module


def _describe(request: Any) -> AskedPage:
    """The request as text, with the headers that are always needed and those that the snapshot names."""
    snapshot = _store.snapshot if _store is not None else None
    names = header_names(snapshot.header.attributes if snapshot is not None else ())
    return AskedPage(_page_module().describe(request, names), names)


def _profile_margin_s(env: Any) -> float:
    return _number(env, "PROFILE_MARGIN_MS", 10) / 1000


def _text(value: Any) -> str | None:
    """What JavaScript gave as a string, or None: its null is no None in every version of the runtime."""
    return value if isinstance(value, str) else None


def _names_on(store: SnapshotStore, path: str) -> list[str] | None:
    """The touchpoints of a page: none where nothing is published, None where that is not known yet."""
    if store.snapshot is not None:
        return store.snapshot.touchpoints_on(path)
    return [] if store.is_published is False else None


async def _read_at_most(stream: Any, limit: int) -> bytes | None:
    """Read a body to its end, or give up (None) as soon as it exceeds the limit."""
    if not stream:
        return b""
    reader = stream.getReader()
    chunks = []
    left = limit
    while not (step := await reader.read()).done:
        left -= step.value.byteLength
        if left < 0:
            await reader.cancel()
            return None
        chunks.append(step.value.to_bytes())
    return b"".join(chunks)


def _store_of(env: Any) -> SnapshotStore:
    global _store  # noqa: PLW0603 - the isolate's one copy
    if _store is None:
        _store = SnapshotStore(ttl_ms=_number(env, "SNAPSHOT_TTL_MS", 60_000))
    return _store


def _number(env: Any, name: str, default: int) -> int:
    value = getattr(env, name, None)
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        _log("setting_invalid", f"{name} is {value!r}; using {default}")
        return default


def _respond(body: str, status: int, content_type: str | None, cache_control: str = "no-store") -> Any:
    headers = js.Headers.new()
    headers.set("cache-control", cache_control)
    if content_type is not None:
        headers.set("content-type", content_type)
    return js.Response.new(body or None, _object(status=status, headers=headers))


def _refuse(refusal: intake.Refusal, retry_after_s: int | None = None) -> Any:
    body = json.dumps({"error": refusal.code, "remedy": refusal.remedy})
    response = _respond(body, refusal.status, "application/json")
    if retry_after_s is not None:
        response.headers.set("retry-after", str(retry_after_s))
    return response
