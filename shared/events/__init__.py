"""Events: what browsers and servers report and what the edge logs, one JSON object each, of one schema.

`definition` is the table of all types and fields, from which everything else is derived: `reading`, which turns what
was sent into what is stored; the models, the JSON Schemas and the documentation at the origin. `fields` says what a
field and a type are, `kinds` are the kinds of values a field may have and `values` reads one; `plan` is what a site has
said beforehand about its own events, `redaction` what is kept of an event that is refused, `exposure` what the edge
logs of a decision.

An event happened at `received − (sent − created)`, which cancels a wrong clock of the sender. It is identified by its
visitor and its `event_id`; of copies, the one received first counts.
"""

from __future__ import annotations

from shared.events.definition import EVENT_TYPES, GOAL_TYPES, MOST_PROPERTIES
from shared.events.exposure import LOGGED, Exposures
from shared.events.fields import (
    BROWSER,
    EDGE,
    LATEST_MS,
    MAX_EVENT_BYTES,
    MAX_ID,
    PAGE_VIEW_ID,
    SCHEMA,
    SERVER,
    STORED,
    VISITOR_ID,
    EventType,
    Field,
)
from shared.events.plan import MOST_QUESTIONS, PROPERTY_KINDS, Plan, PlannedEvent
from shared.events.reading import MAX_AGE_MS, Given, read_event
from shared.events.redaction import redact

__all__ = [
    "BROWSER",
    "EDGE",
    "EVENT_TYPES",
    "GOAL_TYPES",
    "LATEST_MS",
    "LOGGED",
    "MAX_AGE_MS",
    "MAX_EVENT_BYTES",
    "MAX_ID",
    "MOST_PROPERTIES",
    "MOST_QUESTIONS",
    "PAGE_VIEW_ID",
    "PROPERTY_KINDS",
    "SCHEMA",
    "SERVER",
    "STORED",
    "VISITOR_ID",
    "EventType",
    "Exposures",
    "Field",
    "Given",
    "Plan",
    "PlannedEvent",
    "read_event",
    "redact",
]
