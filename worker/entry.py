"""The one file that touches the runtime: turns requests into plain Python and plain Python into responses.

Bindings (wrangler.toml): KV `SCORES`, queue `EVENTS`, bucket `LAKE`, optional dataset `COUNTERS`, optional assets
`ASSETS`. Variables: `USHER_KEYS` (secret, `id:secret,…`), `UPSTREAM` (origin of the pages where they are neither assets
nor the zone's own), `SNAPSHOT_TTL_MS`, `COLD_MARGIN_MS`.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint

from shared.signing import PREVIEW_PARAMETER, Keys, read_keys
from worker import client, intake
from worker.context import read_context
from worker.plan import PagePlan, expose, plan_page, read_preview, touchpoints_on
from worker.snapshots import SnapshotStore
from worker.storage import pack_batch, to_messages
from worker.upstream import CACHE_HEADERS, REMOVED_REQUEST_HEADERS, VALIDATORS, is_rewritable
from worker.visitor import COOKIE, continue_visit, read_visitor, remember, without_cookie, write_visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.events import Exposure
    from shared.snapshot import Snapshot
    from worker.visitor import Visitor

EXPOSURE_TIMER_S: Final = 20.0
STALE_SNAPSHOT_MS: Final = 2 * 86_400_000

# What the isolate keeps between requests. No request awaits here what belongs to another.
_store: SnapshotStore | None = None
_keys: dict[str, Keys] = {}
_open_pages: dict[int, OpenPage] = {}
_page_numbers = 0


class OpenPage:
    """A page on its way to the browser: what was decided for whom, and which slots' handlers have run."""

    __slots__ = ("context", "end", "html", "now_ms", "page_view", "plan", "script", "visitor", "written")

    def __init__(
        self, plan: PagePlan, visitor: Visitor, context: Mapping[str, str], page_view: str, now_ms: int
    ) -> None:
        self.plan = plan
        self.visitor = visitor
        self.context = context
        self.page_view = page_view
        self.now_ms = now_ms
        self.html = [slot.html for slot in plan.slots]
        self.script = client.script_tag(page_view)
        self.written: list[int] = []
        self.end = js.Promise.withResolvers()

    def exposures(self) -> list[Exposure]:
        """The exposure of every slot that was written."""
        return [
            expose(
                self.plan.slots[index],
                self.plan,
                self.context,
                visitor=self.visitor.id,
                page_view=self.page_view,
                now_ms=self.now_ms,
            )
            for index in self.written
        ]


def _write_slot(page: int, slot: int, element: Any) -> None:
    """HTMLRewriter's handler of a slot. An exception here would empty the body, so none may leave it."""
    try:
        opened = _open_pages[page]
        html = opened.html[slot]
        if html is not None:
            element.setInnerContent(html, _as_html)
        if slot not in opened.written:
            opened.written.append(slot)
    except Exception as error:  # noqa: BLE001 - see above
        _log("slot_failed", repr(error))


def _add_script(page: int, element: Any) -> None:
    """HTMLRewriter's handler of the page's head, whose end tag HTML may leave out: the script goes to its start."""
    try:
        opened = _open_pages[page]
        element.prepend(opened.script, _as_html)
        opened.script = ""
    except Exception as error:  # noqa: BLE001 - as above
        _log("script_failed", repr(error))


def _end_page(page: int, end: Any) -> None:
    """HTMLRewriter's handler of the document's end: the last chance for the script where the page had no head tag."""
    try:
        opened = _open_pages[page]
        if opened.script:
            end.append(opened.script, _as_html)
        opened.end.resolve()
    except Exception as error:  # noqa: BLE001 - as above
        _log("end_failed", repr(error))


def _object(**fields: Any) -> Any:
    """A JavaScript object of the given fields."""
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


_as_html = _object(html=True)
_as_text = _object(contentType="text")
_write_slot_proxy = create_proxy(_write_slot)
_add_script_proxy = create_proxy(_add_script)
_end_page_proxy = create_proxy(_end_page)


def _log(reason: str, detail: str = "") -> None:
    js.console.warn(json.dumps({"usher": reason, "detail": detail[:500]}))


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """The Worker: pages, events, the queue's consumer, and the cron trigger."""

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
            self._count("request_failed", repr(error))
        try:
            return await _fetch_upstream(self.bindings, request, request.url)
        except Exception as error:  # noqa: BLE001 - there is no page to be had
            self._count("upstream_failed", repr(error))
            return _respond("The site cannot be reached. Please try again later.\n", 502, "text/plain; charset=utf-8")

    async def _route(self, request: Any) -> Any:
        url = js.URL.new(request.url)
        path = url.pathname
        if path == intake.PATH:
            return await self._take_events(request)
        if path == client.PATH:
            return _respond(client.SCRIPT, 200, "text/javascript; charset=utf-8", cache_control=client.CACHE_CONTROL)
        if request.method not in ("GET", "HEAD") or request.headers.get("upgrade"):
            return await _fetch_upstream(self.bindings, request, request.url)
        return await self._answer_page(request, url, path)

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002 - the runtime's signature
        """Write a batch of messages to the lake. An exception makes the queue deliver it again."""
        raw = getattr(batch, "_binding", batch)
        messages = [(message.id, int(message.timestamp.getTime()), message.body) for message in raw.messages]
        for stored in pack_batch(messages):
            await self.bindings.LAKE.put(stored.key, to_js(stored.content))

    async def scheduled(self, controller: Any = None, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002
        """Look whether what is published is fresh, and count it where it is not."""
        store, now_ms = _store_of(self.bindings), int(js.Date.now())
        await self._refresh(store, now_ms)
        if store.snapshot is not None and now_ms - store.confirmed_ms > STALE_SNAPSHOT_MS:
            self._count("snapshot_stale", store.snapshot.version)

    # Pages

    async def _answer_page(self, request: Any, url: Any, path: str) -> Any:
        store, now_ms = _store_of(self.bindings), int(js.Date.now())
        if store.is_due(now_ms):
            loading = asyncio.ensure_future(self._refresh(store, now_ms))
            self.ctx.waitUntil(loading)
        else:
            loading = None
        names = _names_on(store, path)
        may_be_page = names is None and "text/html" in (_text(request.headers.get("accept")) or "")
        if not names and not may_be_page:
            return await _fetch_upstream(self.bindings, request, request.url)
        response = await _fetch_upstream(self.bindings, _whole_page_request(request), request.url)
        if store.snapshot is None and loading is not None:
            await self._wait_for_first_snapshot(loading)
        if names is None:
            names = _names_on(store, path)
        headers = response.headers
        if names == [] or not is_rewritable(
            response.status, _text(headers.get("content-type")), _text(headers.get("content-encoding"))
        ):
            return response
        if store.snapshot is None or names is None:
            return _with_headers(response, None)
        try:
            return self._personalise(request, url, store.snapshot, names, response, now_ms)
        except Exception as error:  # noqa: BLE001 - the page itself always gets through
            self._count("decision_failed", repr(error))
            return _with_headers(response, None)

    def _personalise(
        self, request: Any, url: Any, snapshot: Snapshot, names: list[str], response: Any, now_ms: int
    ) -> Any:
        def header(name: str) -> str | None:
            return _text(get(name))

        get = request.headers.get
        keys = self._read_keys()
        opted_out = snapshot.header.honour_gpc and header("sec-gpc") == "1"
        if request.method == "HEAD" or opted_out or keys is None:
            return _with_headers(response, None)
        visitor, problem = read_visitor(header("cookie"), keys)
        if problem is not None:
            self._count(problem)
        visitor = continue_visit(visitor, now_ms, os.urandom)
        context = read_context(request.url, header, snapshot.header.attributes)
        forced = read_preview(keys, _text(url.searchParams.get(PREVIEW_PARAMETER))) if url.search else {}
        plan = plan_page(names, snapshot, visitor, context, now_ms, forced=forced)
        for failure in plan.failures:
            self._count(failure)
        visitor = remember(visitor, [slot.decision for slot in plan.slots])
        page = OpenPage(plan, visitor, context, f"{now_ms:x}-{os.urandom(8).hex()}", now_ms)
        is_shown = header("sec-purpose") is None  # a page fetched ahead of its time is not shown yet
        return _with_headers(self._rewrite(request, page, response, is_shown), write_visitor(visitor, keys))

    def _rewrite(self, request: Any, page: OpenPage, response: Any, is_shown: bool) -> Any:
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        number = _page_numbers
        rewriter = js.HTMLRewriter.new()
        for index, slot in enumerate(page.plan.slots):
            handler = _object(element=_write_slot_proxy.bind(None, number, index))
            rewriter.on(f'[data-usher="{slot.decision.touchpoint}"]', handler)
        rewriter.on("head", _object(element=_add_script_proxy.bind(None, number)))
        rewriter.onDocument(_object(end=_end_page_proxy.bind(None, number)))
        request.signal.addEventListener("abort", page.end.resolve)
        rewritten = rewriter.transform(response)
        _open_pages[number] = page
        self.ctx.waitUntil(self._expose_at_end(number, page, is_shown))
        return rewritten

    async def _expose_at_end(self, number: int, page: OpenPage, is_shown: bool) -> None:
        """Log the slots that were written, once the page has ended, the client has left, or time is up."""
        try:
            await asyncio.wait_for(page.end.promise, EXPOSURE_TIMER_S)
        except TimeoutError:
            self._count("exposure_timer")
        finally:
            del _open_pages[number]
        if is_shown:
            await self._enqueue(to_messages([each.to_dict() for each in page.exposures()], ()))

    # What is published

    async def _refresh(self, store: SnapshotStore, now_ms: int) -> None:
        scores = self.bindings.SCORES

        async def kv_get(key: str) -> str | None:
            value = await scores.get(key)
            return value if isinstance(value, str) else None

        try:
            problem = await store.refresh(kv_get, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever KV raises, the last good snapshot stays
            self._count("kv_failed", repr(error))
        else:
            if problem is not None:
                self._count(problem)

    async def _wait_for_first_snapshot(self, loading: asyncio.Future[None]) -> None:
        """Give a fresh isolate's first read of KV a bounded time; it goes on for the next requests."""
        done, _ = await asyncio.wait([loading], timeout=_number(self.bindings, "COLD_MARGIN_MS", 200) / 1000)
        if not done:
            self._count("kv_deadline")

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
        store, now_ms = _store_of(self.bindings), int(js.Date.now())
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
            for message in messages:
                await self.bindings.EVENTS.send(message, _as_text)
        except Exception as error:  # noqa: BLE001 - named, counted, and answered by the caller
            self._count("queue_failed", repr(error))
            return False
        return True

    # Settings and counters

    def _read_keys(self) -> Keys | None:
        text = getattr(self.bindings, "USHER_KEYS", None)
        if not isinstance(text, str):
            self._count("no_keys")
            return None
        if text not in _keys:
            try:
                _keys[text] = read_keys(text)
            except ValueError as error:
                self._count("keys_invalid", str(error))
                return None
        return _keys[text]

    def _count(self, reason: str, detail: str = "") -> None:
        """Count a failure by its reason: a structured line in the log, and a data point where there is a dataset."""
        _log(reason, detail)
        dataset = getattr(self.bindings, "COUNTERS", None)
        if dataset is None:
            return
        with suppress(Exception):  # counting a failure must not make another
            dataset.writeDataPoint(_object(indexes=js.Array.of(reason), doubles=js.Array.of(1)))


def _text(value: Any) -> str | None:
    """What JavaScript gave as a string, or None: its null is no None in every version of the runtime."""
    return value if isinstance(value, str) else None


def _names_on(store: SnapshotStore, path: str) -> list[str] | None:
    """The touchpoints of a page: none where nothing is published, None where that is not known yet."""
    if store.snapshot is not None:
        return touchpoints_on(store.snapshot, path)
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


def _whole_page_request(request: Any) -> Any:
    """The request for a page that is to be rewritten: unconditional, whole, and without our cookie."""
    headers = js.Headers.new(request.headers)
    for name in REMOVED_REQUEST_HEADERS:
        headers.delete(name)
    cookies = _text(headers.get("cookie"))
    if cookies and COOKIE in cookies:
        rest = without_cookie(cookies, COOKIE)
        headers.set("cookie", rest) if rest else headers.delete("cookie")
    return js.Request.new(request.url, _object(method=request.method, headers=headers, redirect="manual"))


def _fetch_upstream(env: Any, request: Any, url: str) -> Any:
    """Start the fetch of a page or file; returns the promise of the response."""
    upstream = getattr(env, "UPSTREAM", None)
    if upstream:
        parts, target = js.URL.new(url), js.URL.new(upstream)
        target.pathname = parts.pathname  # set part by part: a path like //host must not become another host
        target.search = parts.search
        return js.fetch(js.Request.new(target.href, request), _object(redirect="manual"))
    assets = getattr(env, "ASSETS", None)
    return assets.fetch(request) if assets is not None else js.fetch(request)


def _with_headers(response: Any, set_cookie: str | None) -> Any:
    """The response with the headers that every response on a touchpoint's URL carries."""
    result = js.Response.new(response.body, response)
    for name in VALIDATORS:
        result.headers.delete(name)
    for name, value in CACHE_HEADERS:
        result.headers.set(name, value)
    if set_cookie is not None:
        result.headers.append("set-cookie", set_cookie)
    return result


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
