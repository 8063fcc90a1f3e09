"""The event API in words and as OpenAPI 3.1: who may send, what is answered, and when to send again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from origin.event_schema import ABOUT, event_json_schema
from shared.errors import Code
from shared.events import SCHEMA, Plan

PATH: Final = "/_usher/events"

# Why an event went to quarantine, for developers: its code, and what is wrong.
CODES: Final[Mapping[Code, str]] = MappingProxyType(
    {
        "not_an_object": "It is no JSON object.",
        "unknown_type": "There is no such type.",
        "missing": "A field that must be there is not, or nobody is named.",
        "wrong_type": "A field is of another kind, such as a text where a number belongs.",
        "out_of_range": "A number is out of its bounds, a text is empty or of another form, or the event happened "
        "after it was sent.",
        "too_long": "A text or list is too long, or the whole event is larger than 32 KB as it is stored.",
        "unplanned": "A field, property, goal, event, question or answer that the schema and the site's plan do not "
        "know.",
        "sensitive": "A name on the list of what is sensitive, such as `income` or `healthScore`.",
        "not_from_here": "Only servers, or only browsers, send this.",
        "too_old": "It happened more than 30 days before it was sent.",
        "signature": "The signature does not fit the user's id.",
        "not_configured": "It names a user, and the Worker has no key for that.",
    }
)
# Why a request was refused as a whole: status, code, and what is wrong.
REFUSALS: Final[Mapping[int, Mapping[str, str]]] = MappingProxyType(
    {
        400: {
            "not_json": "The body is no JSON in UTF-8, or is nested deeper than 100 levels.",
            "not_a_batch": "The body has no `sent_ms` and `events`.",
            "cut_short": "The body ended before its `Content-Length`.",
        },
        401: {
            "no_visitor": "There is neither the cookie of a page that Usher answered, nor a token.",
            "token": "The token is none of those configured.",
        },
        403: {"origin": "The page is of an origin that the site's configuration does not name."},
        405: {"method": "The request is neither POST nor OPTIONS."},
        413: {
            "too_large": "The body is too large: 64 KB from browsers, 512 KB from servers.",
            "too_many_events": "The batch is too large: 100 events from browsers, 1,000 from servers.",
        },
        415: {
            "content_type": "The body is neither `application/json` nor `text/plain`.",
            "content_encoding": "The body is compressed.",
        },
        429: {
            "visitor_limit": "Too many requests of this visitor.",
            "address_limit": "Too many requests of this address.",
        },
        503: {
            "no_keys": "The Worker has no keys yet.",
            "not_ready": "The site's configuration has not been read yet.",
            "queue": "The queue did not take the events.",
            "failed": "Something went wrong at the edge.",
            "newer_schema": "The batch is of a newer schema than this edge, as may be while a version is rolled out.",
        },
    }
)
# Those after which the same events may be sent again, once the time in Retry-After is over.
RETRIED: Final = (429, 503)
# Others that say nothing against the events themselves, and when they may be sent again.
MENDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cut_short": "yes",
        "no_visitor": "with the cookie",
        "token": "with the token",
        "origin": "once it is named",
        "method": "as a POST",
    }
)
_STATUS: Final = MappingProxyType(
    {
        400: "The body cannot be read.",
        401: "Nobody knows who sends this.",
        403: "Pages of this origin may not send events.",
        405: "Another method.",
        413: "The body or the batch is too large.",
        415: "A body of another kind.",
        429: "Too many requests. Keep the events, and send them again, under the same ids, after Retry-After.",
        503: "The events could not be taken. Keep them, and send them again, under the same ids, after Retry-After.",
    }
)


def describe_api(plan: Plan | None = None) -> dict[str, Any]:
    """Return the OpenAPI description of the event API; with a plan, of the events that one site knows."""
    schema = event_json_schema(plan, refer="#/components/schemas/{model}")
    definitions = schema.pop("$defs")
    responses = {str(status): _describe_refusals(status, REFUSALS[status]) for status in REFUSALS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Usher events", "version": str(SCHEMA), "description": ABOUT},
        "jsonSchemaDialect": schema["$schema"],
        "servers": [
            {
                "url": "https://{host}",
                "description": "The site itself: the edge answers below /_usher.",
                "variables": {"host": {"default": "www.example.com"}},
            }
        ],
        "paths": {
            PATH: {
                "post": {
                    "operationId": "sendEvents",
                    "summary": "Send a batch of events",
                    "description": "Each event is judged by itself. Success is answered once the events are safe; what "
                    "is sent twice, under the same `event_id`, counts once.",
                    "security": [{"cookie": []}, {"token": []}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            kind: {"schema": {"$ref": "#/components/schemas/Batch"}}
                            for kind in ("application/json", "text/plain")
                        },
                    },
                    "responses": {
                        "202": {
                            "description": "The events are safe; those named went to quarantine.",
                            "headers": {"Usher": _DONE},
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Verdicts"}}},
                        },
                        "204": {
                            "description": "The visitor may not be told apart (Global Privacy Control, no consent, or "
                            "an opt-out): nothing was kept, nothing is to be sent again.",
                            "headers": {"Usher": _DONE},
                        },
                        **responses,
                    },
                },
                "options": {
                    "operationId": "mayISend",
                    "summary": "Ask, as browsers do, whether a page of another origin may send events",
                    "security": [],
                    "responses": {
                        "204": {"description": "The answer is in the CORS headers."},
                        "403": responses["403"],
                        "503": responses["503"],
                    },
                },
            }
        },
        "components": {
            "securitySchemes": {
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-usher",
                    "description": "The signed cookie of a page that Usher answered. Browsers send it by themselves.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "For servers: one of the tokens of the Worker's secret USHER_SERVER_TOKENS.",
                },
            },
            "schemas": {
                "Batch": {key: schema[key] for key in ("anyOf", "description")},
                "Verdicts": _VERDICTS,
                **definitions,
            },
        },
    }


def when_again(status: int, code: str) -> str:
    """When the events of a refused request may be sent again, in a few words; "no": the same would be refused again."""
    return "after `Retry-After`" if status in RETRIED else MENDED.get(code, "no")


def _describe_refusals(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    listed = "\n".join([f"- `{code}`: {meaning}" for code, meaning in codes.items()])
    wait = {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
    final = {when_again(status, code) == "no" for code in codes}
    headers = {
        **({"Retry-After": wait} if status in RETRIED else {}),
        **({"Usher": {**_DONE, "required": final == {True}}} if True in final else {}),
    }
    return {
        "description": f"{_STATUS[status]}\n\n{listed}",
        **({"headers": headers} if headers else {}),
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["error", "remedy"],
                    "properties": {
                        "error": {"enum": list(codes), "description": "The reason, for programs."},
                        "remedy": {"type": "string", "description": "What to do instead, for people."},
                    },
                }
            }
        },
    }


_DONE: Final = {
    "description": "The batch is done with: its events are safe, or would be refused again. Where an answer does not "
    "say so, keep the events.",
    "required": True,
    "schema": {"const": "done"},
}
_VERDICTS: Final = {
    "type": "object",
    "required": ["accepted", "quarantined"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0, "description": "How many events were good."},
        "quarantined": {
            "type": "array",
            "description": "The others. They are kept aside; sent again as they are, they would be refused again.",
            "items": {
                "type": "object",
                "required": ["index", "code", "reason"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0, "description": "Its position in the batch, from 0."},
                    "code": {"enum": list(get_args(Code)), "description": "The reason, for programs."},
                    "reason": {"type": "string", "description": "The place and what is wrong there, for people."},
                },
            },
        },
    },
}
