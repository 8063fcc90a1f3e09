"""Usher's own Worker with a KV that is late with profiles, which also tells how much memory its Python takes:
`GET /_bench/memory`."""

from __future__ import annotations

import gc
import json
from typing import Any

import js
import pyodide_js  # type: ignore[import-not-found]  # exists inside workerd only
from workers import import_from_javascript

from worker import entry
from worker.entry import Default as Usher

_late: Any = None


class Default(Usher):
    """The Worker, and one route of its own."""

    @property
    def bindings(self) -> Any:
        """The environment, its KV late."""
        global _late  # noqa: PLW0603 - code, which cannot be imported before the first request
        if _late is None:
            _late = import_from_javascript("scripts/benchmarks/workers/late.mjs")
        return _late.withLateProfiles(super().bindings)

    async def fetch(self, request: Any) -> Any:
        """Answer as Usher does, or tell the memory."""
        if not request.url.endswith("/_bench/memory"):
            return await super().fetch(request)
        gc.collect()
        sizes = {
            "wasm": int(pyodide_js._module.HEAPU8.length),
            "objects": len(gc.get_objects()),
            "open_pages": len(entry._open_pages),
            "reads": _late.countReads() if _late is not None else 0,
        }
        return js.Response.new(json.dumps(sizes))
