"""One page view on its way to the browser: who asks for what, what was decided, and which slots were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.errors import InvalidProfile
from shared.profile import PROFILE_KEY, Profile
from shared.session import Session
from shared.situation import situate
from shared.snapshot import Snapshot
from worker.crossing import Crossing, adopt_draws, find_unit
from worker.plan import PagePlan, expose, plan_page
from worker.storage import event_line, event_lines
from worker.visitor import Visitor, remember


@dataclass(slots=True, kw_only=True)
class PageRequest:
    """What is known of a page view before its page arrives.

    `names` are the touchpoints of the page (one that is only observed has none), `forced` the variants that a preview
    link asks for, `id` the page view's own; `is_shown` is false where the browser fetches the page ahead of its time.
    `visitor` is as the cookie will keep it, `session` as decisions read it: with this page, even if it is not shown
    yet. `user_agent` is cut. Nobody changes it; frozen it would be slow to make.
    """

    id: str
    names: list[str]
    snapshot: Snapshot
    visitor: Visitor
    session: Session
    context: Mapping[str, str]
    forced: Mapping[str, str]
    now_ms: int
    is_shown: bool
    user_agent: str

    @property
    def profile_key(self) -> str | None:
        """The key of the visitor's profile in KV; None where there can be none (on a first view, or none are there) and
        where nothing asks for it: past a session's first view, which may find another unit, only decisions do.

        It is the visitor's own, not that of the unit in the cookie: a device that turns out not to be the person's
        finds its way back there.
        """
        views, visits = self.session.views, self.session.visits
        is_needed = visits > 1 if views == 1 else bool(self.names)
        return PROFILE_KEY + self.visitor.id if is_needed and self.snapshot.header.has_profiles else None


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

    __slots__ = ("crossing", "is_profile_stale", "plan", "request", "visitor")

    def __init__(self, request: PageRequest, profile: Profile | None) -> None:
        visitor, session = request.visitor, request.session
        unit = find_unit(visitor, session, profile)
        self.crossing: Crossing | None = None
        if unit != visitor.unit:
            self.crossing = Crossing(
                visitor=visitor.id,
                session_ms=session.started_ms,
                page_view=request.id,
                at_ms=request.now_ms,
                unit_before=visitor.unit,
                unit=unit,
            )
            visitor = Visitor(visitor.id, unit, visitor.session, (), visitor.reported)
        elif profile is not None and profile.header.unit != unit:
            profile = None
        situation = situate(unit, request.snapshot, profile, session, request.context, request.now_ms)
        self.is_profile_stale = profile is not None and situation.profile is None
        if situation.profile is not None and situation.profile.header.draws:
            frozen = adopt_draws(visitor.frozen, session, situation.profile.header.draws)
            visitor = Visitor(visitor.id, unit, visitor.session, frozen, visitor.reported)
        self.request = request
        self.plan: PagePlan = plan_page(request.names, situation, visitor.frozen, forced=request.forced)
        self.visitor = remember(visitor, [slot.decision for slot in self.plan.slots])

    def lines(self, written: Iterable[int]) -> list[str]:
        """What is stored of the page view when it has ended, a line each: that its visitor took over another unit, and
        the exposures of the slots, by index, that were written."""
        lines = [event_line(self.crossing.to_dict())] if self.crossing is not None else []
        decisions = [self.plan.slots[index].decision for index in written]
        if decisions:
            request = self.request
            exposures = expose(
                self.plan,
                visitor=self.visitor.id,
                page_view=request.id,
                user_agent=request.user_agent,
                is_shown=request.is_shown,
            )
            lines += event_lines(exposures.common(), map(exposures.own, decisions))
        return lines
