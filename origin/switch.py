"""The kill switch: single touchpoints or the whole site show their own content until they are switched on again.

It stands in the pointer, so it acts within the edge's time to live of that, without a publication, and every later
publication keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from origin.errors import PublishError
from origin.kv import KvClient
from origin.problems import suggest
from origin.publish import read_pointer
from shared.errors import InvalidSnapshot
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, WHOLE_SITE, Pointer, Snapshot


def switch_off(client: KvClient, names: Sequence[str] = ()) -> Pointer:
    """Switch touchpoints off, or the whole site where none is named; returns what the edge is told now.

    Raises PublishError where nothing is published, or a name is none of what is; KvError.
    """

    def add(live: Pointer) -> set[str]:
        known = _read_names(client, live) if names else []
        for name in names:
            if name not in known:
                remedy = f"write {suggest(name, known)}" if known else "switch the whole site off with usher off"
                raise PublishError(f"{name} is no touchpoint of the live snapshot; {remedy}")
        return {*live.off, *(names or (WHOLE_SITE,))}

    return _switch(client, add)


def switch_on(client: KvClient, names: Sequence[str] = ()) -> Pointer:
    """Switch touchpoints on again, or everything where none is named; returns what the edge is told now.

    Raises PublishError where nothing is published, or what is named is not off by its name; KvError.
    """

    def remove(live: Pointer) -> set[str]:
        for name in names:
            if name not in live.off:
                remedy = "usher on, without a name, switches it on" if live.off else "nothing is"
                raise PublishError(f"{name} is not switched off by its name; {remedy}")
        return {each for each in live.off if names and each not in names}

    return _switch(client, remove)


def _switch(client: KvClient, change: Callable[[Pointer], set[str]]) -> Pointer:
    live = read_pointer(client)
    if live is None:
        raise PublishError("nothing is published, so nothing is personalised; run usher retrain first")
    switched = replace(live, off=tuple(sorted(change(live))))
    client.put({POINTER_KEY: switched.to_text()})
    return switched


def _read_names(client: KvClient, live: Pointer) -> list[str]:
    """The touchpoints of the live snapshot; empty where it cannot be read."""
    try:
        return sorted(Snapshot.from_text(client.get(SNAPSHOT_KEY + live.version) or "").header.pages)
    except InvalidSnapshot:
        return []
