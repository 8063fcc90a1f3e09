"""The event schema: every type of event and every field, in one table from which all else is derived.

The readers, the tracking plan's check, the models and the published JSON Schema of the origin, the columns of the lake
and the documentation read this table. A change to it that older rows of the lake do not fit raises `SCHEMA`, and so
does a type or field more that the client's script sends: an edge that does not know them yet puts its batches off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from shared.devices import DEVICES
from shared.events.kinds import (
    Choice,
    Flag,
    Kind,
    Link,
    Listed,
    Mapped,
    NamedTexts,
    Number,
    Properties,
    Text,
    Texts,
    Whole,
)

SCHEMA: Final = 3
LATEST_MS: Final = 1 << 53
MAX_ID: Final = 100
MAX_EVENT_BYTES: Final = 32 * 1024
MOST_PROPERTIES: Final = 30
LONGEST_NAME: Final = 100
BROWSER: Final = "browser"
SERVER: Final = "server"
EDGE: Final = "edge"
CAMPAIGN: Final = ("source", "medium", "name", "term", "content")
_BOTH: Final = (BROWSER, SERVER)
_MOST_VALUE: Final = 1e12
_MOST_COUNT: Final = 1_000_000_000

# What a visitor's id is made of: more than the edge ever takes for one, and not what addresses are made of.
VISITOR_ID: Final = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
# The id of a page view: when it was asked for (ms, in hex; eleven digits until the year 2527), and eight random bytes.
PAGE_VIEW_ID: Final = r"[0-9a-f]{11}-[0-9a-f]{16}"

_TIME: Final = Whole(low=0, high=LATEST_MS)
_ID: Final = Text(longest=MAX_ID)
# The edge's own events have the id of their page view and something behind it: others would take their place.
_EVENT_ID: Final = Text(shortest=1, longest=MAX_ID, reserved=re.compile(f"{PAGE_VIEW_ID}-", re.ASCII))
_VISITOR: Final = Text(
    longest=MAX_ID,
    pattern=VISITOR_ID,
    wanted="a visitor's id (letters, digits, _ . ~ -), not a user's",
)
_WORDS: Final = Text(longest=200)
_USER: Final = Text(shortest=1, longest=200, is_secret=True)
_NAME: Final = Text(shortest=1, longest=200)
_COUNT: Final = Whole(low=0, high=_MOST_COUNT)
_VALUE: Final = Number(low=-_MOST_VALUE, high=_MOST_VALUE)
_SHARE: Final = Number(low=0, high=1)
_CURRENCY: Final = Text(longest=3, pattern=re.compile("[A-Z]{3}"), wanted="a currency of three capital letters")
_NAMES: Final = Listed(of=_WORDS)
_WHOLES: Final = Listed(of=_COUNT)
_SHARES: Final = Listed(of=_SHARE)
# An epoch may hold a snapshot's version, and a sentence a phrase of 200 characters that repeats a value of 200.
_EPOCH: Final = Text(longest=250)
_SENTENCE: Final = Text(longest=6_000)
_PATH: Final = Text(longest=2000, pattern=re.compile(r"/[\s\S]*", re.ASCII), wanted='a path that begins with "/"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its name, what kind of value it has and means; who sends it, and who must (nobody: the edge fills it
    in); whether it is kept under its name, and whether every stored event of its type has it."""

    name: str
    kind: Kind
    meaning: str
    senders: tuple[str, ...] = _BOTH
    required: tuple[str, ...] = ()
    is_stored: bool = True
    is_always: bool = False


def _must(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name=name, kind=kind, meaning=meaning, required=_BOTH, is_always=True)


def _may(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name=name, kind=kind, meaning=meaning)


def _filled(name: str, kind: Kind, meaning: str, *, is_always: bool = True) -> Field:
    return Field(name=name, kind=kind, meaning=meaning, senders=(), is_always=is_always)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event: what it means, its own fields, who may send it, and whether a goal may be reached by it."""

    name: str
    meaning: str
    fields: tuple[Field, ...] = ()
    senders: tuple[str, ...] = _BOTH
    is_goal: bool = False

    def fields_of(self, sender: str) -> tuple[Field, ...]:
        """The fields that a sender may give, the common ones first; a type may have one of those as its own."""
        own = {each.name for each in self.fields}
        every = (*(each for each in SENT if each.name not in own), *self.fields)
        return tuple(each for each in every if sender in each.senders)

    @property
    def stored_fields(self) -> tuple[Field, ...]:
        """The fields of a stored event: the common ones, and its own that are kept under their names."""
        common = {each.name for each in STORED}
        return (*STORED, *(each for each in self.fields if each.is_stored and each.name not in common))


# What every event may carry, as it is sent.
SENT: Final = (
    _must("type", Text(shortest=1, longest=40), "The type of the event."),
    _must(
        "event_id",
        _EVENT_ID,
        "Unique within the visitor (within the site, where only a user is named). Sent again, an event keeps its id. "
        "None begins with the id of a page view and a hyphen: those are the edge's own.",
    ),
    _must("created_ms", _TIME, "When it happened, by the sender's own clock: milliseconds since 1970."),
    _may("page_view", _ID, "Id of the page view it happened on, as the client script knows it."),
    Field(
        name="visitor",
        kind=_VISITOR,
        meaning="The visitor: for browsers that of the signed cookie. A server names it, or `user`, or both.",
        senders=(SERVER,),
    ),
    Field(
        name="user",
        kind=_USER,
        meaning="The signed-in user, by the site's own id. Only its keyed hash is kept.",
        senders=(SERVER,),
    ),
)
# What every event has as it is stored, beside its own fields.
STORED: Final = (
    _filled("schema", Whole(low=1, high=SCHEMA), "Version of the event schema."),
    _filled("type", Text(longest=40), "The type of the event."),
    _filled("event_id", _ID, "Unique within the visitor."),
    _filled("created_ms", _TIME, "When it happened, by the sender's clock."),
    _filled("sent_ms", _TIME, "When its batch was sent, by the sender's clock."),
    _filled("received_ms", _TIME, "When the edge received it, by the edge's clock."),
    _filled("happened_ms", _TIME, "When it happened by the edge's clock: received − (sent − created)."),
    _filled("visitor", _VISITOR, "The visitor; empty where a server named a user only."),
    _filled(
        "session_ms",
        _TIME,
        "Start of the visitor's session, which identifies it. 0 where it is not known: of what servers report, and of "
        "what happened before the session in which it is delivered.",
    ),
    _filled("page_view", _ID, "Id of the page view; empty where there was none."),
    _filled("source", Choice(options=(BROWSER, SERVER, EDGE)), "Who reported it."),
    _filled("user", _ID, "Keyed hash of the signed-in user's id; empty where nobody was named."),
)

_TOUCHPOINT: Final = _may("touchpoint", _WORDS, "The touchpoint in whose slot it happened.")
_CATEGORY: Final = _may("category", _WORDS, "Content category.")
_AGENT_SAYS: Final = "What the browser says it is, cut to 200 characters."

_TYPES: Final = (
    EventType(
        name="page_view",
        meaning="A page was opened.",
        fields=(
            Field(
                name="url",
                kind=_PATH,
                meaning="Path and query of the page. Kept are the path and what the query says of a campaign.",
                required=_BOTH,
                is_stored=False,
            ),
            _may(
                "category", _WORDS, "Content category; where absent, that of `[categories]` which the path belongs to."
            ),
            _may("referrer", Text(longest=2000), "URL of the page that led here; its host is kept."),
            _may(
                "campaign",
                NamedTexts(names=CAMPAIGN, longest=200),
                "Campaign parameters; where absent, those of the URL (`utm_source` and so on).",
            ),
            _may("viewport_width", Whole(low=0, high=100_000), "Width of the visible part of the page, in CSS pixels."),
            _may("viewport_height", Whole(low=0, high=100_000), "Height of it."),
            _may("language", Text(longest=35), "Language of the page or browser, as in `en-GB`."),
            _may("driven", Flag(), "Whether a program drives the browser (`navigator.webdriver`)."),
            _filled("url_path", _PATH, "Path of the page."),
            _filled("device", Choice(options=DEVICES), "Device class, by the user agent.", is_always=False),
            _filled("user_agent", _WORDS, _AGENT_SAYS, is_always=False),
        ),
    ),
    EventType(
        name="engagement",
        meaning="What became of a page view: how far it was read, and how long.",
        fields=(
            _may("depth", Number(low=0, high=100), "How far the page was scrolled, in per cent of its height."),
            _may("engaged_ms", Whole(low=0, high=86_400_000), "Time on the page while it was visible."),
            _may("sections", Texts(most=20, longest=100), "Names of the sections that were read."),
        ),
        senders=(BROWSER,),
    ),
    EventType(
        name="shown",
        meaning="A page that had been fetched or rendered ahead of its time was really shown.",
        fields=(_must("page_view", Text(shortest=1, longest=MAX_ID), "Id of the page view that was shown."),),
        senders=(BROWSER,),
    ),
    EventType(
        name="search",
        meaning="The site's search was used.",
        fields=(
            _must("query", Text(longest=500), "What was searched for."),
            _may("results", _COUNT, "How many results there were."),
            _CATEGORY,
        ),
        is_goal=True,
    ),
    EventType(
        name="click",
        meaning="Something was clicked.",
        fields=(
            _must("target", _NAME, "Name of what was clicked."),
            _may("href", Link(longest=2000), "Where it leads; query and fragment are not kept."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="add_to_cart",
        meaning="An item was put into the cart.",
        fields=(
            _must("item", _NAME, "The site's id of the item."),
            _CATEGORY,
            _may("quantity", _COUNT, "How many of it."),
            _may("value", _VALUE, "What they cost together."),
            _may("currency", _CURRENCY, "Currency of `value`, as in `EUR`."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="purchase",
        meaning="An order was placed, online or elsewhere.",
        fields=(
            _must("value", _VALUE, "What the order is worth; below 0 where money went back."),
            _must("currency", _CURRENCY, "Its currency, as in `EUR`."),
            _may("order", _NAME, "The site's id of the order."),
            _may("items", Texts(most=100, longest=100), "The site's ids of the items."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="sign_up",
        meaning="An account was made, or a newsletter or trial begun.",
        fields=(_may("method", _WORDS, "By what means, as in `email`."), _TOUCHPOINT),
        is_goal=True,
    ),
    EventType(
        name="identify",
        meaning="The visitor signed in.",
        fields=(
            Field(
                name="visitor",
                kind=replace(_VISITOR, shortest=1),
                meaning="The visitor who signed in.",
                senders=(SERVER,),
                required=(SERVER,),
            ),
            Field(
                name="user",
                kind=_USER,
                required=_BOTH,
                meaning="The user, by the site's own id. Only its keyed hash is kept.",
            ),
            Field(
                name="signature",
                kind=Text(longest=200, is_secret=True),
                meaning="Proof by the site's server: `<key id>.<HMAC-SHA-256 of the user id, in hex>`.",
                senders=(BROWSER,),
                required=(BROWSER,),
                is_stored=False,
            ),
        ),
    ),
    EventType(
        name="preference",
        meaning="The visitor answered a question about what they like.",
        fields=(
            _must("question", Text(shortest=1, longest=LONGEST_NAME), "Name of the question."),
            _must("answer", Text(shortest=1, longest=LONGEST_NAME), "The answer, one of those configured."),
        ),
    ),
    EventType(
        name="email_open",
        meaning="An e-mail was opened.",
        fields=(
            _must("mailing", _NAME, "The site's name of the mailing."),
            _may("subject", _WORDS, "Name of the subject line's variant."),
            _TOUCHPOINT,
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="email_click",
        meaning="A link in an e-mail was followed.",
        fields=(
            _must("mailing", _NAME, "The site's name of the mailing."),
            _may("href", Link(longest=2000), "Where the link leads; query and fragment are not kept."),
            _TOUCHPOINT,
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="support_ticket",
        meaning="A support ticket was opened, or moved on.",
        fields=(
            _must("ticket", _NAME, "The site's id of the ticket."),
            _may("topic", _WORDS, "What it is about."),
            _may("status", Choice(options=("opened", "answered", "closed")), "Where it stands; `opened` if not given."),
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="feature_used",
        meaning="A feature of the product was used.",
        fields=(_must("feature", _NAME, "Name of the feature."), _CATEGORY),
        is_goal=True,
    ),
    EventType(
        name="goal",
        meaning="A goal of the configuration was reached.",
        fields=(_must("name", _NAME, "Name of the goal, one of `[goals.…]`."), _TOUCHPOINT),
    ),
    EventType(
        name="custom",
        meaning="An event of the site's own, planned in `[events.…]`, or a goal by its name.",
        fields=(
            _must("name", _NAME, "Name of the event, one of `[events.…]` or `[goals.…]`."),
            Field(
                name="properties",
                kind=Properties(most=MOST_PROPERTIES, longest_name=LONGEST_NAME),
                meaning="Its properties, each as planned.",
                is_always=True,
            ),
            _TOUCHPOINT,
        ),
    ),
    EventType(
        name="crossing",
        meaning="A visitor's cookie took over another unit: the person was known by it already.",
        fields=(
            _filled("unit_before", _ID, "The unit that decisions were made for until then."),
            _filled("unit", _ID, "The unit from then on."),
        ),
        senders=(),
    ),
    EventType(
        name="receipt",
        meaning="What one queue message held, so that the balance of a day can be drawn up.",
        fields=(
            _filled("isolate", _ID, "Random id of the isolate that sent it."),
            _filled("number", _COUNT, "Its number among the isolate's messages, from 1 on."),
            _filled("events", _COUNT, "Events in this message."),
            _filled("quarantined", _COUNT, "Quarantined events in this message."),
            _filled("counted", _COUNT, "Events and quarantined events in all earlier messages of the isolate."),
            _filled("void", _WHOLES, "Numbers of earlier messages that the queue refused."),
            _filled("void_counted", _WHOLES, "Events and quarantined events in each of those."),
            _filled("void_lost", _WHOLES, "Those of `void` whose events nobody keeps: they are lost."),
        ),
        senders=(),
    ),
    EventType(
        name="exposure",
        meaning="A variant was shown: the decision, and what it was made from.",
        fields=(
            _filled("url_path", _PATH, "Path of the page."),
            _filled("user_agent", _WORDS, _AGENT_SAYS),
            _filled("is_shown", Flag(), "False where the page was fetched ahead of its time; it counts once `shown`."),
            _filled("touchpoint", _WORDS, "The touchpoint that was decided."),
            _filled("unit", _ID, "For whom it was decided."),
            _filled("epoch", _EPOCH, "For how long the decision lasts."),
            _filled("variant", _WORDS, "The variant that was shown; of a ranked list, the first."),
            _filled("propensity", _SHARE, "The probability with which it was chosen."),
            _filled("eligible", _NAMES, "The variants that were drawn from."),
            _filled("excluded", _NAMES, "The variants that targeting had removed."),
            _filled("earlier", _NAMES, "Digests of those it had removed at earlier draws of the epoch."),
            _filled("probabilities", _SHARES, "The probabilities of the eligible ones."),
            _filled("level", _WORDS, "The level of the posteriors that were used."),
            _filled("cell", _WORDS, "The cell of them."),
            _filled("holdout", Flag(), "Whether the visitor is never personalised."),
            _filled("randomised", Flag(), "Whether evaluation may use the decision."),
            _filled("relaxations", _NAMES, "Constraints that these variants could not satisfy."),
            _filled("fallbacks", _NAMES, "Why a finer level was not used."),
            _filled("reason", _WORDS, "Why this variant, as a code."),
            _filled("because", _SENTENCE, "The same for the visitor to read."),
            _filled("snapshot", _WORDS, "Version of the snapshot."),
            _filled("profile", _WORDS, "Version of the profile; empty where none was used."),
            _filled("slate", _NAMES, "The variants of all positions of a ranked list.", is_always=False),
            _filled("slate_propensities", _SHARES, "The conditional probabilities of those.", is_always=False),
            _filled("segments", _NAMES, "The segments that the visitor belongs to."),
            _filled("context", Mapped(of=_WORDS), "The attributes of the request."),
            _filled("session", Mapped(), "The attributes of the session."),
        ),
        senders=(),
    ),
)
EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType({each.name: each for each in _TYPES})
# The standard types by which a goal may be reached.
GOAL_TYPES: Final = tuple(each.name for each in _TYPES if each.is_goal)
