"""What to do with one page: the decision of every touchpoint on it, and the HTML of the chosen variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.decision import Decision, Frozen, decide, preview
from shared.errors import InvalidSnapshot
from shared.events import Exposures
from shared.records import Touchpoint
from shared.signing import PREVIEW_PURPOSE, Keys, verify
from shared.situation import Situation


@dataclass(slots=True)
class Slot:
    """One touchpoint of a page: the decision, and the HTML to write (None: the page's own content stays). Nobody
    changes it; frozen it would be slow to make."""

    decision: Decision
    html: str | None


@dataclass(slots=True, kw_only=True)
class PagePlan:
    """The slots of a page, what they were decided from, and the reasons of what failed or fell back, to be counted."""

    slots: tuple[Slot, ...]
    situation: Situation
    failures: tuple[str, ...]


def plan_page(
    names: list[str], situation: Situation, frozen: Iterable[Frozen], *, forced: Mapping[str, str]
) -> PagePlan:
    """Decide every touchpoint of a page; one that fails shows its default and is counted, the others go on.

    What is `frozen` for the visitor is repeated. `forced` maps touchpoints to the variant that a preview link asks for.
    """
    slots: list[Slot] = []
    failures: list[str] = []
    kept = {each.touchpoint: each for each in frozen}
    for name in names:
        try:
            place = situation.snapshot.touchpoint(name)
            wanted = place.index_of(forced[name]) if name in forced else None
            decision = (
                preview(name, wanted, situation) if wanted is not None else decide(name, situation, kept.get(name))
            )
            slots.append(Slot(decision, _html_of(place, decision, situation)))
            failures.extend(decision.fallbacks)
        except InvalidSnapshot:
            failures.append("touchpoint_invalid")
    return PagePlan(slots=tuple(slots), situation=situation, failures=tuple(failures))


def _html_of(place: Touchpoint, decision: Decision, situation: Situation) -> str | None:
    """The chosen variant's HTML; a slate's in its order."""
    snapshot = situation.snapshot
    if not decision.slate:
        return snapshot.html(place.name, decision.variant_index)
    ranked = [
        snapshot.html(place.name, index) for name in decision.slate if (index := place.index_of(name)) is not None
    ]
    return "".join(html for html in ranked if html is not None)


def read_preview(keys: Keys, value: str | None) -> dict[str, str]:
    """Return the touchpoint and variant of a signed preview parameter, or nothing where it is not valid."""
    text = verify(keys, PREVIEW_PURPOSE, value) if value else None
    touchpoint, _, variant = (text or "").partition("=")
    return {touchpoint: variant} if variant else {}


def expose(plan: PagePlan, *, visitor: str, page_view: str, user_agent: str, is_shown: bool) -> Exposures:
    """Return what the exposures of the page's slots have in common."""
    situation = plan.situation
    attributes = situation.attributes
    session = attributes["session"]
    assert isinstance(session, Mapping)
    return Exposures(
        page_view=page_view,
        visitor=visitor,
        at_ms=situation.now_ms,
        url_path=str(attributes.get("path", "/")),
        user_agent=user_agent,
        is_shown=is_shown,
        segments=tuple([segment.name for segment in situation.segments]),
        context={name: value for name, value in attributes.items() if name not in ("session", "profile")},
        session=session,
    )
