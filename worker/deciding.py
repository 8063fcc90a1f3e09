"""Deciding a page while it is being fetched, at once or when the visitor's profile has come from KV; and what is to be
done with the page when it is there."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from shared.snapshot import WHOLE_SITE
from worker import client
from worker.asked import AskedPage, read_page_request
from worker.consent import forget_cookies, is_allowed
from worker.page_view import PageRequest, PageView, read_profile
from worker.upstream import is_rewritable
from worker.visitor import write_visitor

if TYPE_CHECKING:
    from shared.signing import Keys
    from shared.snapshot import Snapshot

Count = Callable[..., None]
# What is done with a page that has come; see `worker/page.mjs`.
PageAnswer = list[str | None]
AS_IT_IS: PageAnswer = []


class Deciding:
    """A page that has been asked for; `view` is None until it is decided, and where it is not. `profile_key` is the key
    of the profile that it waits for, or None.

    Nothing leaves it but counted reasons: the page itself always gets through.
    """

    __slots__ = (
        "_asked",
        "_count",
        "_has_waited",
        "_keys",
        "_request",
        "_snapshot",
        "at_ms",
        "profile_key",
        "view",
    )

    def __init__(self, at_ms: int, keys: Keys | None, count: Count) -> None:
        self.at_ms = at_ms
        self.view: PageView | None = None
        self.profile_key: str | None = None
        self._keys = keys
        self._count = count
        self._request: PageRequest | None = None  # until it is decided
        self._asked: AskedPage | None = None
        self._snapshot: Snapshot | None = None
        self._has_waited = False

    def start(
        self,
        asked: AskedPage,
        snapshot: Snapshot | None,
        random_bytes: Callable[[int], bytes],
        off: Container[str] = (),
    ) -> None:
        """Decide the page, or find out what profile to wait for; not where nobody may be told apart, nothing is known,
        or the site is switched off (`off` are the touchpoints that are)."""
        self._asked, self._snapshot = asked, snapshot
        try:
            if snapshot is None:
                self._count("no_snapshot")
            elif self._keys is not None and asked.method != "HEAD":
                if WHOLE_SITE in off:
                    self._count("switched_off")
                else:
                    self._read(asked, snapshot, self._keys, random_bytes, off)
        except Exception as error:  # noqa: BLE001 - the page itself always gets through
            self._count("decision_failed", repr(error))

    def take_profile(self, text: object, problem: str) -> None:
        """KV has answered, or failed with a problem: decide, unless the page could not wait for it."""
        if self._request is None:
            return
        if problem:
            self._count("kv_failed", problem)
        self._decide(self._request, text if isinstance(text, str) else None)

    def answer(self, described: str) -> PageAnswer | None:
        """What is to be done with the page that has come, described by status, content type and content encoding, a
        line each; None where it is to wait for its profile, which is said once only."""
        if not _is_page(described):
            return AS_IT_IS
        if self._request is not None:
            if not self._has_waited:
                self._has_waited = True
                return None
            self._count("profile_deadline")
            self._decide(self._request, None)
        view, keys = self.view, self._keys
        if view is None or keys is None:
            return [_forget(self._asked, self._snapshot) or ""] if self._asked is not None else [""]
        cookie, problem = write_visitor(view.visitor, keys)
        if problem is not None:
            self._count(problem)
        request = view.request
        script = client.script_tag(
            request.id, is_shown=request.is_shown, honours_gpc=request.snapshot.header.honour_gpc
        )
        answer: PageAnswer = [cookie, script]
        for slot in view.plan.slots:
            answer += (slot.decision.touchpoint, slot.html)
        return answer

    def _read(
        self,
        asked: AskedPage,
        snapshot: Snapshot,
        keys: Keys,
        random_bytes: Callable[[int], bytes],
        off: Container[str],
    ) -> None:
        request, problems = read_page_request(asked, snapshot, keys, self.at_ms, random_bytes, off)
        for problem in problems:
            self._count(problem)
        if request is None:
            return
        self.profile_key = request.profile_key
        if self.profile_key is None:
            self._decide(request, None)
        else:
            self._request = request

    def _decide(self, request: PageRequest, profile: str | None) -> None:
        """Decide all touchpoints of the page with the profile's text, or without one."""
        self._request = None
        try:
            known, problem = read_profile(profile)
            if problem is not None:
                self._count(problem)
            self.view = PageView(request, known)
            if self.view.is_profile_stale:
                self._count("profile_stale")
            for failure in self.view.plan.failures:
                self._count(failure)
        except Exception as error:  # noqa: BLE001 - named, counted, and the page goes on as it is
            self._count("decision_failed", repr(error))


def answer_undecided(described: str) -> PageAnswer:
    """What is to be done with what has come where nothing was decided: a page passes under the cache rule."""
    return [""] if _is_page(described) else AS_IT_IS


def _is_page(described: str) -> bool:
    status, content_type, content_encoding = described.split("\n")
    return is_rewritable(int(status), content_type, content_encoding)


def _forget(asked: AskedPage, snapshot: Snapshot | None) -> str | None:
    """What removes our cookies from a browser that may not have them (any more)."""
    header, cookies = snapshot.header if snapshot is not None else None, asked.header("cookie")
    return None if is_allowed(header, asked.header("sec-gpc"), cookies) else forget_cookies(cookies)
