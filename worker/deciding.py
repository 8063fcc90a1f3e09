"""Deciding a page while it is being fetched: at once, or when the visitor's profile has come from KV."""

from __future__ import annotations

from asyncio import Future, wait
from collections.abc import Callable

from worker.page_view import PageRequest, PageView, read_profile

Count = Callable[..., None]


class Deciding:
    """A page view whose decisions are being made; `view` is None until then, and where they failed.

    Nothing leaves it but counted reasons: the page itself always gets through.
    """

    __slots__ = ("_count", "_profile", "is_done", "request", "view")

    def __init__(self, request: PageRequest, count: Count) -> None:
        self.request = request
        self.is_done = False
        self.view: PageView | None = None
        self._count = count
        self._profile: Future[object] | None = None

    def wait_for_profile(self, profile: Future[object]) -> None:
        """Decide as soon as KV has answered; the page may be on its way meanwhile."""
        self._profile = profile
        profile.add_done_callback(self._take_profile)

    async def finish(self, margin_s: float) -> PageView | None:
        """The page is there: wait for the profile this much longer, then go on without it."""
        profile = self._profile
        if profile is not None and not self.is_done:
            await wait([profile], timeout=margin_s)
            if not self.is_done:
                self._count("profile_deadline")
                self.decide(None)
        return self.view

    def decide(self, profile: str | None) -> None:
        """Decide all touchpoints of the page with the profile's text, or without one."""
        self.is_done = True
        try:
            known, problem = read_profile(profile)
            if problem is not None:
                self._count(problem)
            self.view = PageView(self.request, known)
            if self.view.is_profile_stale:
                self._count("profile_stale")
            for failure in self.view.plan.failures:
                self._count(failure)
        except Exception as error:  # noqa: BLE001 - named, counted, and the page goes on as it is
            self._count("decision_failed", repr(error))

    def _take_profile(self, profile: Future[object]) -> None:
        if self.is_done:
            return
        text = None
        if not profile.cancelled() and profile.exception() is None:
            text = profile.result()
        else:
            self._count("kv_failed", repr(profile))
        self.decide(text if isinstance(text, str) else None)
