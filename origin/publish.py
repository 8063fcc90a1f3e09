"""Publish: make a snapshot of configuration and model, and put it where the edge reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from origin.config import Config
from origin.errors import KvValueError, PublishError
from origin.kv import KvClient
from origin.lake import Lake, name_moment
from origin.train import Model
from shared.errors import InvalidSnapshot
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, Pointer, Snapshot, write_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication did: the live version, the keys written, their bytes, and whether anything changed.

    `replaced` says what was live and damaged, where that was the reason to write anew.
    """

    version: str
    keys: tuple[str, ...]
    bytes: int
    changed: bool
    replaced: str | None = None


def make_snapshot(config: Config, model: Model, now_ms: int) -> tuple[str, str]:
    """Return version and text of the snapshot of a configuration and a model.

    The version ends in a hash of the content (the moments left out), so the same content has the same ending. Raises
    PublishError where the model was trained for other variants than the configuration now has.
    """
    records: dict[str, dict[str, object]] = {}
    for name, touchpoint in config.touchpoints.items():
        variants = touchpoint.expanded_variants
        names = [variant.name for variant in variants]
        trained = model.touchpoints.get(name)
        if trained is None or trained.variants != names:
            raise PublishError(
                f"touchpoint {name}: the model {model.version} was trained for other variants; run usher train first"
            )
        records[f"touchpoint:{name}"] = {
            "default": names.index(touchpoint.default),
            "epoch": touchpoint.epoch,
            "goal": touchpoint.goal,
            "pages": list(touchpoint.pages),
            "variants": [
                {
                    "name": variant.name,
                    "html": variant.html,
                    "floor": variant.floor,
                    **({"condition": variant.condition} if variant.condition is not None else {}),
                }
                for variant in variants
            ],
        }
        for cell, values in trained.cells.items():
            records[f"cell:{name}:{cell}"] = dict(values)
    header = _header(config, model)
    content = json.dumps([{**header, "trained": None}, records], sort_keys=True)
    version = f"{name_moment(now_ms)}-{sha256(content.encode()).hexdigest()[:12]}"
    try:
        return version, write_snapshot({"version": version, "created_ms": now_ms, **header}, records)
    except InvalidSnapshot as error:
        raise PublishError(f"the snapshot would not be readable at the edge: {error}") from error


def publish(config: Config, model: Model, lake: Lake, client: KvClient, now_ms: int) -> Published:
    """Publish the snapshot: the snapshot first, then verified, then the pointer.

    Where the same content is live already, only the pointer is written, to say that it was confirmed. A pointer that
    cannot be read counts as absent, and live content that is damaged is written anew. Raises KvError or PublishError;
    until the pointer is written, the edge serves what was live before.
    """
    version, text = make_snapshot(config, model, now_ms)
    live, replaced = None, None
    try:
        live = read_pointer(client)
    except (PublishError, KvValueError) as error:
        replaced = str(error)
    if live is not None and _is_same(live.version, version):
        replaced = _find_damage(client, live.version, text)
        if replaced is None:
            written = _point(client, Pointer(version=live.version, published_ms=live.published_ms, confirmed_ms=now_ms))
            return Published(version=live.version, keys=(POINTER_KEY,), bytes=written, changed=False)
    key = SNAPSHOT_KEY + version
    written = client.put({key: text})
    if client.get(key) != text:
        raise PublishError(f"KV gave back something else for {key} than was written; the pointer was not moved")
    lake.write(lake.snapshots / f"{version}.txt", text.encode())
    written += _point(client, Pointer(version=version, published_ms=now_ms, confirmed_ms=now_ms))
    return Published(version=version, keys=(key, POINTER_KEY), bytes=written, changed=True, replaced=replaced)


def read_pointer(client: KvClient) -> Pointer | None:
    """What the edge is told to serve, or None where nothing is published. Raises KvError or PublishError."""
    text = client.get(POINTER_KEY)
    if text is None:
        return None
    try:
        return Pointer.from_text(text)
    except InvalidSnapshot as error:
        raise PublishError(f"the key {POINTER_KEY} holds {text[:80]!r}, not a pointer to a snapshot") from error


def _is_same(live: str, version: str) -> bool:
    return live.rpartition("-")[2] == version.rpartition("-")[2]


def _find_damage(client: KvClient, version: str, text: str) -> str | None:
    """Say what is wrong with the stored snapshot of a version whose content should be that of `text`."""
    key = SNAPSHOT_KEY + version
    try:
        stored = client.get(key)
    except KvValueError as error:
        return str(error)
    if stored is None:
        return f"the key {key} was missing"
    try:
        found = Snapshot.from_text(stored).version
    except InvalidSnapshot as error:
        return f"the key {key} held what is no snapshot ({error})"
    if found != version:
        return f"the key {key} held the version {found}"
    if sorted(stored.split("\n")[1:]) != sorted(text.split("\n")[1:]):  # the hash of the content is in the version
        return f"the key {key} held other records than its version names"
    return None


def _point(client: KvClient, pointer: Pointer) -> int:
    return client.put({POINTER_KEY: pointer.to_text()})


def _header(config: Config, model: Model) -> dict[str, object]:
    attributes = [
        {"attribute": name, "source": "query" if source.query else "header", "name": source.query or source.header}
        for name, source in config.attributes.items()
    ]
    return {
        "site": config.site.id,
        "holdout_share": config.site.holdout_share,
        "honour_gpc": config.site.honour_gpc,
        "segments": [{"name": name, "condition": each.condition} for name, each in config.segments.items()],
        "attributes": attributes,
        "goals": list(config.goals),
        "pages": {name: list(each.pages) for name, each in config.touchpoints.items()},
        "trained": {
            "as_of_ms": model.as_of_ms,
            "first_ms": model.first_ms,
            "last_ms": model.last_ms,
            "sources": model.sources,
        },
    }
