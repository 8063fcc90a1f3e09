"""The one file that touches the runtime: turns requests into plain Python and plain Python into responses.

Bindings (wrangler.toml): KV `SCORES`, queue `EVENTS`, bucket `LAKE`; optional are the dataset `COUNTERS`, the assets
`ASSETS`, and the rate limiters `VISITOR_LIMIT` and `ADDRESS_LIMIT`. Variables and secrets: worker/settings.py, and
`UPSTREAM`, the origin of the pages where they are neither assets nor the zone's own.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import js
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint, import_from_javascript

from shared.snapshot import WHOLE_SITE
from worker import admission, client, intake
from worker.answers import Answer, Refusal
from worker.asked import AskedPage, header_names, read_page_request
from worker.consent import forget_cookies, is_allowed
from worker.cookies import without_ours
from worker.deciding import Deciding
from worker.receipts import Receipts
from worker.settings import Settings, read_settings
from worker.snapshots import SnapshotStore
from worker.storage import event_line, fit_line, pack_batch, pack_messages
from worker.upstream import CACHE_HEADERS, REMOVED_REQUEST_HEADERS, VALIDATORS, is_rewritable
from worker.visitor import write_visitor

if TYPE_CHECKING:
    from shared.signing import Keys
    from shared.snapshot import Snapshot
    from worker.page_view import PageView

EXPOSURE_TIMER_MS: Final = 20_000
MOST_UNDECIDED: Final = 200
STALE_SNAPSHOT_MS: Final = 2 * 86_400_000

# What the isolate keeps between requests. No request awaits here what belongs to another.
_settings: Settings | None = None
_store: SnapshotStore | None = None
_open_pages: dict[int, OpenPage] = {}
# The pages that wait for a profile. A client may leave before its page is there, and then nobody ever says so: only so
# many are kept.
_undecided: dict[int, Deciding] = {}
_page_numbers = 0
_receipts: Receipts | None = None
_module: Any = None
_intake: Any = None
_counters: Any = None


class OpenPage(NamedTuple):
    """A page view that is being streamed, and where its events go."""

    view: PageView
    bindings: Any


def _end_page(number: int, written: str, cause: str) -> Any:
    """The page has ended, its client has left, or time is up: log the slots that were written since the last time.

    Returns the promise of what is sent, or None where there is nothing to send.
    """
    page = _open_pages[number]
    if cause == "timer":
        _count("exposure_timer")
    else:
        del _open_pages[number]
    now_ms = page.view.request.now_ms
    events = page.view.events([int(slot) for slot in written.split(",") if slot])
    page.view.crossing = None  # is told once
    lines = [fit_line(event_line(each), now_ms) for each in events]
    return _send(page.bindings.EVENTS, lines, now_ms, bucket=page.bindings.LAKE)


def _send(queue: Any, lines: list[str], now_ms: int, *, bucket: Any = None) -> Any:
    """Send lines to the Queue; returns the promise of whether all of them are accepted, None where there are none.

    What nobody else keeps is tried several times, and written to the `bucket` where the Queue goes on refusing it.
    Messages go out at once: where one of a batch is refused, the sender repeats all, and what comes twice is counted
    once.
    """
    global _receipts  # noqa: PLW0603 - the isolate's one book
    if _receipts is None:
        _receipts = Receipts(os.urandom(8).hex())
    messages = pack_messages(lines, _receipts, now_ms, is_kept=bucket is None)
    if not messages:
        return None
    numbered = [part for each in messages for part in (each.number, each.text)]
    return _page_module().send(queue, bucket, _pack_proxy, _settle_proxy, *numbered)


def _pack(number: int, text: str) -> Any:
    """The objects of a message that the Queue has refused: key and content in turn."""
    _count("queue_bypassed")
    name = f"{_receipts.isolate if _receipts is not None else ''}-{number}"
    objects = pack_batch([(name, time_ns() // 1_000_000, text)])
    return to_js([part for each in objects for part in (each.key, each.content)])


def _settle(number: int, problem: str) -> None:
    """Note what became of a message; an empty problem says that the Queue has it."""
    if _receipts is not None:
        _receipts.settle(number, is_accepted=not problem)
    if problem:
        _count("queue_failed", problem)


def _take_profile(number: int, text: Any, problem: str) -> None:
    """KV has answered for the page of that number."""
    deciding = _undecided.pop(number, None)
    if deciding is not None:
        deciding.take_profile(text, problem)


def _object(**fields: Any) -> Any:
    """A JavaScript object of the given fields."""
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def _count(reason: str, detail: str = "") -> None:
    """Count a failure by its reason: a structured line in the log, and a data point where there is a dataset."""
    js.console.warn(json.dumps({"usher": reason, "detail": detail[:500]}))
    if _counters is not None:
        with suppress(Exception):  # counting a failure must not make another
            _counters.writeDataPoint(_object(indexes=js.Array.of(reason), doubles=js.Array.of(1)))


# One proxy each for the life of the isolate: made for a request, it would have to be destroyed on every path.
_end_page_proxy = create_proxy(_end_page)
_count_proxy = create_proxy(_count)
_settle_proxy = create_proxy(_settle)
_pack_proxy = create_proxy(_pack)
_take_profile_proxy = create_proxy(_take_profile)


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
            if urlsplit(request.url).path == intake.PATH:  # these are nobody else's to answer
                return _answer(intake.FAILED.to_answer())
            return await self._pass_page(request)
        except Exception as error:  # noqa: BLE001 - there is no page to be had
            _count("upstream_failed", repr(error))
            return _respond("The site cannot be reached. Please try again later.\n", 502, "text/plain; charset=utf-8")

    async def _route(self, request: Any) -> Any:
        asked = _describe(request)
        if asked.path == intake.PATH:
            return await self._answer_events(request)
        if asked.path == client.PATH:
            return _serve_client(request)
        if asked.method not in ("GET", "HEAD") or asked.header("upgrade"):
            return await _page_module().fetchUpstream(self.bindings, request)
        return await self._answer_page(request, asked)

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002 - the runtime's signature
        """Write a batch of messages to the lake. An exception makes the queue deliver it again."""
        raw = getattr(batch, "_binding", batch)
        messages = [(message.id, int(message.timestamp.getTime()), str(message.body)) for message in raw.messages]
        for stored in pack_batch(messages):
            await self.bindings.LAKE.put(stored.key, to_js(stored.content))

    async def scheduled(self, controller: Any = None, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002
        """Look whether what is published is fresh, and count it where it is not."""
        store, now_ms = self.store, time_ns() // 1_000_000
        await self._refresh(store, now_ms)
        if store.snapshot is not None and now_ms - store.confirmed_ms > STALE_SNAPSHOT_MS:
            _count("snapshot_stale", store.snapshot.version)

    # Pages

    async def _pass_page(self, request: Any) -> Any:
        """The page without us; where it is observed, under the same cache rule as with us."""
        module, is_observed = _page_module(), None
        with suppress(Exception):  # what has failed before may be this
            is_observed = _is_observed(self.store, urlsplit(request.url).path)
        if is_observed is False or request.method not in ("GET", "HEAD") or request.headers.get("upgrade"):
            return await module.fetchUpstream(self.bindings, request)
        cookies = _text(request.headers.get("cookie")) or ""
        with suppress(Exception):
            cookies = without_ours(cookies)
        response = await module.fetchPage(self.bindings, request, REMOVED_REQUEST_HEADERS, cookies)
        return module.withHeaders(response, VALIDATORS, CACHE_HEADERS, None) if _is_page(response) else response

    async def _answer_page(self, request: Any, asked: AskedPage) -> Any:
        store, now_ms, module = self.store, time_ns() // 1_000_000, _page_module()
        loading = self._start_refresh(store, now_ms)
        is_observed = _is_observed(store, asked.path)
        may_be_page = is_observed is None and "text/html" in asked.header("accept")
        if not is_observed and not may_be_page:
            return await module.fetchUpstream(self.bindings, request)
        cookies = without_ours(asked.header("cookie"))
        fetched = module.fetchPage(self.bindings, request, REMOVED_REQUEST_HEADERS, cookies)
        deciding = self._start_deciding(asked, store, now_ms)
        response = await fetched
        if store.snapshot is None and loading is not None:
            await self._wait_for_first_snapshot(loading)
        if is_observed is None:
            is_observed = _is_observed(store, asked.path)
            asked = _describe(request)  # what the snapshot wants to know of a request was not known before
            deciding = self._start_deciding(asked, store, now_ms) if is_observed else None
        if is_observed is False or not _is_page(response):
            return response
        view = await self._finish_deciding(deciding) if deciding is not None else None
        keys = self._read_keys()
        if view is None or keys is None:
            if store.snapshot is None:
                _count("no_snapshot")
            return module.withHeaders(response, VALIDATORS, CACHE_HEADERS, _forget(asked, store.snapshot))
        try:
            written = self._write_slots(request, view, response)
        except Exception as error:  # noqa: BLE001 - the page as it is
            _count("rewriter_failed", repr(error))
            return module.withHeaders(response, VALIDATORS, CACHE_HEADERS, None)
        cookie, problem = write_visitor(view.visitor, keys)
        if problem is not None:
            _count(problem)
        return module.withHeaders(written, VALIDATORS, CACHE_HEADERS, cookie)

    def _start_deciding(self, asked: AskedPage, store: SnapshotStore, now_ms: int) -> Deciding | None:
        """Decide a page while it is being fetched; None where nobody may be told apart, or nothing is known."""
        keys, snapshot = self._read_keys(), store.snapshot
        if snapshot is None or keys is None or asked.method == "HEAD":
            return None
        if WHOLE_SITE in store.off:
            _count("switched_off")
            return None
        try:
            request, problems = read_page_request(asked, snapshot, keys, now_ms, os.urandom, store.off)
            for problem in problems:
                _count(problem)
            if request is None:
                return None
            deciding = Deciding(request, _count)
            key = request.profile_key
            if key is None:
                deciding.decide(None)
            else:
                deciding.reading = self._read_profile(key, deciding)
        except Exception as error:  # noqa: BLE001 - the page itself always gets through
            _count("decision_failed", repr(error))
            return None
        return deciding

    def _read_profile(self, key: str, deciding: Deciding) -> Any:
        """Have KV asked by JavaScript, which tells us by one call: futures and their callbacks take longer."""
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        if len(_undecided) >= MOST_UNDECIDED:
            del _undecided[next(iter(_undecided))]
        _undecided[_page_numbers] = deciding
        deciding.number = _page_numbers
        return _page_module().readProfile(self.bindings.SCORES, key, _page_numbers, _take_profile_proxy)

    async def _finish_deciding(self, deciding: Deciding) -> PageView | None:
        margin_ms = self.settings.profile_margin_ms
        view = await deciding.finish(lambda reading: _page_module().waitAtMost(reading, margin_ms))
        _undecided.pop(deciding.number, None)  # KV may be late by more than the request lives
        return view

    def _write_slots(self, request: Any, view: PageView, response: Any) -> Any:
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        slots: list[str | None] = []
        for slot in view.plan.slots:
            slots += (slot.decision.touchpoint, slot.html)
        written = _page_module().writeSlots(
            self.ctx, request, response, _page_numbers, EXPOSURE_TIMER_MS, _script_tag(view),
            _end_page_proxy, _count_proxy, *slots,
        )  # fmt: skip
        _open_pages[_page_numbers] = OpenPage(view, self.bindings)  # the page's end comes later than this
        return written

    # What is published

    def _start_refresh(self, store: SnapshotStore, now_ms: int) -> asyncio.Future[None] | None:
        """Look for a newer snapshot beside the request, where it is time to."""
        if not store.is_due(now_ms):
            return None
        loading = asyncio.ensure_future(self._refresh(store, now_ms))
        self.ctx.waitUntil(loading)
        return loading

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
        done, _ = await asyncio.wait([loading], timeout=self.settings.cold_margin_s)
        if not done:
            _count("kv_deadline")

    # Events

    async def _answer_events(self, request: Any) -> Any:
        asked = AskedPage(_page_module().describe(request, admission.HEADERS), admission.HEADERS)
        snapshot = None
        try:
            now_ms = time_ns() // 1_000_000
            snapshot = await self._await_snapshot(self.store, now_ms)
            answer = await self._take_events(request, asked, snapshot, now_ms)
        except Exception as error:  # noqa: BLE001 - the sender keeps its events and is told so
            _count("intake_failed", repr(error))
            answer = intake.FAILED.to_answer()
        else:
            if answer.status >= 400:
                _count("intake_refused", answer.text())
        return _answer(answer, admission.cors_headers(asked, snapshot))

    async def _take_events(self, request: Any, asked: AskedPage, snapshot: Snapshot | None, now_ms: int) -> Answer:
        settings = self.settings
        sender = admission.admit(asked, snapshot, self._read_keys(), settings.tokens)
        if isinstance(sender, Answer):
            if sender.problem is not None:
                _count(sender.problem)
            return sender
        most, limits = sender.allowance.bytes, _join(sender.limits.items())
        received = await _intake_module().receive(self.bindings, request, most, limits, _count_proxy)
        word, _, text = received.partition("\n")
        if word != "text":
            return intake.refuse_body(word, text, sender.allowance).to_answer()
        batch = intake.read_batch(text, intake.know(sender, settings, snapshot, now_ms), sender.allowance)
        if isinstance(batch, Refusal):
            return batch.to_answer()
        sending = _send(self.bindings.EVENTS, batch.lines(), now_ms)
        if sending is not None:
            self.ctx.waitUntil(sending)  # a message that has its number goes out, even if the client leaves now
            if not await sending:
                return intake.NOT_QUEUED.to_answer()
        return batch.to_answer()

    async def _await_snapshot(self, store: SnapshotStore, now_ms: int) -> Snapshot | None:
        """The snapshot; where there is none yet, after a bounded time for the first read of KV."""
        loading = self._start_refresh(store, now_ms)
        if store.snapshot is None and loading is not None:
            await self._wait_for_first_snapshot(loading)
        return store.snapshot

    # Settings

    @property
    def settings(self) -> Settings:
        """The variables and secrets; what is wrong with them is counted when an isolate reads them first."""
        global _settings
        if _settings is None:
            env = self.bindings
            _settings, problems = read_settings(lambda name: getattr(env, name, None))
            for problem in problems:
                _count("setting_invalid", problem)
        return _settings

    def _read_keys(self) -> Keys | None:
        keys = self.settings.keys
        if keys is None:
            _count("no_keys")
        return keys

    @property
    def store(self) -> SnapshotStore:
        """The isolate's copy of what was published."""
        global _store  # noqa: PLW0603 - the isolate's one copy
        if _store is None:
            _store = SnapshotStore(ttl_ms=self.settings.snapshot_ttl_ms)
        return _store


def _page_module() -> Any:
    """The JavaScript side; it can be imported once a request is under way, not before."""
    global _module  # noqa: PLW0603 - code, not state
    if _module is None:
        _module = import_from_javascript("worker/page.mjs")
    return _module


def _intake_module() -> Any:
    global _intake  # noqa: PLW0603 - code, not state
    if _intake is None:
        _intake = import_from_javascript("worker/intake.mjs")
    return _intake


def _answer(answer: Answer, headers: tuple[tuple[str, str], ...] = ()) -> Any:
    return _intake_module().answer(answer.status, answer.text(), _join((*answer.headers, *headers)))


def _describe(request: Any) -> AskedPage:
    """The request as text, with the headers that are always needed and those that the snapshot names."""
    snapshot = _store.snapshot if _store is not None else None
    names = header_names(snapshot.header.attributes if snapshot is not None else ())
    return AskedPage(_page_module().describe(request, names), names)


def _is_page(response: Any) -> bool:
    get = response.headers.get
    return is_rewritable(response.status, _text(get("content-type")), _text(get("content-encoding")))


def _join(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs as they cross into JavaScript: as one string, of a line each."""
    return "\n".join([part for pair in pairs for part in pair])


def _text(value: Any) -> str | None:
    """What JavaScript gave as a string, or None: its null is no None in every version of the runtime."""
    return value if isinstance(value, str) else None


def _is_observed(store: SnapshotStore, path: str) -> bool | None:
    """Whether a page has touchpoints or a category: none has where nothing is published; None where that is not known
    yet."""
    if store.snapshot is not None:
        return store.snapshot.is_observed(path)
    return False if store.is_published is False else None


def _respond(body: str, status: int, content_type: str | None, cache_control: str = "no-store") -> Any:
    headers = js.Headers.new()
    headers.set("cache-control", cache_control)
    if content_type is not None:
        headers.set("content-type", content_type)
    return js.Response.new(body or None, _object(status=status, headers=headers))


def _serve_client(request: Any) -> Any:
    is_known = client.is_known(_text(request.headers.get("if-none-match")))
    response = _respond(
        "" if is_known else client.SCRIPT, 304 if is_known else 200, client.CONTENT_TYPE, client.CACHE_CONTROL
    )
    response.headers.set("etag", client.ETAG)
    return response


def _forget(asked: AskedPage, snapshot: Snapshot | None) -> str | None:
    """What removes our cookies from a browser that may not have them (any more)."""
    header, cookies = snapshot.header if snapshot is not None else None, asked.header("cookie")
    return None if is_allowed(header, asked.header("sec-gpc"), cookies) else forget_cookies(cookies)


def _script_tag(view: PageView) -> str:
    request = view.request
    return client.script_tag(request.id, is_shown=request.is_shown, honours_gpc=request.snapshot.header.honour_gpc)
