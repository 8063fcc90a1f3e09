"""The floor: the I/O of a personalised page in a Python Worker, and nothing else.

A page is fetched and streamed through HTMLRewriter, one element handler a slot writes fixed HTML, the response gets the
headers that Usher's get, and when the document has ended, one queue message is sent after the response. With
`FLOOR.reads` the profile is read from KV before the page is rewritten. No identity, no decision, no logging.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import js
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint

REMOVED: Final = ("etag", "last-modified", "expires", "age")
_ended: dict[int, asyncio.Future[None]] = {}
_slots: dict[str, list[tuple[str, int]]] = {}
_html: list[str] = []
_pages = 0


def _object(**fields: Any) -> Any:
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def _write_slot(slot: int, element: Any) -> None:
    element.setInnerContent(_html[slot], _as_html)


def _end_page(page: int, *_: Any) -> None:
    _ended[page].set_result(None)


_as_html = _object(html=True)
_as_text = _object(contentType="text")
_write_slot_proxy = create_proxy(_write_slot)
_end_page_proxy = create_proxy(_end_page)
_settings: dict[str, Any] = {}


def _read_settings(text: str) -> None:
    """Keep the settings: for every page its touchpoints, each with the number of its HTML."""
    _settings.update(json.loads(text))
    for path, slots in _settings["pages"].items():
        _slots[path] = []
        for touchpoint, html in slots:
            _slots[path].append((touchpoint, len(_html)))
            _html.append(html)


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Answers every request with the page, its slots written."""

    async def fetch(self, request: Any) -> Any:
        """Fetch the page, write the slots, set the headers, and send one message afterwards."""
        env: Any = getattr(self.env, "_env", self.env)
        request = getattr(request, "js_object", request)
        if not _settings:
            _read_settings(env.FLOOR)
        slots = _slots["/" + request.url.split("/", 3)[3]]
        page = env.ASSETS.fetch(request)
        for key in _settings["reads"]:
            await env.SCORES.get(key)
        return self._rewrite(env, await page, slots)

    def _rewrite(self, env: Any, page: Any, slots: list[tuple[str, int]]) -> Any:
        global _pages  # noqa: PLW0603 - a plain number
        _pages += 1
        number = _pages
        rewriter = js.HTMLRewriter.new()
        for touchpoint, slot in slots:
            rewriter.on(f'[data-usher="{touchpoint}"]', _object(element=_write_slot_proxy.bind(None, slot)))
        rewriter.onDocument(_object(end=_end_page_proxy.bind(None, number)))
        _ended[number] = asyncio.get_running_loop().create_future()
        rewritten = rewriter.transform(page)
        response = js.Response.new(rewritten.body, rewritten)
        for name in REMOVED:
            response.headers.delete(name)
        response.headers.set("cache-control", "private, no-cache")
        response.headers.set("cdn-cache-control", "no-store")
        response.headers.append("set-cookie", _settings["cookie"])
        self.ctx.waitUntil(self._send_at_end(env, number))
        return response

    async def _send_at_end(self, env: Any, number: int) -> None:
        await _ended[number]
        del _ended[number]
        await env.EVENTS.send(_settings["message"], _as_text)
