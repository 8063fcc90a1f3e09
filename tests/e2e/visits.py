"""What the browser tests do on the studio's pages, and what they find of it on the wire and in the lake."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from playwright.sync_api import BrowserContext, Page

from tests.e2e.world import PATIENCE_S, JsonEvent, World, eventually
from tests.origin.proxy import Answer, Call, Forward, Proxy, Rule, pass_on

# Seconds pass when a test says so: the script's tick is caught, and called by hand.
_CATCH_TICKS = "window.setInterval = (tick) => { (window.ticks ??= []).push(tick); return 0; };"
# Layout has been done, what observes it has been called, and so have the tasks that came of it.
_SETTLE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
_KEPT = "Object.keys(localStorage).filter((key) => /^usher\\d*!/.test(key)).sort().map((key) => localStorage[key])"
_CLOCK = "{ const now = Date.now; Date.now = () => now() + %d; }"


@dataclass(slots=True)
class Studio:
    """The studio's edge, and the wire that leads there: a proxy that hears all that browsers send."""

    world: World
    wire: Proxy

    def sent(self, *types: str) -> list[JsonEvent]:
        """The events of these types (any, where none is named) that browsers have sent, in the order they came."""
        batches: list[list[JsonEvent]] = [body["events"] for body in self.bodies()]  # type: ignore[misc]
        return [event for events in batches for event in events if not types or event["type"] in types]

    def bodies(self) -> list[dict[str, object]]:
        """The batches that browsers have sent, in the order they came."""
        return [json.loads(call.body) for call in self.wire.calls if _is_batch(call)]

    def asked(self, path: str) -> list[str]:
        """What browsers have asked that page for, in the order they came: its `Sec-Purpose`, empty for a visit."""
        calls = [call for call in self.wire.calls if call.method == "GET" and call.path == path]
        return [dict(call.headers).get("Sec-Purpose", "") for call in calls]

    def left_with(self, path: str) -> list[str]:
        """The records that came with the last request for that page."""
        [*_, call] = [call for call in self.wire.calls if call.path == path]
        pairs = [pair.partition("=") for pair in dict(call.headers).get("Cookie", "").split("; ")]
        return [record for name, _, value in pairs if name == "usher-left" for record in value.split("~")]

    def ids(self, *types: str) -> list[object]:
        """The ids of the events of these types that browsers have sent."""
        return [event["event_id"] for event in self.sent(*types)]

    def stored(self, wanted: Callable[[JsonEvent], bool], least: int = 1) -> list[JsonEvent]:
        """Wait for that many events of the wanted kind; returns them as the lake counts them: of copies, the first."""

        def key(event: JsonEvent) -> tuple[str, str]:
            return str(event["visitor"]), str(event["event_id"])

        def look() -> list[JsonEvent]:
            events = self.world.events(wanted)
            events.sort(key=lambda event: (*key(event), int(str(event["received_ms"]))))
            firsts = [next(copies) for _, copies in groupby(events, key)]
            return firsts if len(firsts) >= least else []

        return eventually(look, f"{least} different events")

    def told(self, view: str, *types: str, least: int = 1) -> list[JsonEvent]:
        """Wait for that many events of these types (any, where none is named) that the browser sent of a page view."""
        return self.stored(
            lambda event: (
                event["page_view"] == view
                and event.get("source") == "browser"
                and (not types or event["type"] in types)
            ),
            least,
        )


@dataclass(slots=True)
class Visit:
    """A tab of the window, on one of the studio's pages."""

    studio: Studio
    page: Page

    @property
    def view(self) -> str:
        """The id of the page view."""
        view = self.page.locator("script[data-view]").get_attribute("data-view")
        assert view is not None
        return view

    def go(self, path: str) -> Visit:
        """Go to a page of the studio; its script has run."""
        self.page.goto(self.studio.wire.url + path, wait_until="load")
        return self

    def follow(self, path: str) -> Visit:
        """Click on the link to another page, and wait until it is there."""
        self.page.get_by_role("link", name=path, exact=True).click()
        self.page.wait_for_url("**" + path, wait_until="load")
        return self

    def settle(self) -> None:
        """Wait until the page has seen what happened."""
        self.page.evaluate(_SETTLE)

    def scroll(self, to: str) -> None:
        """Scroll to a section, or to the very end."""
        where = f"document.querySelector('[data-usher-section=\"{to}\"]').scrollIntoView()"
        self.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)" if to == "end" else where)
        self.settle()

    def stay(self, seconds: int) -> None:
        """Let that many seconds pass on the page."""
        self.page.evaluate("(count) => { while (count--) for (const tick of ticks) tick(); }", seconds)

    def wait(self, seconds: int) -> None:
        """Put the clock forward on this page and those that follow in the tab; no timer runs out by that."""
        clock = _CLOCK % (seconds * 1000)
        self.page.evaluate(clock)
        self.page.add_init_script(clock)

    def paused_ms(self) -> int:
        """Wait until the tab's script has been told not to send for a while; returns how long from now on."""
        return eventually(lambda: max(0, int(self.page.evaluate("localStorage.usher - Date.now() || 0"))), "a pause")

    def front(self) -> None:
        """Bring the tab to the front; the others are hidden then, and have done what they do as they are left."""
        self.page.bring_to_front()
        self.page.wait_for_function("!document.hidden && document.hasFocus()")
        others = [page for page in self.page.context.pages if page != self.page]
        eventually(lambda: all(page.evaluate("document.hidden") for page in others), "the other tabs to be hidden")

    def track(self, *values: int) -> list[str]:
        """Track purchases of these values, in one go; returns their ids."""
        ids = [f"order-{self.view}-{value}" for value in values]
        orders = [
            {"event_id": name, "value": value, "currency": "EUR"} for name, value in zip(ids, values, strict=True)
        ]
        self.page.evaluate("(orders) => { for (const order of orders) usher.track('purchase', order); }", orders)
        return ids

    def kept(self) -> list[JsonEvent]:
        """The events that the browser keeps because nobody has answered for them."""
        return [json.loads(text) for text in self.page.evaluate(_KEPT)]

    def await_answers(self) -> None:
        """Wait until the edge has answered for everything."""
        eventually(lambda: not self.kept(), "the edge's answers")


def visit(studio: Studio, window: BrowserContext, path: str = "/") -> Visit:
    """Open a page of the studio in a new tab, where seconds pass by hand."""
    tab = Visit(studio, window.new_page())
    tab.page.add_init_script(_CATCH_TICKS)
    return tab.go(path)


def left(window: BrowserContext) -> list[str]:
    """The records that the pages of the window have left for the edge."""
    cookies = {cookie["name"]: cookie["value"] for cookie in window.cookies()}
    return cookies["usher-left"].split("~") if "usher-left" in cookies else []


@contextmanager
def offline(window: BrowserContext) -> Iterator[None]:
    """The browser has no network, and knows it."""
    window.set_offline(True)
    try:
        yield
    finally:
        window.set_offline(False)


@contextmanager
def batches(studio: Studio, rule: Rule) -> Iterator[None]:
    """Have the wire follow a rule for the batches of events; pages pass."""

    def follow(call: Call, forward: Forward) -> Answer | None:
        return rule(call, forward) if _is_batch(call) else forward(call)

    studio.wire.rule = follow
    try:
        yield
    finally:
        studio.wire.rule = pass_on


@contextmanager
def hold(studio: Studio) -> Iterator[None]:
    """Have batches of events arrive, and hold them up on the way to the edge until the block ends."""
    is_over = threading.Event()

    def wait(call: Call, forward: Forward) -> Answer:
        is_over.wait(PATIENCE_S)
        return forward(call)

    with batches(studio, wait):
        try:
            yield
        finally:
            is_over.set()


def give(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Rule:
    """The rule of a wire on which somebody else answers; nothing reaches the edge."""

    def rule(call: Call, forward: Forward) -> Answer:
        del call, forward
        return Answer(status=status, headers=tuple((headers or {}).items()), body=body)

    return rule


def cut(call: Call, forward: Forward) -> Answer | None:
    """The rule of a wire that is cut: nothing arrives, nothing is answered."""
    del call, forward
    return None


def lose_answer(call: Call, forward: Forward) -> Answer | None:
    """The rule of a wire that is cut on the way back."""
    forward(call)
    return None


def _is_batch(call: Call) -> bool:
    return call.method == "POST" and call.path == "/_usher/events"


@contextmanager
def faults(studio: Studio, **named: dict[str, object]) -> Iterator[None]:
    """Have bindings of the edge fail for a while, `EVENTS_send={"error": …}`, or take their time."""
    studio.world.fail(**named)
    try:
        yield
    finally:
        studio.world.fail()
