"""The script that the edge adds to personalised pages: it reports clicks on `data-usher-goal`."""

from __future__ import annotations

from typing import Final

PATH: Final = "/_usher/usher.js"
CACHE_CONTROL: Final = "public, max-age=3600"

SCRIPT: Final = """(() => {
  const view = document.currentScript?.dataset.view;
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  const id = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");
  const load = () => {
    try { return JSON.parse(sessionStorage.getItem("usher") ?? "[]"); } catch { return []; }
  };
  const store = (events) => {
    try { sessionStorage.setItem("usher", JSON.stringify(events.slice(-50))); } catch {}
  };
  // An event stays until the edge has said that it has it; it is sent again under the same id.
  const send = () => {
    const events = load();
    if (!events.length) return;
    const body = JSON.stringify({ sent_ms: Date.now(), events });
    const request = { method: "POST", body, keepalive: true, headers: { "content-type": "application/json" } };
    fetch("/_usher/events", request).then(({ status }) => {
      if (status === 429 || status >= 500) return;
      const sent = new Set(events.map((event) => event.event_id));
      store(load().filter((event) => !sent.has(event.event_id)));
    }, () => {});
  };
  const track = (name, touchpoint) => {
    store([...load(), { type: "goal", event_id: id(), name, touchpoint, page_view: view, created_ms: Date.now() }]);
    send();
  };
  send();
  addEventListener("click", (event) => {
    const goal = event.target.closest?.("[data-usher-goal]");
    if (goal) track(goal.dataset.usherGoal, goal.closest("[data-usher]")?.dataset.usher);
  }, true);
  // What the visitor declares is left in a small cookie that the edge reads with the next page.
  const prefer = (question, answer) => {
    const cookie = document.cookie.match(/(?:^|; )usher-said=([^;]+)/)?.[1];
    const said = new Map(cookie?.split(".").map((pair) => pair.split(":")));
    said.set(question, answer);
    const pairs = [...said].slice(-3).map((pair) => pair.join(":")).join(".");
    document.cookie = `usher-said=${pairs}; path=/; max-age=34560000; samesite=lax; secure`;
  };
  window.usher = { track, prefer };
})();
"""


def script_tag(page_view: str) -> str:
    """The element that loads the script; it stays within a strict Content-Security-Policy of `script-src 'self'`."""
    return f'<script src="{PATH}" data-view="{page_view}" defer></script>'
