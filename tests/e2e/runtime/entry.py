"""The Worker under test, with faults, and with the core's own checks run inside workerd.

Staged in place of `worker/entry.py`, which lies beside it. `POST /_test/vectors` takes the golden vectors and checks
them here; `POST /_test/shares` decides many visitors by the Worker's code and answers how often each variant was
served; `POST /_test/digest` decides many more and answers their digest; `POST /_test/json` parses a body as intake
does. `POST /_test/faults` says which bindings fail from now on (after `spared` calls, `until` so many), `POST
/_test/break` which function of the entry does, `POST /_test/timer` after how many milliseconds a page's exposures are
logged at the latest, and `POST /_test/forget` makes the isolate as new.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import create_proxy
from vectors.check import check_all
from vectors.many import digest_decisions

from shared.events import BROWSER, Given
from shared.session import Session
from shared.situation import situate
from shared.snapshot import Snapshot
from worker import entry, intake
from worker.admission import ALLOWANCES
from worker.entry import Default as Usher
from worker.plan import plan_page

_BINDINGS = ("SCORES", "EVENTS", "LAKE", "VISITOR_LIMIT", "ADDRESS_LIMIT")
_faults: dict[str, Any] = {}
_broken: dict[str, Any] = {}
_asked: dict[str, int] = {}


class _Faulty:
    """A binding that fails as it was told to, and otherwise does what the real one does."""

    def __init__(self, real: Any, name: str) -> None:
        self._real = real
        self._name = name

    def __getattr__(self, method: str) -> Any:
        fault: dict[str, Any] = _faults.get(f"{self._name}.{method}", {})
        real = getattr(self._real, method)

        def working(*arguments: Any) -> Any:
            return real(*arguments)  # JavaScript, given the method itself, would forget whose it is

        async def failing(*arguments: Any) -> Any:
            name = f"{self._name}.{method}"
            _asked[name] = _asked.get(name, 0) + 1
            if not fault.get("spared", 0) < _asked[name] <= fault.get("until", _asked[name]):
                return await real(*arguments)
            if "delay_ms" in fault:
                await asyncio.sleep(fault["delay_ms"] / 1000)
            if "error" in fault:
                raise RuntimeError(fault["error"])
            if "after" in fault:
                await real(*arguments)
                raise RuntimeError(fault["after"])
            return await real(*arguments)

        return failing if fault else working


class _Bindings:
    def __init__(self, env: Any) -> None:
        self._env = env

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._env, name)
        return _Faulty(value, name) if name in _BINDINGS else value


class Default(Usher):
    """The Worker, its bindings wrapped, and a few routes of its own."""

    @property
    def bindings(self) -> Any:
        # JavaScript keeps them for longer than the call that they are given to.
        return create_proxy(_Bindings(super().bindings))

    async def fetch(self, request: Any, *_: Any) -> Any:
        raw = getattr(request, "js_object", request)
        path = js.URL.new(raw.url).pathname
        if not path.startswith("/_test/"):
            return await super().fetch(request)
        body = await raw.text()
        return js.Response.new(json.dumps(_TESTS[path.removeprefix("/_test/")](body)))


def _check_vectors(body: str) -> object:
    files = json.loads(body)
    return check_all(lambda name: files[name])


def _digest_decisions(body: str) -> object:
    asked = json.loads(body)
    return digest_decisions(asked["first"], asked["count"])


def _count_shares(body: str) -> object:
    asked = json.loads(body)
    snapshot = Snapshot.from_text(asked["snapshot"])
    session = Session(started_ms=0)
    counts: dict[str, int] = {}
    for i in range(asked["visitors"]):
        situation = situate(f"{asked['seed']}-{i}", snapshot, None, session, asked["attributes"], 0)
        plan = plan_page([asked["touchpoint"]], situation, (), forced={})
        [slot] = plan.slots
        if not slot.decision.holdout:
            counts[slot.decision.variant] = counts.get(slot.decision.variant, 0) + 1
    return counts


def _forget(_body: str) -> object:
    """Make the isolate as new: no snapshot, no faults."""
    _faults.clear()
    for name, whole in _broken.items():
        setattr(entry, name, whole)
    _broken.clear()
    entry._store = None
    entry._page_module().introduce(entry.EXPOSURE_MS, *entry._told)
    return {}


def _break(name: str) -> object:
    """Make a function of the entry raise."""

    def raising(*_: Any) -> Any:
        raise RuntimeError(f"{name} is broken")

    _broken[name] = getattr(entry, name)
    setattr(entry, name, raising)
    return {}


def _set_timer(body: str) -> object:
    entry._page_module().introduce(int(body), *entry._told)
    return {}


def _set_faults(body: str) -> object:
    _faults.clear()
    _asked.clear()
    _faults.update(json.loads(body))
    return {}


def _count_asked(_body: str) -> object:
    return _asked


def _read_json(body: str) -> object:
    given = Given(
        source=BROWSER, visitor="v", session_ms=0, sent_ms=0, received_ms=0, user_agent="", plan=None, hash_user=None,
        is_signed=None,
    )  # fmt: skip
    result = intake.read_batch(body, given, ALLOWANCES[BROWSER])
    return type(result).__name__


_TESTS: dict[str, Callable[[str], object]] = {
    "vectors": _check_vectors,
    "shares": _count_shares,
    "digest": _digest_decisions,
    "faults": _set_faults,
    "forget": _forget,
    "break": _break,
    "json": _read_json,
    "timer": _set_timer,
    "asked": _count_asked,
}
