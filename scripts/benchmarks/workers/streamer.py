"""The floor with Usher's own JavaScript: the same I/O from Python, the page streamed by `worker/page.mjs`.

What Usher takes beyond this Worker is what it does of its own: reading the request, identity, the decision, the cookie,
and the log. There is none of that here: fixed HTML, a fixed cookie, a fixed message when the page has ended.
"""

from __future__ import annotations

import json
from typing import Any, Final

import js
from pyodide.ffi import create_proxy, to_js
from workers import WorkerEntrypoint, import_from_javascript
from workers.rpc import _BindingWrapper

EXPOSURE_MS: Final = 20_000
SCRIPT: Final = '<script src="/_usher/usher.js" defer></script>'
_module: Any = None
_settings: dict[str, Any] = {}
_slots: dict[str, list[str]] = {}
_paths: dict[int, str] = {}
_awaited: set[int] = set()
_pages = 0


def _read_settings(text: str) -> None:
    """Keep the settings: for every page its touchpoints and their HTML in turn."""
    global _module  # noqa: PLW0603 - code, which cannot be imported before the first request
    _module = import_from_javascript("worker/page.mjs")
    _module.introduce(EXPOSURE_MS, *_told)
    settings = json.loads(text)
    for path, slots in settings["pages"].items():
        _slots[path] = [part for slot in slots for part in slot]
    _settings.update(settings)


def _take_profile(number: int, _text: object, _problem: str) -> None:
    """The profile is there, and not looked at."""
    _awaited.discard(number)


def _finish_page(number: int, _: str) -> Any:
    if number in _awaited:
        _awaited.discard(number)
        return None
    return to_js([_settings["cookie"], SCRIPT, *_slots[_paths.pop(number)]])


def _end_page(number: int, _: str, cause: str) -> Any:
    """Send the message when the page has ended. The timer's call comes before the end."""
    return None if cause == "timer" else to_js([number, _settings["message"]])


def _fail(reason: str, detail: str = "") -> None:
    js.console.warn(json.dumps({"usher": reason, "detail": detail}))


def _pack(_number: int, _text: str) -> Any:
    """Nothing is kept of a message that the Queue refuses."""
    return to_js([])


def _settle(_number: int, problem: str) -> None:
    if problem:
        _fail("queue_failed", problem)


_told = [create_proxy(each) for each in (_take_profile, _finish_page, _end_page, _fail, _pack, _settle)]


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Answers every request with the page, its slots written."""

    async def fetch(self, request: Any) -> Any:
        """Fetch the page, read what is to be read, and have the slots written."""
        global _pages  # noqa: PLW0603 - a plain number
        env: Any = getattr(self.env, "_env", self.env)
        request = getattr(request, "js_object", request)
        if not _settings:
            _read_settings(await env.SCORES.get("floor"))
        _pages += 1
        _paths[_pages] = "/" + request.url.split("/", 3)[3]
        reads = _settings["reads"]
        assert len(reads) <= 1, "page.mjs reads one key"
        key = reads[0] if reads else ""
        if key:
            _awaited.add(_pages)
        return _BindingWrapper(_module.answerPage(self.ctx, env, request, "", _pages, key, 1_000).promise)
