"""The floor: the I/O of a personalised page in a bare Python Worker, and nothing else.

The page is fetched and streamed through HTMLRewriter, where one Python handler a slot writes fixed HTML, and one queue
message goes out that the response does not wait for. Where its settings say so, a profile is read from KV meanwhile.
No identity, no decision, no headers, no log. What is the same for every request is made once: handlers hold nothing of
a request, so requests that overlap may share them.
"""

from __future__ import annotations

import json
from typing import Any

import js
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint


def _object(**fields: Any) -> Any:
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def _write_slot(html: str, element: Any) -> None:
    element.setInnerContent(html, _as_html)


_as_html = _object(html=True)
_as_text = _object(contentType="text")
_write_slot_proxy = create_proxy(_write_slot)
_settings: dict[str, Any] = {}
_handlers: dict[str, list[tuple[str, Any]]] = {}


def _read_settings(text: str) -> None:
    """Keep the settings, and for every page its handlers by their selectors."""
    settings = json.loads(text)
    for path, slots in settings["pages"].items():
        _handlers[path] = [
            (f'[data-usher="{touchpoint}"]', _object(element=_write_slot_proxy.bind(None, html)))
            for touchpoint, html in slots
        ]
    _settings.update(settings)


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Answers every request with the page, its slots written."""

    async def fetch(self, request: Any) -> Any:
        """Fetch the page, read what is to be read, write the slots, and send one message."""
        env: Any = getattr(self.env, "_env", self.env)
        request = getattr(request, "js_object", request)
        if not _settings:
            _read_settings(await env.SCORES.get("floor"))
        page = env.ASSETS.fetch(request)
        reads = [env.SCORES.get(key) for key in _settings["reads"]]
        rewriter = js.HTMLRewriter.new()
        for selector, handler in _handlers["/" + request.url.split("/", 3)[3]]:
            rewriter.on(selector, handler)
        for read in reads:
            await read
        response = rewriter.transform(await page)
        self.ctx.waitUntil(env.EVENTS.send(_settings["message"], _as_text))
        return response
