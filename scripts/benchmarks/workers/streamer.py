"""The floor with Usher's own JavaScript: the same I/O from Python, the page streamed by `worker/page.mjs`.

What Usher takes beyond this Worker is what it does of its own: reading the request, identity, the decision, the cookie,
and the log. There is none of that here: fixed HTML, a fixed cookie, a fixed message when the page has ended.
"""

from __future__ import annotations

import json
from typing import Any, Final

import js
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint, import_from_javascript

from worker.upstream import CACHE_HEADERS, REMOVED_REQUEST_HEADERS, VALIDATORS

TIMER_MS: Final = 20_000
SCRIPT: Final = '<script src="/_usher/usher.js" defer></script>'
_module: Any = None
_settings: dict[str, Any] = {}
_slots: dict[str, list[str]] = {}
_queues: dict[int, Any] = {}
_pages = 0


def _read_settings(text: str) -> None:
    """Keep the settings: for every page its touchpoints and their HTML in turn."""
    global _module  # noqa: PLW0603 - code, which cannot be imported before the first request
    _module = import_from_javascript("worker/page.mjs")
    settings = json.loads(text)
    for path, slots in settings["pages"].items():
        _slots[path] = [part for slot in slots for part in slot]
    _settings.update(settings)


def _end_page(number: int, _: str, cause: str) -> Any:
    """Send the message when the page has ended; returns the promise of that. The timer's call comes before the end."""
    return None if cause == "timer" else _queues.pop(number).send(_settings["message"], _as_text)


def _fail(reason: str, detail: str = "") -> None:
    js.console.warn(json.dumps({"usher": reason, "detail": detail}))


_as_text = js.Object.new()
_as_text.contentType = "text"
_end_page_proxy = create_proxy(_end_page)
_fail_proxy = create_proxy(_fail)


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Answers every request with the page, its slots written."""

    async def fetch(self, request: Any) -> Any:
        """Fetch the page, read what is to be read, and have the slots written."""
        env: Any = getattr(self.env, "_env", self.env)
        request = getattr(request, "js_object", request)
        if not _settings:
            _read_settings(await env.SCORES.get("floor"))
        page = _module.fetchPage(env, request, REMOVED_REQUEST_HEADERS, "")
        for read in [env.SCORES.get(key) for key in _settings["reads"]]:
            await read
        return self._write(env, request, await page)

    def _write(self, env: Any, request: Any, page: Any) -> Any:
        global _pages  # noqa: PLW0603 - a plain number
        _pages += 1
        _queues[_pages] = env.EVENTS
        slots = _slots["/" + request.url.split("/", 3)[3]]
        written = _module.writeSlots(
            self.ctx, request, page, _pages, TIMER_MS, SCRIPT, _end_page_proxy, _fail_proxy, *slots
        )
        return _module.withHeaders(written, VALIDATORS, CACHE_HEADERS, _settings["cookie"])
