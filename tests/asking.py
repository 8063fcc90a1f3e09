"""How tests ask for decisions: sites, profiles and situations with everything filled in that a test leaves open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.decision import Decision, Frozen, decide, freeze
from shared.policy import thompson_probabilities
from shared.profile import Profile, write_profile
from shared.session import Session
from shared.situation import Situation, is_in_holdout, situate
from shared.snapshot import Snapshot, write_snapshot
from worker.page_view import PageView

Record = dict[str, object]
Records = dict[str, Record]

NOW_MS = 1_700_000_000_000
PHONE: Record = {"device": "mobile"}
TREATED = "u-1"  # not in the holdout of a site that holds out a tenth
SESSION = Session(started_ms=5)


def cell(means: Sequence[float], sds: Sequence[float] | None = None) -> Record:
    """The record of a cell, with its exact probabilities; standard deviations of 1 where none are given."""
    spread = [1.0] * len(means) if sds is None else list(sds)
    return {"means": list(means), "sds": spread, "probabilities": thompson_probabilities(means, spread)}


def variant(name: str, **fields: object) -> Record:
    """A variant without HTML and without a floor, but for the given fields."""
    return {"name": name, "html": None, "floor": 0.0, **fields}


def place(*variants: str | Record, **fields: object) -> Record:
    """The record of a touchpoint with these variants (a name stands for a plain one)."""
    listed = [variant(each) if isinstance(each, str) else each for each in variants]
    return {"variants": listed, "default": 0, "epoch": "session", "pages": ["/"], "goal": "order", **fields}


def publish(records: Mapping[str, Record], **header: object) -> Snapshot:
    """A snapshot of these records that holds nobody out, but for the given fields of its header."""
    filled: Record = {
        "version": "v1",
        "site": "shop",
        "created_ms": 0,
        "holdout_share": 0.0,
        "segments": [],
        "attributes": [],
        "goals": ["order"],
        "pages": {},
        **header,
    }
    return Snapshot.from_text(write_snapshot(filled, records))


def publish_hero(hero: Record, *, cells: Mapping[str, Record] | None = None, **header: object) -> Snapshot:
    """A snapshot whose one touchpoint is `hero`; `cells` by level and name (`global:`), even ones where not given."""
    listed = hero["variants"]
    assert isinstance(listed, list)
    known = {"global:": cell([0.0] * len(listed))} if cells is None else cells
    return publish({"touchpoint:hero": hero, **{f"cell:hero:{key}": each for key, each in known.items()}}, **header)


def remade(header: Record, records: Records, *, header_change: Record | None = None, **hero: object) -> Snapshot:
    """The site with fields of its header and of `hero` changed."""
    changed = {**records, "touchpoint:hero": {**records["touchpoint:hero"], **hero}}
    return Snapshot.from_text(write_snapshot({**header, **(header_change or {})}, changed))


def profile_of(
    unit: str = TREATED,
    *,
    scores: Mapping[tuple[str, str], Record] | None = None,
    age_ms: int = 0,
    cluster: str = "",
    attributes: Mapping[str, object] | None = None,
    **header: object,
) -> Profile:
    """A profile computed `age_ms` before NOW_MS; `scores` by touchpoint and model version."""
    header = {
        "unit": unit,
        "version": "p1",
        "computed_ms": NOW_MS - age_ms,
        "cluster": cluster,
        "attributes": attributes or {},
        **header,
    }
    return Profile.from_text(write_profile(header, scores or {}))


def situation_of(
    site: Snapshot,
    unit: str = TREATED,
    attributes: Mapping[str, object] | None = None,
    *,
    session: Session | None = None,
    profile: Profile | None = None,
    now_ms: int = NOW_MS,
) -> Situation:
    """The situation of a unit; on a phone and five milliseconds after the epoch began where nothing else is said."""
    return situate(unit, site, profile, session or SESSION, PHONE if attributes is None else attributes, now_ms)


def ask(
    site: Snapshot,
    unit: str = TREATED,
    attributes: Mapping[str, object] | None = None,
    *,
    touchpoint: str = "hero",
    session: Session | None = None,
    profile: Profile | None = None,
    now_ms: int = NOW_MS,
    frozen: Frozen | None = None,
) -> Decision:
    """Decide one touchpoint for a unit."""
    situation = situation_of(site, unit, attributes, session=session, profile=profile, now_ms=now_ms)
    return decide(touchpoint, situation, frozen)


def frozen_of(decision: Decision) -> Frozen:
    """What is frozen of a decision that was drawn."""
    frozen = freeze(decision)
    assert frozen is not None
    return frozen


def holdout_unit(site: Snapshot) -> str:
    """A unit that the site holds out."""
    header = site.header
    return next(f"u-{k}" for k in range(1_000) if is_in_holdout(header.site, f"u-{k}", header.holdout_share))


def events_of(view: PageView, written: Iterable[int]) -> list[dict[str, Any]]:
    """What is stored of a page view whose slots, by index, were written."""
    lines = view.lines(written)
    assert {line[:1] for line in lines} <= {"e"}
    return [json.loads(line[1:]) for line in lines]
