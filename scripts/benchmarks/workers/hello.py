"""The least a Python Worker can do."""

from __future__ import annotations

from typing import Any

import js
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Answers every request with a word."""

    async def fetch(self, request: Any) -> Any:  # noqa: ARG002 - the runtime's signature
        """Say hello."""
        return js.Response.new("hello")
