"""What to do with one page: the decision of every touchpoint on it, and the HTML of the chosen variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.decision import Decision, decide, preview, segments_of
from shared.errors import InvalidSnapshot
from shared.events import Exposure
from shared.paths import path_matches
from shared.signing import PREVIEW_PURPOSE, Keys, verify
from shared.snapshot import Snapshot
from worker.visitor import Visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One touchpoint of a page: the decision, and the HTML to write (None: the page's own content stays)."""

    decision: Decision
    html: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """The slots of a page, the segments they were decided for, and the reasons of what failed, to be counted."""

    slots: tuple[Slot, ...]
    segments: tuple[str, ...]
    failures: tuple[str, ...]


def touchpoints_on(snapshot: Snapshot, path: str) -> list[str]:
    """The names of the touchpoints that are configured for a URL path."""
    return [
        name
        for name, patterns in snapshot.header.pages.items()
        if any(path_matches(pattern, path) for pattern in patterns)
    ]


def plan_page(
    names: list[str],
    snapshot: Snapshot,
    visitor: Visitor,
    attributes: Mapping[str, object],
    now_ms: int,
    *,
    forced: Mapping[str, str],
) -> PagePlan:
    """Decide every touchpoint of a page; one that fails shows its default and is counted, the others go on.

    What is frozen for the visitor is repeated. `forced` maps touchpoints to the variant that a preview link asks for.
    """
    slots = []
    failures = []
    unit = visitor.as_unit()
    frozen = {each.touchpoint: each for each in visitor.frozen}
    for name in names:
        try:
            place = snapshot.touchpoint(name)
            wanted = place.index_of(forced[name]) if name in forced else None
            if wanted is None:
                decision = decide(name, unit, snapshot, attributes, now_ms, frozen.get(name))
            else:
                decision = preview(place, wanted, unit, snapshot.version)
            slots.append(Slot(decision=decision, html=place.variants[decision.variant_index].html))
        except InvalidSnapshot:
            failures.append("touchpoint_invalid")
    return PagePlan(slots=tuple(slots), segments=segments_of(snapshot, attributes), failures=tuple(failures))


def read_preview(keys: Keys, value: str | None) -> dict[str, str]:
    """Return the touchpoint and variant of a signed preview parameter, or nothing where it is not valid."""
    text = verify(keys, PREVIEW_PURPOSE, value) if value else None
    touchpoint, _, variant = (text or "").partition("=")
    return {touchpoint: variant} if variant else {}


def expose(
    slot: Slot,
    plan: PagePlan,
    context: Mapping[str, str],
    *,
    visitor: str,
    page_view: str,
    now_ms: int,
) -> Exposure:
    """Return the exposure event of a slot that was written."""
    return Exposure(
        event_id=f"{page_view}-{slot.decision.touchpoint}",
        created_ms=now_ms,
        received_ms=now_ms,
        visitor=visitor,
        page_view=page_view,
        url_path=context.get("path", "/"),
        decision=slot.decision,
        segments=plan.segments,
        context=context,
    )
