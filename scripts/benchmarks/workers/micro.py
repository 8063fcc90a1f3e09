"""Functions of the core, called many times inside workerd.

`PUT /snapshots/<name>` keeps the text of a snapshot; `GET /<case>?n=1000` calls the case that often. Clocks stand still
between I/O here, so the time is taken outside: of n calls, less that of none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import js
from workers import WorkerEntrypoint

from scripts.benchmarks.workers import micro_decisions as decisions
from scripts.benchmarks.workers import micro_state as state

# A case is a name, perhaps with an argument after the slash; its function prepares the call that is repeated.
CASES: dict[str, Callable[[str], state.Case]] = {
    "nothing": lambda _: lambda _: None,
    "decide": decisions.decide_first,
    "decide-visited": decisions.decide_visited,
    "decide-individual": decisions.decide_individual,
    "plan": decisions.plan,
    "log": decisions.log,
    "context": decisions.read_attributes,
    "thompson": decisions.integrate,
    "thompson-live": decisions.integrate_live,
    "uniform": decisions.draw,
    "hashes": decisions.hash_only,
    "race": decisions.race,
    "rank": decisions.rank_slots,
    "constrain": decisions.constrain_shares,
    "fold": state.fold_event,
    "attributes": lambda _: lambda _: state.TYPICAL.to_attributes(),
    "cookie": state.verify_and_sign,
    "sign": state.sign_text,
    "verify": state.verify_text,
    "read-cookie": state.read_cookie,
    "write-cookie": state.write_cookie,
    "parse-snapshot": decisions.parse_snapshot,
    "parse-touchpoint": decisions.parse_touchpoint,
    "parse-cell": decisions.parse_cell,
    "parse-profile": decisions.parse_profile,
}


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK exists inside workerd only
    """Keeps snapshots and calls cases."""

    async def fetch(self, request: Any) -> Any:
        """Keep a snapshot, or call a case n times."""
        request = getattr(request, "js_object", request)
        url = js.URL.new(request.url)
        name, _, argument = url.pathname.removeprefix("/").partition("/")
        if request.method == "PUT":
            decisions.keep_snapshot(argument, await request.text())
            return js.Response.new("kept")
        call = CASES[name](argument)
        for i in range(int(url.searchParams.get("n"))):
            call(i)
        return js.Response.new(json.dumps({"case": name}))
