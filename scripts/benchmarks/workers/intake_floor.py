"""The floor of the intake: the body is read, its JSON parsed, and the text sent to the Queue as it came."""

from __future__ import annotations

import json
from typing import Any

import js
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Takes every batch, looks at nothing, and stores it in no form that could be read."""

    async def fetch(self, request: Any) -> Any:
        """Answer once the Queue has the batch."""
        env: Any = getattr(self.env, "_env", self.env)
        request = getattr(request, "js_object", request)
        text = await request.text()
        count = len(json.loads(text)["events"])
        await env.EVENTS.send("q" + text, _as_text)
        return js.Response.new(json.dumps({"accepted": count}), _accepted)


def _object(**fields: Any) -> Any:
    result = js.Object.new()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


_as_text = _object(contentType="text")
_accepted = _object(status=202)
