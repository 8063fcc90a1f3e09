"""Models and JSON Schema of events as they are stored, those that the edge logs included, derived from the definition.

They describe what this version's edge writes. Rows of earlier schemas lack fields that came later, and some of what is
read of a field, such as the query of a URL, is stored nowhere.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from origin.event_schema import EventJsonSchema, annotate, title_of
from shared.events import EVENT_TYPES, SCHEMA, EventType

ABOUT: Final = (
    f"An event as the edge of schema {SCHEMA} stores it: a line of the objects below events/ in the bucket. What "
    "earlier schemas wrote may lack fields. In the lake's tables, lists and objects are JSON text."
)


class Stored(BaseModel):
    """What is stored: no other fields than these, and a field that was not sent is not there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def stored_models() -> dict[str, type[BaseModel]]:
    """Return the model of each type of event, by the type's name."""
    return {name: _make_model(each) for name, each in EVENT_TYPES.items()}


def stored_adapter() -> TypeAdapter[Any]:
    """Return what validates one stored event, whatever its type."""
    models: Any = reduce(or_, stored_models().values())
    return TypeAdapter(Annotated[models, Field(discriminator="type")])


def stored_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one stored event."""
    schema = stored_adapter().json_schema(schema_generator=EventJsonSchema)
    title = f"Usher events as they are stored, schema {SCHEMA}"
    return {"$schema": EventJsonSchema.schema_dialect, "title": title, "description": ABOUT, **schema}


def _make_model(event_type: EventType) -> type[BaseModel]:
    fixed: dict[str, Any] = {"type": Literal[event_type.name], "schema": Literal[SCHEMA]}
    fields: dict[str, Any] = {}
    for each in event_type.stored_fields:
        name = "version" if each.name == "schema" else each.name  # `schema` is pydantic's own
        described: dict[str, Any] = {"alias": each.name, "description": each.meaning}
        annotation = fixed.get(each.name) or annotate(each.kind)
        fields[name] = (annotation, Field(**described) if each.is_always else Field(default=None, **described))
    return create_model(f"Stored{title_of(event_type.name)}", __base__=Stored, __doc__=event_type.meaning, **fields)
