"""Events as browsers and servers send them, for tests: one good event of each type, and what the edge knows beside."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from shared.events import BROWSER, SERVER, Given, Plan, PlannedEvent

SENT_MS: Final = 1_700_000_000_000
RECEIVED_MS: Final = SENT_MS + 9_000
IPHONE: Final = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
PLAN: Final = Plan(
    goals=("order", "signup"),
    events={
        "trial_begun": PlannedEvent(
            properties={"plan": "text", "seats": "whole", "price": "number", "yearly": "flag", "addons": "texts"},
            required=("plan",),
        ),
        "tour_ended": PlannedEvent(),
    },
    questions={"topic": ("coats", "shoes")},
)
# One event of each type with all that its sender may give beside the common fields.
WHOLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "page_view": {
        "url": "/men/coats?utm_source=letter&utm_campaign=may&size=44#top",
        "category": "coats",
        "referrer": "https://www.Google.com/search?q=coat",
        "campaign": {"source": "letter", "medium": "email", "name": "may", "term": "wool", "content": "top"},
        "viewport_width": 390,
        "viewport_height": 844,
        "language": "en-GB",
    },
    "engagement": {"depth": 62.5, "engaged_ms": 41_000, "sections": ["intro", "sizes"]},
    "shown": {"page_view": "pv-1"},
    "search": {"query": "wool coat, income tax", "results": 12, "category": "coats"},
    "click": {"target": "size guide", "href": "https://shop.test/sizes?from=men#uk", "touchpoint": "hero"},
    "add_to_cart": {
        "item": "c-17", "category": "coats", "quantity": 2, "value": 398.0, "currency": "GBP", "touchpoint": "hero",
    },
    "purchase": {"value": 199.5, "currency": "EUR", "order": "o-9", "items": ["c-17", "s-2"], "touchpoint": "hero"},
    "sign_up": {"method": "email", "touchpoint": "hero"},
    "identify": {"user": "alice@shop.test", "signature": "k1.good"},
    "preference": {"question": "topic", "answer": "coats"},
    "email_open": {"mailing": "may", "subject": "b", "touchpoint": "subject"},
    "email_click": {"mailing": "may", "href": "https://shop.test/men?u=1", "touchpoint": "subject"},
    "support_ticket": {"ticket": "t-4", "topic": "returns", "status": "closed"},
    "feature_used": {"feature": "export", "category": "reports"},
    "goal": {"name": "order", "touchpoint": "hero"},
    "custom": {
        "name": "trial_begun",
        "properties": {"plan": "team", "seats": 12, "price": 9.5, "yearly": True, "addons": ["sso"]},
        "touchpoint": "hero",
    },
}  # fmt: skip


def given(source: str = BROWSER, **changes: Any) -> Given:
    """What the edge knows: a browser's visitor on a phone, or a server, with keys for users and a plan."""
    of_browser = source == BROWSER
    known: dict[str, Any] = {
        "source": source,
        "visitor": "v-1" if of_browser else "",
        "session_ms": SENT_MS - 60_000 if of_browser else 0,
        "sent_ms": SENT_MS,
        "received_ms": RECEIVED_MS,
        "user_agent": IPHONE if of_browser else "",
        "plan": PLAN,
        "hash_user": lambda user: sha256(user.encode()).hexdigest()[:32],
        "is_signed": lambda user, signature: signature == "k1.good",  # noqa: ARG005
    }
    return Given(**{**known, **changes})


def event(name: str, source: str = BROWSER, /, **fields: Any) -> dict[str, Any]:
    """A good event of a type, all of whose fields are given; `fields` replace some, `...` leaves one out."""
    sent: dict[str, Any] = {"type": name, "event_id": "e-1", "created_ms": SENT_MS - 500, "page_view": "pv-1"}
    sent |= WHOLE[name]
    if source == SERVER:
        sent["visitor"] = "v-7"
        sent.pop("signature", None)
    return {key: value for key, value in {**sent, **fields}.items() if value is not ...}
