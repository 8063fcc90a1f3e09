"""The one file that touches the runtime: turns requests into plain Python and plain Python into responses.

Bindings (wrangler.toml): KV `SCORES`, queue `EVENTS`, bucket `LAKE`, optional dataset `COUNTERS`, optional assets
`ASSETS`. Variables: `USHER_KEYS` (secret, `id:secret,…`), `UPSTREAM` (origin of the pages where they are neither assets
nor the zone's own), `SNAPSHOT_TTL_MS`, `KV_MARGIN_MS`, `COLD_MARGIN_MS`.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint

from shared.signing import Keys, read_keys
from worker import client, intake
from worker.context import read_context
from worker.plan import PREVIEW_PARAMETER, PagePlan, expose, plan_page, read_preview, touchpoints_on
from worker.snapshots import SnapshotStore
from worker.storage import pack_batch, to_messages
from worker.upstream import CACHE_HEADERS, REMOVED_REQUEST_HEADERS, VALIDATORS, is_rewritable
from worker.visitor import COOKIE, Visitor, continue_visit, read_visitor, without_cookie, write_visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPOSURE_TIMER_S: Final = 20.0
STALE_SNAPSHOT_MS: Final = 2 * 86_400_000

# What the isolate keeps between requests: plain data only.
_store: SnapshotStore | None = None
_keys: dict[str, Keys] = {}
_open_pages: dict[int, OpenPage] = {}
_page_numbers = 0


class OpenPage:
    """A page on its way to the browser: its plan, the HTML by slot, and which slots' handlers have run."""

    __slots__ = ("finished", "html", "plan", "script", "written")

    def __init__(self, plan: PagePlan, script: str) -> None:
        self.plan = plan
        self.html = [slot.html for slot in plan.slots]
        self.script = script
        self.written: list[int] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        """Let go of whoever waits for the end of the page."""
        if not self.finished.done():
            self.finished.set_result(None)


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
        _count("slot_failed", repr(error))


def _add_script(page: int, element: Any) -> None:
    """HTMLRewriter's handler of the page's head."""
    try:
        element.append(_open_pages[page].script, _as_html)
    except Exception as error:  # noqa: BLE001 - as above
        _count("script_failed", repr(error))


def _end_page(page: int, *_: Any) -> None:
    """HTMLRewriter's handler of the document's end, and the listener of the client's abort."""
    opened = _open_pages.get(page)
    if opened is not None:
        opened.finish()


def _object(**fields: Any) -> Any:
    """A JavaScript object of the given fields."""
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


_as_html = _object(html=True)
_write_slot_proxy = create_proxy(_write_slot)
_add_script_proxy = create_proxy(_add_script)
_end_page_proxy = create_proxy(_end_page)


def _count(reason: str, detail: str = "") -> None:
    """Count a failure by its reason: one structured line in the log (and a data point, see `Default.count`)."""
    js.console.warn(json.dumps({"usher": reason, "detail": detail[:500]}))


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """The Worker: pages, events, the queue's consumer, and the cron trigger."""

    async def fetch(self, request: Any) -> Any:
        """Answer a request. Whatever fails here, the page itself gets through."""
        request = getattr(request, "js_object", request)
        env = getattr(self.env, "_env", self.env)
        url = js.URL.new(request.url)
        if url.pathname == intake.PATH:
            return await self._take_events(request, env)
        if url.pathname == client.PATH:
            return _respond(client.SCRIPT, 200, "text/javascript; charset=utf-8", cache_control=client.CACHE_CONTROL)
        if request.method not in ("GET", "HEAD") or request.headers.get("upgrade"):
            return await _fetch_upstream(request, env, request)
        return await self._answer_page(request, env, url)

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002 - the runtime's signature
        """Write a batch of messages to the lake. An exception makes the queue deliver it again."""
        raw = getattr(batch, "_binding", batch)
        messages = [(m.id, int(m.timestamp.getTime()), m.body) for m in raw.messages]
        bucket = getattr(self.env, "_env", self.env).LAKE
        for stored in pack_batch(messages):
            await bucket.put(stored.key, js.Uint8Array.new(list(stored.content)).buffer)

    async def scheduled(self, controller: Any = None, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002
        """Look whether what is published is fresh, and count it where it is not."""
        store, now_ms = _store_of(getattr(self.env, "_env", self.env)), int(js.Date.now())
        await self._refresh(store, getattr(self.env, "_env", self.env), now_ms)
        if store.snapshot is not None and now_ms - store.snapshot.header.created_ms > STALE_SNAPSHOT_MS:
            self._count("snapshot_stale", store.snapshot.version)

    # Pages

    async def _answer_page(self, request: Any, env: Any, url: Any) -> Any:
        store = _store_of(env)
        now_ms = int(js.Date.now())
        names = touchpoints_on(store.snapshot, url.pathname) if store.snapshot is not None else None
        if names == []:
            self._refresh_if_due(store, env, now_ms)
            return await _fetch_upstream(request, env, request)
        get_header = request.headers.get
        if names is None and "text/html" not in (get_header("accept") or ""):
            self._refresh_if_due(store, env, now_ms)
            return await _fetch_upstream(request, env, request)
        page = _fetch_upstream(request, env, _whole_page_request(request))
        if store.snapshot is None:
            response = await page
            await self._wait_for_first_snapshot(store, env, now_ms)
            names = touchpoints_on(store.snapshot, url.pathname) if store.snapshot is not None else []
        else:
            self._refresh_if_due(store, env, now_ms)
            response = await page
        if not names or store.snapshot is None:
            return response
        return self._personalise(request, env, store, names, response, now_ms)

    def _personalise(
        self, request: Any, env: Any, store: SnapshotStore, names: list[str], response: Any, now_ms: int
    ) -> Any:
        get_header = request.headers.get
        headers = response.headers
        snapshot = store.snapshot
        assert snapshot is not None
        if not is_rewritable(response.status, headers.get("content-type"), headers.get("content-encoding")):
            return response
        opted_out = snapshot.header.honour_gpc and get_header("sec-gpc") == "1"
        keys = self._read_keys(env)
        if request.method == "HEAD" or opted_out or keys is None:
            return _with_headers(response, None)
        visitor, problem = read_visitor(get_header("cookie"), keys)
        if problem is not None:
            self._count(problem)
        visitor = continue_visit(visitor, now_ms, os.urandom)
        context = read_context(request.url, get_header, snapshot.header.attributes)
        forced = read_preview(keys, js.URL.new(request.url).searchParams.get(PREVIEW_PARAMETER))
        try:
            plan = plan_page(names, snapshot, visitor.as_unit(), context, now_ms, forced=forced)
        except Exception as error:  # noqa: BLE001 - the page itself always gets through
            self._count("decision_failed", repr(error))
            return _with_headers(response, None)
        for failure in plan.failures:
            self._count(failure)
        rewritten = self._rewrite(request, env, response, plan, visitor, context, now_ms)
        return _with_headers(rewritten, write_visitor(visitor, keys))

    def _rewrite(
        self,
        request: Any,
        env: Any,
        response: Any,
        plan: PagePlan,
        visitor: Visitor,
        context: Mapping[str, str],
        now_ms: int,
    ) -> Any:
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        number = _page_numbers
        page_view = f"{visitor.id}-{now_ms:x}-{os.urandom(4).hex()}"
        opened = _open_pages[number] = OpenPage(plan, client.script_tag(page_view))
        rewriter = js.HTMLRewriter.new()
        for index, slot in enumerate(plan.slots):
            handler = _object(element=_write_slot_proxy.bind(None, number, index))
            rewriter.on(f'[data-usher="{slot.decision.touchpoint}"]', handler)
        rewriter.on("head", _object(element=_add_script_proxy.bind(None, number)))
        rewriter.onDocument(_object(end=_end_page_proxy.bind(None, number)))
        signal = request.signal
        if signal is not None:
            signal.addEventListener("abort", _end_page_proxy.bind(None, number))

        async def send_exposures() -> None:
            try:
                await asyncio.wait_for(opened.finished, EXPOSURE_TIMER_S)
            except TimeoutError:
                pass
            finally:
                del _open_pages[number]
            exposures = [
                expose(
                    plan.slots[index],
                    plan,
                    context,
                    visitor=visitor.id,
                    page_view=page_view,
                    path=context.get("path", "/"),
                    now_ms=now_ms,
                ).to_dict()
                for index in opened.written
            ]
            await self._enqueue(env, to_messages(exposures, ()))

        self.ctx.waitUntil(send_exposures())
        return rewriter.transform(response)

    # What is published

    def _refresh_if_due(self, store: SnapshotStore, env: Any, now_ms: int) -> None:
        if store.is_due(now_ms):
            self.ctx.waitUntil(self._refresh(store, env, now_ms))

    async def _refresh(self, store: SnapshotStore, env: Any, now_ms: int) -> None:
        async def kv_get(key: str) -> str | None:
            value = await env.SCORES.get(key)
            return value if isinstance(value, str) else None

        try:
            problem = await store.refresh(kv_get, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever KV raises, the last good snapshot stays
            problem = "kv_failed"
            _count(problem, repr(error))
        if problem is not None:
            self._count(problem)

    async def _wait_for_first_snapshot(self, store: SnapshotStore, env: Any, now_ms: int) -> None:
        """Give a fresh isolate's first read of KV a bounded time; it goes on for the next requests."""
        loading = asyncio.ensure_future(self._refresh(store, env, now_ms))
        self.ctx.waitUntil(loading)
        done, _ = await asyncio.wait([loading], timeout=_number(env, "COLD_MARGIN_MS", 200) / 1000)
        if not done:
            self._count("kv_deadline")

    # Events

    async def _take_events(self, request: Any, env: Any) -> Any:
        if request.method != "POST":
            return _refuse(intake.Refusal(status=405, code="method", remedy="send a POST request"))
        get_header = request.headers.get
        refusal = intake.check_headers(
            get_header("content-type"), get_header("content-encoding"), get_header("content-length")
        )
        if refusal is not None:
            return _refuse(refusal)
        keys = self._read_keys(env)
        if keys is None:
            return _refuse(intake.Refusal(status=503, code="no_keys", remedy="try again later"), retry_after_s=60)
        body = (await request.arrayBuffer()).to_bytes()
        if len(body) > intake.MAX_BODY_BYTES:
            return _refuse(intake.too_large())
        now_ms = int(js.Date.now())
        snapshot = _store_of(env).snapshot
        if get_header("sec-gpc") == "1" and (snapshot is None or snapshot.header.honour_gpc):
            return _respond("", 204, None)
        visitor, _ = read_visitor(get_header("cookie"), keys)
        goals = snapshot.header.goals if snapshot is not None else None
        result = intake.read_batch(body, visitor=visitor and visitor.id, received_ms=now_ms, goals=goals)
        if isinstance(result, intake.Refusal):
            return _refuse(result)
        messages = to_messages([goal.to_dict() for goal in result.accepted], result.quarantined)
        if not await self._enqueue(env, messages):
            return _refuse(intake.Refusal(status=503, code="queue", remedy="keep the events and try again"), 5)
        return _respond(json.dumps(result.verdicts()), 202, "application/json")

    async def _enqueue(self, env: Any, messages: list[str]) -> bool:
        try:
            for message in messages:
                await env.EVENTS.send(message, _object(contentType="text"))
        except Exception as error:  # noqa: BLE001 - named, counted, and answered by the caller
            self._count("queue_failed", repr(error))
            return False
        return True

    # Settings and counters

    def _read_keys(self, env: Any) -> Keys | None:
        text = getattr(env, "USHER_KEYS", None)
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
        _count(reason, detail)
        dataset = getattr(getattr(self.env, "_env", self.env), "COUNTERS", None)
        if dataset is not None:
            dataset.writeDataPoint(
                _object(indexes=js.Array.of(reason), blobs=js.Array.of(reason), doubles=js.Array.of(1))
            )


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
        _count("setting_invalid", f"{name} is {value!r}; using {default}")
        return default


def _whole_page_request(request: Any) -> Any:
    """The request for a page that is to be rewritten: unconditional, whole, and without our cookie."""
    headers = js.Headers.new(request.headers)
    for name in REMOVED_REQUEST_HEADERS:
        headers.delete(name)
    cookies = headers.get("cookie")
    if cookies and COOKIE in cookies:
        rest = without_cookie(cookies, COOKIE)
        headers.set("cookie", rest) if rest else headers.delete("cookie")
    return js.Request.new(request.url, _object(method=request.method, headers=headers, redirect="manual"))


def _fetch_upstream(original: Any, env: Any, request: Any) -> Any:
    """Start the fetch of a page or file; returns the promise of the response."""
    assets = getattr(env, "ASSETS", None)
    upstream = getattr(env, "UPSTREAM", None)
    if upstream:
        parts = js.URL.new(original.url)
        target = js.URL.new(parts.pathname + parts.search, upstream)
        return js.fetch(js.Request.new(target.href, request), _object(redirect="manual"))
    if assets is not None:
        return assets.fetch(request)
    return js.fetch(request)


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
