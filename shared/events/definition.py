"""The event schema: every type of event and every field, in one table from which all else is derived.

The readers, the tracking plan's check, the models and the published JSON Schema of the origin, the columns of the lake
and the documentation read this table. A change to it that older rows of the lake do not fit raises `SCHEMA`, and so
does a type or field more that the client's script sends: an edge that does not know them yet puts its batches off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from shared.devices import DEVICES
from shared.events.fields import (
    BOTH,
    BROWSER,
    COUNT,
    CURRENCY,
    EPOCH,
    ID,
    LONGEST_NAME,
    MAX_ID,
    NAME,
    NAMES,
    PATH,
    SENTENCE,
    SERVER,
    SHARE,
    SHARES,
    USER,
    VALUE,
    VISITOR,
    WHOLES,
    WORDS,
    EventType,
    Field,
    filled,
    may,
    must,
)
from shared.events.kinds import Choice, Flag, Link, Mapped, NamedTexts, Number, Properties, Text, Texts, Whole

MOST_PROPERTIES: Final = 30
CAMPAIGN: Final = ("source", "medium", "name", "term", "content")

_TOUCHPOINT: Final = may("touchpoint", WORDS, "The touchpoint in whose slot it happened.")
_CATEGORY: Final = may("category", WORDS, "Content category.")
_AGENT_SAYS: Final = "What the browser says it is, cut to 200 characters."

_TYPES: Final = (
    EventType(
        name="page_view",
        meaning="A page was opened.",
        fields=(
            Field(
                name="url",
                kind=PATH,
                meaning="Path and query of the page. Kept are the path and what the query says of a campaign.",
                required=BOTH,
                is_stored=False,
            ),
            may("category", WORDS, "Content category; where absent, that of `[categories]` which the path belongs to."),
            may("referrer", Text(longest=2000), "URL of the page that led here; its host is kept."),
            may(
                "campaign",
                NamedTexts(names=CAMPAIGN, longest=200),
                "Campaign parameters; where absent, those of the URL (`utm_source` and so on).",
            ),
            may("viewport_width", Whole(low=0, high=100_000), "Width of the visible part of the page, in CSS pixels."),
            may("viewport_height", Whole(low=0, high=100_000), "Height of it."),
            may("language", Text(longest=35), "Language of the page or browser, as in `en-GB`."),
            may("driven", Flag(), "Whether a program drives the browser (`navigator.webdriver`)."),
            filled("url_path", PATH, "Path of the page."),
            filled("device", Choice(options=DEVICES), "Device class, by the user agent.", is_always=False),
            filled("user_agent", WORDS, _AGENT_SAYS, is_always=False),
        ),
    ),
    EventType(
        name="engagement",
        meaning="What became of a page view: how far it was read, and how long.",
        fields=(
            may("depth", Number(low=0, high=100), "How far the page was scrolled, in per cent of its height."),
            may("engaged_ms", Whole(low=0, high=86_400_000), "Time on the page while it was visible."),
            may("sections", Texts(most=20, longest=100), "Names of the sections that were read."),
        ),
        senders=(BROWSER,),
    ),
    EventType(
        name="shown",
        meaning="A page that had been fetched or rendered ahead of its time was really shown.",
        fields=(must("page_view", Text(shortest=1, longest=MAX_ID), "Id of the page view that was shown."),),
        senders=(BROWSER,),
    ),
    EventType(
        name="search",
        meaning="The site's search was used.",
        fields=(
            must("query", Text(longest=500), "What was searched for."),
            may("results", COUNT, "How many results there were."),
            _CATEGORY,
        ),
        is_goal=True,
    ),
    EventType(
        name="click",
        meaning="Something was clicked.",
        fields=(
            must("target", NAME, "Name of what was clicked."),
            may("href", Link(longest=2000), "Where it leads; query and fragment are not kept."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="add_to_cart",
        meaning="An item was put into the cart.",
        fields=(
            must("item", NAME, "The site's id of the item."),
            _CATEGORY,
            may("quantity", COUNT, "How many of it."),
            may("value", VALUE, "What they cost together."),
            may("currency", CURRENCY, "Currency of `value`, as in `EUR`."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="purchase",
        meaning="An order was placed, online or elsewhere.",
        fields=(
            must("value", VALUE, "What the order is worth; below 0 where money went back."),
            must("currency", CURRENCY, "Its currency, as in `EUR`."),
            may("order", NAME, "The site's id of the order."),
            may("items", Texts(most=100, longest=100), "The site's ids of the items."),
            _TOUCHPOINT,
        ),
        is_goal=True,
    ),
    EventType(
        name="sign_up",
        meaning="An account was made, or a newsletter or trial begun.",
        fields=(may("method", WORDS, "By what means, as in `email`."), _TOUCHPOINT),
        is_goal=True,
    ),
    EventType(
        name="identify",
        meaning="The visitor signed in.",
        fields=(
            Field(
                name="visitor",
                kind=replace(VISITOR, shortest=1),
                meaning="The visitor who signed in.",
                senders=(SERVER,),
                required=(SERVER,),
            ),
            Field(
                name="user",
                kind=USER,
                required=BOTH,
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
            must("question", Text(shortest=1, longest=LONGEST_NAME), "Name of the question."),
            must("answer", Text(shortest=1, longest=LONGEST_NAME), "The answer, one of those configured."),
        ),
    ),
    EventType(
        name="email_open",
        meaning="An e-mail was opened.",
        fields=(
            must("mailing", NAME, "The site's name of the mailing."),
            may("subject", WORDS, "Name of the subject line's variant."),
            _TOUCHPOINT,
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="email_click",
        meaning="A link in an e-mail was followed.",
        fields=(
            must("mailing", NAME, "The site's name of the mailing."),
            may("href", Link(longest=2000), "Where the link leads; query and fragment are not kept."),
            _TOUCHPOINT,
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="support_ticket",
        meaning="A support ticket was opened, or moved on.",
        fields=(
            must("ticket", NAME, "The site's id of the ticket."),
            may("topic", WORDS, "What it is about."),
            may("status", Choice(options=("opened", "answered", "closed")), "Where it stands; `opened` if not given."),
        ),
        senders=(SERVER,),
        is_goal=True,
    ),
    EventType(
        name="feature_used",
        meaning="A feature of the product was used.",
        fields=(must("feature", NAME, "Name of the feature."), _CATEGORY),
        is_goal=True,
    ),
    EventType(
        name="goal",
        meaning="A goal of the configuration was reached.",
        fields=(must("name", NAME, "Name of the goal, one of `[goals.…]`."), _TOUCHPOINT),
    ),
    EventType(
        name="custom",
        meaning="An event of the site's own, planned in `[events.…]`, or a goal by its name.",
        fields=(
            must("name", NAME, "Name of the event, one of `[events.…]` or `[goals.…]`."),
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
            filled("unit_before", ID, "The unit that decisions were made for until then."),
            filled("unit", ID, "The unit from then on."),
        ),
        senders=(),
    ),
    EventType(
        name="receipt",
        meaning="What one queue message held, so that the balance of a day can be drawn up.",
        fields=(
            filled("isolate", ID, "Random id of the isolate that sent it."),
            filled("number", COUNT, "Its number among the isolate's messages, from 1 on."),
            filled("events", COUNT, "Events in this message."),
            filled("quarantined", COUNT, "Quarantined events in this message."),
            filled("counted", COUNT, "Events and quarantined events in all earlier messages of the isolate."),
            filled("void", WHOLES, "Numbers of earlier messages that the queue refused."),
            filled("void_counted", WHOLES, "Events and quarantined events in each of those."),
            filled("void_lost", WHOLES, "Those of `void` whose events nobody keeps: they are lost."),
        ),
        senders=(),
    ),
    EventType(
        name="exposure",
        meaning="A variant was shown: the decision, and what it was made from.",
        fields=(
            filled("url_path", PATH, "Path of the page."),
            filled("user_agent", WORDS, _AGENT_SAYS),
            filled("is_shown", Flag(), "False where the page was fetched ahead of its time; it counts once `shown`."),
            filled("touchpoint", WORDS, "The touchpoint that was decided."),
            filled("unit", ID, "For whom it was decided."),
            filled("epoch", EPOCH, "For how long the decision lasts."),
            filled("variant", WORDS, "The variant that was shown; of a ranked list, the first."),
            filled("propensity", SHARE, "The probability with which it was chosen."),
            filled("eligible", NAMES, "The variants that were drawn from."),
            filled("excluded", NAMES, "The variants that targeting had removed."),
            filled("earlier", NAMES, "Digests of those it had removed at earlier draws of the epoch."),
            filled("probabilities", SHARES, "The probabilities of the eligible ones."),
            filled("level", WORDS, "The level of the posteriors that were used."),
            filled("cell", WORDS, "The cell of them."),
            filled("holdout", Flag(), "Whether the visitor is never personalised."),
            filled("randomised", Flag(), "Whether evaluation may use the decision."),
            filled("relaxations", NAMES, "Constraints that these variants could not satisfy."),
            filled("fallbacks", NAMES, "Why a finer level was not used."),
            filled("reason", WORDS, "Why this variant, as a code."),
            filled("because", SENTENCE, "The same for the visitor to read."),
            filled("snapshot", WORDS, "Version of the snapshot."),
            filled("profile", WORDS, "Version of the profile; empty where none was used."),
            filled("slate", NAMES, "The variants of all positions of a ranked list.", is_always=False),
            filled("slate_propensities", SHARES, "The conditional probabilities of those.", is_always=False),
            filled("segments", NAMES, "The segments that the visitor belongs to."),
            filled("context", Mapped(of=WORDS), "The attributes of the request."),
            filled("session", Mapped(), "The attributes of the session."),
        ),
        senders=(),
    ),
)
EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType({each.name: each for each in _TYPES})
# The standard types by which a goal may be reached.
GOAL_TYPES: Final = tuple(each.name for each in _TYPES if each.is_goal)
