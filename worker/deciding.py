"""Deciding a page while it is being fetched: at once, or when the visitor's profile has come from KV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worker.page_view import PageRequest, PageView, read_profile

Count = Callable[..., None]


class Deciding:
    """A page view whose decisions are being made; `view` is None until then, and where they failed. `reading` is what
    the shell can wait for while a profile is read, and `number` what it knows the page by meanwhile.

    Nothing leaves it but counted reasons: the page itself always gets through.
    """

    __slots__ = ("_count", "is_done", "number", "reading", "request", "view")

    def __init__(self, request: PageRequest, count: Count) -> None:
        self.request = request
        self.is_done = False
        self.view: PageView | None = None
        self.reading: object = None
        self.number = 0
        self._count = count

    def take_profile(self, text: object, problem: str) -> None:
        """KV has answered, or failed with a problem: decide, unless the page could not wait for it."""
        if self.is_done:
            return
        if problem:
            self._count("kv_failed", problem)
        self.decide(text if isinstance(text, str) else None)

    async def finish(self, wait: Callable[[object], Awaitable[object]]) -> PageView | None:
        """The page is there: where KV has not answered yet, `wait` for the reading as long as may be, then go on
        without it."""
        if not self.is_done:
            await wait(self.reading)
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
