"""One page view on its way to the browser: who asks for what, what was decided, and which slots were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.errors import InvalidProfile
from shared.events import Exposure
from shared.profile import PROFILE_KEY, Profile
from shared.situation import situate
from shared.snapshot import Snapshot
from worker.plan import PagePlan, expose, plan_page
from worker.visitor import Visitor, remember


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What is known of a page view before its page arrives.

    `names` are the touchpoints of the page, `forced` the variants that a preview link asks for, `id` the page view's
    own; `is_shown` is false where the browser fetches the page ahead of its time.
    """

    id: str
    names: list[str]
    snapshot: Snapshot
    visitor: Visitor
    context: Mapping[str, str]
    preferences: Mapping[str, str]
    forced: Mapping[str, str]
    now_ms: int
    is_shown: bool

    @property
    def profile_key(self) -> str | None:
        """The key of the visitor's profile in KV; None where there can be none: on a first view, or none are there."""
        is_first = self.visitor.visits == 1 and self.visitor.views == 1
        return None if is_first or not self.snapshot.header.has_profiles else PROFILE_KEY + self.visitor.unit


def read_profile(text: str | None) -> tuple[Profile | None, str | None]:
    """Return the profile of what KV gave, and why there is none where it gave something."""
    if text is None:
        return None, None
    try:
        return Profile.from_text(text), None
    except InvalidProfile as error:
        return None, "profile_unknown_format" if error.path == "header.format" else "profile_invalid"


class PageView:
    """A page view whose decisions are made."""

    __slots__ = ("is_profile_stale", "plan", "request", "visitor")

    def __init__(self, request: PageRequest, profile: Profile | None) -> None:
        visitor = request.visitor
        session = visitor.as_session(request.preferences)
        if profile is not None and profile.header.unit != visitor.unit:
            profile = None
        situation = situate(visitor.unit, request.snapshot, profile, session, request.context, request.now_ms)
        self.is_profile_stale = profile is not None and situation.profile is None
        self.request = request
        self.plan: PagePlan = plan_page(request.names, situation, visitor.frozen, forced=request.forced)
        self.visitor = remember(visitor, [slot.decision for slot in self.plan.slots])

    def exposures(self, written: Iterable[int]) -> list[Exposure]:
        """The exposures of the slots, by index, that were written; none where the page is not shown yet."""
        if not self.request.is_shown:
            return []
        return [
            expose(self.plan.slots[index], self.plan, visitor=self.visitor.id, page_view=self.request.id)
            for index in written
        ]
