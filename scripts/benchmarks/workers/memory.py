"""Usher's own Worker, which also tells how much memory its Python takes: `GET /_bench/memory`."""

from __future__ import annotations

import gc
import json
from typing import Any

import js
import pyodide_js  # type: ignore[import-not-found]  # exists inside workerd only

from worker import entry
from worker.entry import Default as Usher


class Default(Usher):
    """The Worker, and one route of its own."""

    async def fetch(self, request: Any) -> Any:
        """Answer as Usher does, or tell the memory."""
        if not request.url.endswith("/_bench/memory"):
            return await super().fetch(request)
        gc.collect()
        sizes = {
            "wasm": int(pyodide_js._module.HEAPU8.length),
            "objects": len(gc.get_objects()),
            "open_pages": len(entry._open_pages),
        }
        return js.Response.new(json.dumps(sizes))
