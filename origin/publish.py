"""Publish: make a snapshot of configuration and model, and put it where the edge reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from origin.category_config import describe_categories
from origin.config import Config
from origin.errors import KvValueError, PublishError
from origin.event_config import describe_plan
from origin.impressions import Impressions, find_floors
from origin.individuals import name_model
from origin.kv import KvClient
from origin.lake import Lake, name_moment
from origin.people import reads_profiles
from origin.profiles import NO_PROFILES, PublishedProfiles, publish_profiles
from origin.touchpoint_config import TouchpointConfig, VariantConfig
from origin.train import Model, TouchpointModel
from shared.errors import InvalidSnapshot
from shared.posterior import LEVELS
from shared.records import FORMAT, HOUR_MS
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, TRAINED_KEY, WHOLE_SITE, Pointer, Snapshot, write_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication did: the live version, the keys written, their bytes, and whether anything changed.

    `keys` and `bytes` are those of the snapshot and its pointer; the profiles that went before them have counts of
    their own. `replaced` says what was live and damaged, where that was the reason to write anew.
    """

    version: str
    keys: tuple[str, ...]
    bytes: int
    changed: bool
    replaced: str | None = None
    profiles: PublishedProfiles = NO_PROFILES


def make_snapshot(config: Config, model: Model, now_ms: int) -> tuple[str, str]:
    """Return version and text of the snapshot of a configuration and a model.

    The version ends in a hash of the content (the moments left out), so the same content has the same ending. Raises
    PublishError where the model was trained for other variants than the configuration now has.
    """
    records: dict[str, dict[str, object]] = {}
    for name, touchpoint in config.touchpoints.items():
        trained = _trained(name, touchpoint, model)
        records[f"touchpoint:{name}"] = _describe_touchpoint(config, touchpoint, trained)
        for cell, values in trained.cells.items():
            records[f"cell:{name}:{cell}"] = dict(values)
    header = _header(config, model)
    content = json.dumps([FORMAT, header, records], sort_keys=True)
    version = f"{name_moment(now_ms)}-{sha256(content.encode()).hexdigest()[:12]}"
    try:
        described = {"version": version, "created_ms": now_ms, **header}
        return version, write_snapshot(described, records, _describe_training(model))
    except InvalidSnapshot as error:
        raise PublishError(f"the snapshot would not be readable at the edge: {error}") from error


def publish(config: Config, model: Model, lake: Lake, client: KvClient, now_ms: int) -> Published:
    """Publish a model: the people's profiles that have changed, then the snapshot, then verified, then the pointer.

    Where the same content is live already, only the pointer is written, to say that it was confirmed. A pointer that
    cannot be read counts as absent, and live content that is damaged is written anew. Raises KvError or PublishError;
    until the pointer is written, the edge serves what was live before.
    """
    version, text = make_snapshot(config, model, now_ms)
    profiles = _publish_profiles(config, model, lake, client, now_ms)
    live, replaced = None, None
    try:
        live = read_pointer(client)
    except (PublishError, KvValueError) as error:
        replaced = str(error)
    if live is not None and _is_same(live.version, version):
        replaced = _find_damage(client, live.version, text)
        if replaced is None:
            written = _point(client, config, live.version, live.published_ms, now_ms)
            return Published(version=live.version, keys=(POINTER_KEY,), bytes=written, changed=False, profiles=profiles)
    key = SNAPSHOT_KEY + version
    written = client.put({key: text})
    if client.get(key) != text:
        raise PublishError(f"KV gave back something else for {key} than was written; the pointer was not moved")
    lake.write(lake.snapshots / f"{version}.txt", text.encode())
    written += _point(client, config, version, now_ms, now_ms)
    return Published(
        version=version,
        keys=(key, POINTER_KEY),
        bytes=written,
        changed=True,
        replaced=replaced,
        profiles=profiles,
    )


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
    if _decisive_lines(stored) != _decisive_lines(text):  # the hash of the content is in the version
        return f"the key {key} held other records than its version names"
    return None


def _decisive_lines(text: str) -> list[str]:
    """The records that decisions rest on."""
    return sorted(line for line in text.split("\n")[1:] if not line.startswith(f"{TRAINED_KEY}\t"))


def _point(client: KvClient, config: Config, version: str, published_ms: int, confirmed_ms: int) -> int:
    """Write the pointer; what is switched off by now stays so, as far as it is still there."""
    try:
        live = read_pointer(client)
    except (PublishError, KvValueError):
        live = None
    known = {WHOLE_SITE, *config.touchpoints}
    off = tuple(name for name in live.off if name in known) if live is not None else ()
    pointer = Pointer(version=version, published_ms=published_ms, confirmed_ms=confirmed_ms, off=off)
    return client.put({POINTER_KEY: pointer.to_text()})


def _publish_profiles(config: Config, model: Model, lake: Lake, client: KvClient, now_ms: int) -> PublishedProfiles:
    using = {
        name: touchpoint
        for name, touchpoint in config.touchpoints.items()
        if _finest_level(touchpoint, model.touchpoints[name]) == "individual"
    }
    accepted = {name: name_model(model.touchpoints[name].variants) for name in using}
    ttl_ms = min((_milliseconds(each.levels.individual_ttl_h) for each in using.values()), default=0)
    return publish_profiles(model, accepted, ttl_ms, lake, client, now_ms, is_read=reads_profiles(config))


def _trained(name: str, touchpoint: TouchpointConfig, model: Model) -> TouchpointModel:
    """What the model knows of a touchpoint. Raises PublishError where that was for other variants."""
    trained = model.touchpoints.get(name)
    if trained is None or trained.variants != [variant.name for variant in touchpoint.expanded_variants]:
        raise PublishError(
            f"touchpoint {name}: the model {model.version} was trained for other variants; run usher train first"
        )
    return trained


def _finest_level(touchpoint: TouchpointConfig, trained: TouchpointModel) -> str:
    """The finest level that may be used: what graduation has reached, where the configuration still allows it."""
    return max(trained.level, touchpoint.levels.finest, key=LEVELS.index)


def _describe_touchpoint(config: Config, touchpoint: TouchpointConfig, trained: TouchpointModel) -> dict[str, object]:
    """The record of a touchpoint."""
    variants = touchpoint.expanded_variants
    floors = find_floors(touchpoint, Impressions(counted=trained.counted, expected=trained.expected))
    finest = _finest_level(touchpoint, trained)
    is_tagged = bool(config.site.interest) and any(variant.interests for variant in variants)
    return {
        "default": trained.variants.index(touchpoint.default),
        "epoch": touchpoint.epoch,
        "goal": touchpoint.goal,
        "pages": list(touchpoint.pages),
        "finest": finest,
        "models": [name_model(trained.variants)] if finest == "individual" else [],
        "individual_ttl_ms": _milliseconds(touchpoint.levels.individual_ttl_h),
        "cluster_ttl_ms": _milliseconds(touchpoint.levels.cluster_ttl_h),
        "interest_share": touchpoint.interest_share if is_tagged else 0.0,
        "slots": touchpoint.slots,
        "interest_slots": sorted(position - 1 for position in touchpoint.interest_slots),
        "shift": _describe_shift(variants),
        "variants": [_describe_variant(variant, floor) for variant, floor in zip(variants, floors, strict=True)],
    }


def _describe_variant(variant: VariantConfig, floor: float) -> dict[str, object]:
    """The record of a variant; what says nothing is left out, since a catalogue has many."""
    return {
        "name": variant.name,
        "html": variant.html,
        "floor": floor,
        **({"cap": variant.cap} if variant.cap < 1.0 else {}),
        **({"interests": list(variant.interests)} if variant.interests else {}),
        **({"condition": variant.condition} if variant.condition is not None else {}),
        **({"because": variant.because} if variant.because is not None else {}),
    }


def _describe_shift(variants: Sequence[VariantConfig]) -> dict[str, object] | None:
    """The session shift that the site team expects: what one variant does not mention does not move it."""
    features = list(dict.fromkeys(name for variant in variants for name in variant.shifts))
    if not features:
        return None
    known = [[variant.shifts.get(name) for name in features] for variant in variants]
    return {
        "features": features,
        "weights": [[0.0 if each is None else each.mean for each in row] for row in known],
        "covariances": [
            [
                [each.sd * each.sd if each is not None and i == j else 0.0 for j in range(len(features))]
                for i, each in enumerate(row)
            ]
            for row in known
        ],
    }


def _milliseconds(hours: float) -> int:
    return round(hours * HOUR_MS)


def _header(config: Config, model: Model) -> dict[str, object]:
    attributes = [
        {"attribute": name, "source": "query" if source.query else "header", "name": source.query or source.header}
        for name, source in config.attributes.items()
    ]
    return {
        "site": config.site.id,
        "holdout_share": config.site.holdout_share,
        "honour_gpc": config.site.honour_gpc,
        "consent": None if config.consent is None else config.consent.model_dump(),
        "origins": list(config.site.origins),
        "segments": [
            {
                "name": name,
                "condition": each.condition,
                **({"because": each.because} if each.because is not None else {}),
            }
            for name, each in config.segments.items()
        ],
        "attributes": attributes,
        **describe_plan(config),
        "categories": describe_categories(config),
        "pages": {name: list(each.pages) for name, each in config.touchpoints.items()},
        "interest": config.site.interest,
        "intent": None if config.intent is None else {"bias": config.intent.bias, "weights": config.intent.weights},
        "phrases": config.phrases,
        # Who has crossed over must also find the way back, when nobody is left to be joined.
        "has_profiles": model.linked + model.crossed > 0
        or (model.people > 0 and reads_profiles(config))
        or any(
            _finest_level(each, model.touchpoints[name]) == "individual" for name, each in config.touchpoints.items()
        ),
    }


def _describe_training(model: Model) -> dict[str, object]:
    return {
        "as_of_ms": model.as_of_ms,
        "first_ms": model.first_ms,
        "last_ms": model.last_ms,
        "sources": model.sources,
        "levels": {name: [each.level, each.reason] for name, each in model.touchpoints.items()},
    }
