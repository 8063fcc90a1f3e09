"""Models and JSON Schema of the events that browsers and servers send, derived from the definition in `shared.events`.

There is a model for each type of event and kind of sender. They accept what `shared.events.read_event` accepts, but for
what no schema can say: times that do not fit each other, events that are too large as a whole, and, where no tracking
plan is given, sensitive names. The published schema is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    create_model,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.events import BROWSER, EVENT_TYPES, LATEST_MS, PROPERTY_KINDS, SCHEMA, SERVER, EventType, Plan, PlannedEvent
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

ABOUT: Final = (
    "What is sent to POST /_usher/events. The edge judges each event of a batch by itself. Beyond this schema it "
    "refuses events that happened later than they were sent or more than 30 days before, events of more than 32 KB, "
    "texts with half of a surrogate pair, and names on the list of what is sensitive (health, income, religion and so "
    "on)."
)


class Sent(BaseModel):
    """What is sent: no other fields than these, and nothing is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ServerSent(Sent):
    """What a server sends: it names the visitor, the user, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["visitor"], "properties": {"visitor": {"type": "string", "minLength": 1}}},
                {"required": ["user"], "properties": {"user": {"type": "string"}}},
            ]
        }
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not getattr(self, "visitor", None) and getattr(self, "user", None) is None:
            raise ValueError("name the visitor, or the user")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variant:
    """What a plan makes of a type: a name to tell it apart, the fields that it narrows, and whose are required now."""

    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()


def event_models(sender: str, plan: Plan | None = None) -> dict[str, list[type[BaseModel]]]:
    """Return the models of each type of event that a sender may send, by the type's name.

    With a plan, goals, custom events and answers are the plan's: a type may have several models, or none.
    """
    return {
        each.name: [_make_model(each, sender, variant) for variant in _find_variants(each.name, plan)]
        for each in EVENT_TYPES.values()
        if sender in each.senders
    }


def event_adapter(sender: str, plan: Plan | None = None) -> TypeAdapter[Any]:
    """Return what validates one event of a sender, whatever its type."""
    return TypeAdapter(_any_event(sender, plan))


def event_json_schema(plan: Plan | None = None, *, refer: str = "#/$defs/{model}") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a batch of events; with a plan, of those that one site knows.

    `refer` is the form of references to what stands in `$defs`.
    """
    batch: Any = _make_batch(BROWSER, plan) | _make_batch(SERVER, plan)
    schema = TypeAdapter(batch).json_schema(schema_generator=EventJsonSchema, ref_template=refer)
    title = f"Usher events, schema {SCHEMA}"
    return {"$schema": EventJsonSchema.schema_dialect, "title": title, "description": ABOUT, **schema}


class EventJsonSchema(GenerateJsonSchema):
    """JSON Schema without titles that only repeat names; a field that may be left out may be null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A simple type gets null beside it."""
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str) and "enum" not in inner:
            return {**inner, "type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """That null is the default goes without saying."""
        generated = super().default_schema(schema)
        if generated.get("default", "") is None:
            del generated["default"]
        return generated

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Names say enough."""
        return False


def _any_event(sender: str, plan: Plan | None) -> Any:
    alternatives: list[Any] = []
    for name, models in event_models(sender, plan).items():
        by = {"custom": "name", "preference": "question"}.get(name)
        together = reduce(or_, models) if models else None
        if together is not None:
            alternatives.append(Annotated[together, Field(discriminator=by)] if len(models) > 1 else together)
    return Annotated[reduce(or_, alternatives), Field(discriminator="type")]


def _make_batch(sender: str, plan: Plan | None) -> type[BaseModel]:
    event = _any_event(sender, plan)
    sent_ms = "When the batch left, by the same clock as `created_ms`: milliseconds since 1970."
    number = annotate(Whole(low=1, high=LATEST_MS))
    version = (
        "Version of the event schema that the sender was made for. An edge of an older one puts the batch off "
        "(`newer_schema`) instead of refusing what it does not know yet."
    )
    return create_model(
        f"{title_of(sender)}Batch",
        __base__=Sent,
        __doc__=f"What a {sender} sends in one request.",
        version=(number | None, Field(default=None, alias="schema", description=version)),  # `schema` is pydantic's own
        sent_ms=(annotate(Whole(low=0, high=LATEST_MS)), Field(description=sent_ms)),
        events=(list[event], Field(description="The events.")),  # type: ignore[valid-type]  # a value at run time
    )


def _find_variants(name: str, plan: Plan | None) -> Iterator[_Variant]:
    if plan is None or name not in ("goal", "custom", "preference"):
        yield _Variant()
    elif name == "goal":
        if plan.goals:
            yield _Variant(fields={"name": Literal[plan.goals]})
    elif name == "preference":
        for question, answers in plan.questions.items():
            yield _Variant(name=question, fields={"question": Literal[question], "answer": Literal[answers]})
    else:
        unplanned = tuple(goal for goal in plan.goals if goal not in plan.events)
        if unplanned:
            fields = {"name": Literal[unplanned], "properties": _make_properties("goal", PlannedEvent())}
            yield _Variant(name="goal", fields=fields)
        for event, planned in plan.events.items():
            fields = {"name": Literal[event], "properties": _make_properties(event, planned)}
            yield _Variant(name=event, fields=fields, required=("properties",) if planned.required else ())


def _make_properties(event: str, planned: PlannedEvent) -> type[BaseModel]:
    annotations = {key: annotate(PROPERTY_KINDS[kind]) for key, kind in planned.properties.items()}
    return _make_object(f"{title_of(event)}Properties", annotations, planned.required)


def _make_model(event_type: EventType, sender: str, variant: _Variant) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for each in event_type.fields_of(sender):
        annotation = Literal[event_type.name] if each.name == "type" else annotate(each.kind)
        annotation = variant.fields.get(each.name, annotation)
        if sender in each.required or each.name in variant.required:
            fields[each.name] = (annotation, Field(description=each.meaning))
        else:
            fields[each.name] = (annotation | None, Field(default=None, description=each.meaning))
    return create_model(
        title_of(sender) + title_of(event_type.name) + title_of(variant.name),
        __base__=ServerSent if sender == SERVER else Sent,
        __doc__=event_type.meaning,
        **fields,
    )


def _make_object(name: str, annotations: Mapping[str, Any], required: tuple[str, ...] = ()) -> type[BaseModel]:
    """A model of an object; names that pydantic keeps for itself are given as aliases."""
    fields: dict[str, Any] = {
        f"field_{i}": (each, Field(alias=key)) if key in required else (each | None, Field(default=None, alias=key))
        for i, (key, each) in enumerate(annotations.items())
    }
    return create_model(name, __base__=Sent, **fields)


def annotate(kind: Kind) -> Any:
    """The type of values of a kind, with their bounds."""
    match kind:
        case Text():
            return _annotate_text(kind)
        case Link(longest=longest):
            return Annotated[str, StringConstraints(max_length=longest)]
        case Choice(options=options):
            return Literal[options]
        case Whole(low=low, high=high):
            whole = Annotated[int, Field(ge=low, le=high)]
            return Annotated[whole, BeforeValidator(_make_whole, json_schema_input_type=whole)]
        case Number(low=low, high=high):
            return Annotated[float, Field(ge=low, le=high)]
        case Flag():
            return bool
        case Texts(most=most, longest=longest):
            return Annotated[list[annotate(Text(longest=longest))], Field(max_length=most)]  # type: ignore[misc]
        case Listed(of=of):
            return list[annotate(of)]  # type: ignore[misc]
        case Mapped(of=of):
            value = Any if of is None else annotate(of)
            return dict[str, value]  # type: ignore[valid-type]
        case NamedTexts(names=names, longest=longest):
            return _make_object("Campaign", dict.fromkeys(names, annotate(Text(longest=longest))))
        case Properties(most=most, longest_name=longest_name):
            name = annotate(Text(shortest=1, longest=longest_name))
            value = reduce(or_, map(annotate, PROPERTY_KINDS.values()))
            return Annotated[dict[name, value | None], Field(max_length=most)]  # type: ignore[valid-type]


def _annotate_text(kind: Text) -> Any:
    allowed = None if kind.pattern is None else f"^(?:{kind.pattern.pattern})$"
    bounds = StringConstraints(min_length=kind.shortest or None, max_length=kind.longest, pattern=allowed)
    if kind.reserved is None:
        return Annotated[str, bounds]
    begins = {"not": {"pattern": f"^(?:{kind.reserved.pattern})"}}
    refuse = AfterValidator(partial(_refuse_reserved, kind.reserved))
    return Annotated[str, bounds, refuse, Field(json_schema_extra=begins)]  # type: ignore[arg-type]  # it is JSON


def _refuse_reserved(reserved: re.Pattern[str], value: str) -> str:
    if reserved.match(value):
        raise ValueError("is reserved for the edge")
    return value


def _make_whole(value: object) -> object:
    """A float that is a whole number as such: JSON does not tell 3.0 from 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def title_of(name: str) -> str:
    """A name in the form that classes have."""
    return "".join([part[:1].upper() + part[1:] for part in name.replace("-", "_").replace(".", "_").split("_")])
