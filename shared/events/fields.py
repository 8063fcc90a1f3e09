"""What a field of an event is and what a type is, the values that fields have, and the fields that all events share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.events.kinds import Choice, Kind, Listed, Number, Text, Whole

SCHEMA: Final = 3
LATEST_MS: Final = 1 << 53
MAX_ID: Final = 100
MAX_EVENT_BYTES: Final = 32 * 1024
LONGEST_NAME: Final = 100
BROWSER: Final = "browser"
SERVER: Final = "server"
EDGE: Final = "edge"
BOTH: Final = (BROWSER, SERVER)
MOST_VALUE: Final = 1e12
MOST_COUNT: Final = 1_000_000_000

# What a visitor's id is made of: more than the edge ever takes for one, and not what addresses are made of.
VISITOR_ID: Final = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
# The id of a page view: when it was asked for (ms, in hex; eleven digits until the year 2527), and eight random bytes.
PAGE_VIEW_ID: Final = r"[0-9a-f]{11}-[0-9a-f]{16}"

TIME: Final = Whole(low=0, high=LATEST_MS)
ID: Final = Text(longest=MAX_ID)
# The edge's own events have the id of their page view and something behind it: others would take their place.
EVENT_ID: Final = Text(shortest=1, longest=MAX_ID, reserved=re.compile(f"{PAGE_VIEW_ID}-", re.ASCII))
VISITOR: Final = Text(
    longest=MAX_ID,
    pattern=VISITOR_ID,
    wanted="a visitor's id (letters, digits, _ . ~ -), not a user's",
)
WORDS: Final = Text(longest=200)
USER: Final = Text(shortest=1, longest=200, is_secret=True)
NAME: Final = Text(shortest=1, longest=200)
COUNT: Final = Whole(low=0, high=MOST_COUNT)
VALUE: Final = Number(low=-MOST_VALUE, high=MOST_VALUE)
SHARE: Final = Number(low=0, high=1)
CURRENCY: Final = Text(longest=3, pattern=re.compile("[A-Z]{3}"), wanted="a currency of three capital letters")
NAMES: Final = Listed(of=WORDS)
WHOLES: Final = Listed(of=COUNT)
SHARES: Final = Listed(of=SHARE)
# An epoch may hold a snapshot's version, and a sentence a phrase of 200 characters that repeats a value of 200.
EPOCH: Final = Text(longest=250)
SENTENCE: Final = Text(longest=6_000)
PATH: Final = Text(longest=2000, pattern=re.compile(r"/[\s\S]*", re.ASCII), wanted='a path that begins with "/"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its name, what kind of value it has and means; who sends it, and who must (nobody: the edge fills it
    in); whether it is kept under its name, and whether every stored event of its type has it."""

    name: str
    kind: Kind
    meaning: str
    senders: tuple[str, ...] = BOTH
    required: tuple[str, ...] = ()
    is_stored: bool = True
    is_always: bool = False


def must(name: str, kind: Kind, meaning: str) -> Field:
    """A field that whoever sends the event must give."""
    return Field(name=name, kind=kind, meaning=meaning, required=BOTH, is_always=True)


def may(name: str, kind: Kind, meaning: str) -> Field:
    """A field that whoever sends the event may give."""
    return Field(name=name, kind=kind, meaning=meaning)


def filled(name: str, kind: Kind, meaning: str, *, is_always: bool = True) -> Field:
    """A field that the edge fills in: always, or where it knows what belongs there."""
    return Field(name=name, kind=kind, meaning=meaning, senders=(), is_always=is_always)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event: what it means, its own fields, who may send it, and whether a goal may be reached by it."""

    name: str
    meaning: str
    fields: tuple[Field, ...] = ()
    senders: tuple[str, ...] = BOTH
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
    must("type", Text(shortest=1, longest=40), "The type of the event."),
    must(
        "event_id",
        EVENT_ID,
        "Unique within the visitor (within the site, where only a user is named). Sent again, an event keeps its id. "
        "None begins with the id of a page view and a hyphen: those are the edge's own.",
    ),
    must("created_ms", TIME, "When it happened, by the sender's own clock: milliseconds since 1970."),
    may("page_view", ID, "Id of the page view it happened on, as the client script knows it."),
    Field(
        name="visitor",
        kind=VISITOR,
        meaning="The visitor: for browsers that of the signed cookie. A server names it, or `user`, or both.",
        senders=(SERVER,),
    ),
    Field(
        name="user",
        kind=USER,
        meaning="The signed-in user, by the site's own id. Only its keyed hash is kept.",
        senders=(SERVER,),
    ),
)
# What every event has as it is stored, beside its own fields.
STORED: Final = (
    filled("schema", Whole(low=1, high=SCHEMA), "Version of the event schema."),
    filled("type", Text(longest=40), "The type of the event."),
    filled("event_id", ID, "Unique within the visitor."),
    filled("created_ms", TIME, "When it happened, by the sender's clock."),
    filled("sent_ms", TIME, "When its batch was sent, by the sender's clock."),
    filled("received_ms", TIME, "When the edge received it, by the edge's clock."),
    filled("happened_ms", TIME, "When it happened by the edge's clock: received − (sent − created)."),
    filled("visitor", VISITOR, "The visitor; empty where a server named a user only."),
    filled(
        "session_ms",
        TIME,
        "Start of the visitor's session, which identifies it. 0 where it is not known: of what servers report, and of "
        "what happened before the session in which it is delivered.",
    ),
    filled("page_view", ID, "Id of the page view; empty where there was none."),
    filled("source", Choice(options=(BROWSER, SERVER, EDGE)), "Who reported it."),
    filled("user", ID, "Keyed hash of the signed-in user's id; empty where nobody was named."),
)
