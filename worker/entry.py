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
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import js
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint, import_from_javascript
from workers.rpc import _BindingWrapper

from worker import admission, client, intake
from worker.answers import Answer, Refusal
from worker.asked import AskedPage, header_names
from worker.cookies import without_ours
from worker.deciding import Deciding, answer_undecided
from worker.pages import Pages
from worker.receipts import Receipts
from worker.settings import Settings, read_settings
from worker.snapshots import SnapshotStore
from worker.storage import fit_line, pack_batch, pack_messages

if TYPE_CHECKING:
    from shared.signing import Keys
    from shared.snapshot import Snapshot
    from worker.page_view import PageView

EXPOSURE_MS: Final = 20_000
STALE_SNAPSHOT_MS: Final = 2 * 86_400_000

# What the isolate keeps between requests. No request awaits here what belongs to another.
_settings: Settings | None = None
_store: SnapshotStore | None = None
# The pages that have been asked for and have not come, and the page views that are being streamed.
_awaited: Pages[Deciding] = Pages(most=2_000, most_ms=120_000)
_open_pages: Pages[PageView] = Pages(most=2_000, most_ms=3_600_000)
_page_numbers = 0
_receipts: Receipts | None = None
_module: Any = None
_intake: Any = None
_counters: Any = None


def _take_profile(number: int, text: Any, problem: str) -> None:
    """KV has answered for the page of that number."""
    deciding = _awaited.get(number)
    if deciding is not None:
        deciding.take_profile(text, problem)


def _finish_page(number: int, described: str) -> Any:
    """The page of that number has come: what is to be done with it, as JavaScript's array; None where it waits."""
    deciding = _awaited.get(number)
    if deciding is None:
        _count("page_forgotten")
        return to_js(answer_undecided(described))
    try:
        answer = deciding.answer(described)
    except Exception as error:  # noqa: BLE001 - the page as it is
        _count("decision_failed", repr(error))
        answer = answer_undecided(described)
    if answer is None:
        return None
    _awaited.remove(number)
    if len(answer) > 1 and deciding.view is not None:
        _open_pages.add(number, deciding.view, deciding.at_ms)
    return to_js(answer)


def _end_page(number: int, written: str, cause: str) -> Any:
    """The page has ended, its client has left, or time is up: the messages that tell of the slots that were written
    since the last time, number and text of each in turn, as JavaScript's array; None where there are none."""
    view = _open_pages.get(number)
    if cause == "timer":
        _count("exposure_timer")
    else:
        _open_pages.remove(number)
    if cause == "failed" or view is None:
        return None
    now_ms = view.request.now_ms
    lines = [fit_line(line, now_ms) for line in view.lines([int(slot) for slot in written.split(",") if slot])]
    view.crossing = None  # is told once
    return _number(lines, now_ms, is_kept=False)


def _number(lines: list[str], now_ms: int, *, is_kept: bool) -> Any:
    """Lines as messages, number and text of each in turn, as JavaScript's array; None where there are none.

    They go out at once: where one of a batch is refused, the sender repeats all, and what comes twice is counted once.
    """
    global _receipts  # noqa: PLW0603 - the isolate's one book
    if _receipts is None:
        _receipts = Receipts(os.urandom(8).hex())
    messages = pack_messages(lines, _receipts, now_ms, is_kept=is_kept)
    return to_js([part for each in messages for part in (each.number, each.text)]) if messages else None


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
_count_proxy = create_proxy(_count)
_told = (
    *map(create_proxy, (_take_profile, _finish_page, _end_page)),
    _count_proxy,
    *map(create_proxy, (_pack, _settle)),
)


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """The Worker: pages, events, the queue's consumer, and the cron trigger."""

    @property
    def bindings(self) -> Any:
        """The environment without the SDK's wrappers, whose conversions cost on every access."""
        return getattr(self.env, "_env", self.env)

    async def fetch(self, request: Any, *_: Any) -> Any:
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
            return self._pass_page(request)
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
            return _promised(_page_module().passThrough(self.bindings, request))
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

    async def _answer_page(self, request: Any, asked: AskedPage) -> Any:
        store, now_ms = self.store, time_ns() // 1_000_000
        loading = self._start_refresh(store, now_ms)
        is_observed = _is_observed(store, asked.path)
        if is_observed:
            return self._answer_observed(request, asked, now_ms)
        if is_observed is False or "text/html" not in asked.header("accept"):
            return _promised(_page_module().passThrough(self.bindings, request))
        return await self._answer_first(request, asked, loading, now_ms)

    async def _answer_first(
        self, request: Any, asked: AskedPage, loading: asyncio.Future[None] | None, now_ms: int
    ) -> Any:
        """Answer a page before it is known what is published: its fetch gives the first read of KV some time."""
        store, module = self.store, _page_module()
        begun = module.startPage(self.bindings, request, without_ours(asked.header("cookie")))
        with suppress(Exception):  # what is done with the page asks for it once more, and counts
            await begun.promise
        if store.snapshot is None and loading is not None:
            await self._wait_for_first_snapshot(loading)
        if _is_observed(store, asked.path) is False:
            return _promised(module.passThrough(self.bindings, request, begun))
        asked = _describe(request)  # what the snapshot wants to know of a request was not known before
        return self._answer_observed(request, asked, now_ms, begun)

    def _answer_observed(self, request: Any, asked: AskedPage, now_ms: int, begun: Any = None) -> Any:
        """Decide a page while it is being fetched. JavaScript waits for it: a coroutine, given up, would stay."""
        store = self.store
        deciding = Deciding(now_ms, self._read_keys(), _count)
        deciding.start(asked, store.snapshot, os.urandom, store.off)
        return self._await_page(request, without_ours(asked.header("cookie")), deciding, begun)

    def _await_page(self, request: Any, cookies: str, deciding: Deciding, begun: Any = None) -> Any:
        global _page_numbers  # noqa: PLW0603 - a plain number, see the top of the file
        _page_numbers += 1
        _awaited.add(_page_numbers, deciding, deciding.at_ms)
        key, margin_ms = deciding.profile_key or "", self.settings.profile_margin_ms
        return _promised(
            _page_module().answerPage(self.ctx, self.bindings, request, cookies, _page_numbers, key, margin_ms, begun)
        )

    def _pass_page(self, request: Any) -> Any:
        """The page without us, after a failure; where it is observed, under the same cache rule as with us."""
        is_observed = None
        with suppress(Exception):  # what has failed before may be this
            is_observed = _is_observed(self.store, urlsplit(request.url).path)
        if is_observed is False or request.method not in ("GET", "HEAD") or request.headers.get("upgrade"):
            return _promised(_page_module().passThrough(self.bindings, request))
        cookies = _text(request.headers.get("cookie")) or ""
        with suppress(Exception):
            cookies = without_ours(cookies)
        return self._await_page(request, cookies, Deciding(time_ns() // 1_000_000, None, _count))

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
        messages = _number(batch.lines(), now_ms, is_kept=True)
        if messages is not None:
            sending = _page_module().send(self.bindings, True, messages)
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
        global _settings, _counters  # noqa: PLW0603 - the isolate's one copy
        if _settings is None:
            env = self.bindings
            _counters = getattr(env, "COUNTERS", None)
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


# The runtime would work out the handler's signature for every request (0.2 ms), so as not to pass what it does not
# take. What has none is passed everything.
Default.fetch.__signature__ = ()  # type: ignore[attr-defined]  # which functions take


def _promised(given: Any) -> Any:
    """JavaScript's promise as an answer, which nobody here waits for: the SDK would await a bare one, and hands on as
    it is what is wrapped like a binding."""
    return _BindingWrapper(given.promise)


def _page_module() -> Any:
    """The JavaScript side; it can be imported once a request is under way, not before."""
    global _module  # noqa: PLW0603 - code, not state
    if _module is None:
        _module = import_from_javascript("worker/page.mjs")
        _module.introduce(EXPOSURE_MS, *_told)
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
