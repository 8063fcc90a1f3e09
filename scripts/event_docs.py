"""Write what is derived of the event schema into docs/: the tables of events.md, the JSON Schemas, openapi.json.

Run as `python -m scripts.event_docs` after a change of the definition (`shared/events/definition.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from origin.event_api import CODES, REFUSALS, describe_api, when_again
from origin.event_schema import event_json_schema
from origin.stored_schema import stored_json_schema
from shared.events import BROWSER, EVENT_TYPES, GOAL_TYPES, PROPERTY_KINDS, SERVER, STORED, EventType, Field
from shared.events.fields import SENT
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

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
_REGION: Final = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_tables(text: str) -> str:
    """Return a document with what stands between its markers (`<!-- begin: types -->`, `<!-- end -->`) made anew."""
    return _REGION.sub(lambda found: f"{found[1]}{_TABLES[found[2]]()}{found[3]}", text)


def make_documents() -> dict[Path, str]:
    """Return what the derived documents should hold."""
    path = DOCS / "events.md"
    return {
        path: fill_tables(path.read_text(encoding="utf-8")),
        DOCS / "events.schema.json": _dump(event_json_schema()),
        DOCS / "events.stored.schema.json": _dump(stored_json_schema()),
        DOCS / "openapi.json": _dump(describe_api()),
    }


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def describe_kind(kind: Kind) -> str:
    """A kind of values in a few words."""
    match kind:
        case Text(wanted=wanted, pattern=pattern, longest=longest) if pattern is not None:
            return wanted if longest < 10 else f"{wanted}, up to {longest:,}"
        case Text(longest=longest, shortest=shortest):
            return f"text, {shortest} to {longest:,}" if shortest else f"text, up to {longest:,}"
        case Link(longest=longest):
            return f"URL, up to {longest:,}"
        case Choice(options=options):
            return " or ".join([f"`{each}`" for each in options])
        case Whole(low=low, high=high):
            return f"whole number, {_number(low)} to {_number(high)}"
        case Number(low=low, high=high):
            return f"number, {_number(low)} to {_number(high)}"
        case Flag():
            return "true or false"
        case Texts(most=most, longest=longest):
            return f"list of up to {most:,} texts, each up to {longest:,}"
        case Listed(of=of):
            return f"list of {_plural(of)}"
        case Mapped(of=of):
            return "object" if of is None else f"object of {_plural(of)}"
        case NamedTexts(names=names, longest=longest):
            return f"object of {', '.join([f'`{each}`' for each in names])}: texts up to {longest:,}"
        case Properties(most=most):
            return f"object of up to {most} properties"


def _plural(kind: Text | Whole | Number) -> str:
    bounds = describe_kind(kind).partition(", ")[2]
    names = {Text: "texts", Whole: "whole numbers", Number: "numbers"}
    return f"{names[type(kind)]}, each {bounds}"


def _number(value: float) -> str:
    if abs(value) == 1 << 53:
        return "2⁵³" if value > 0 else "−2⁵³"
    if abs(value) == 1e12:
        return "10¹²" if value > 0 else "−10¹²"
    return f"{value:,.0f}".replace("-", "−")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join([f"| {' | '.join(cells)} |\n" for cells in lines])


def _row(field: Field, *, who: bool = False) -> tuple[str, ...]:
    need = {(): "", (BROWSER, SERVER): "yes", (BROWSER,): "from browsers", (SERVER,): "from servers"}[field.required]
    if who and field.senders == (SERVER,):
        need = need or "only servers"
    return f"`{field.name}`", describe_kind(field.kind), need, field.meaning


def _common() -> str:
    return _table(("field", "value", "required", "meaning"), [_row(field, who=True) for field in SENT])


def _types() -> str:
    return "\n".join([_type(each) for each in EVENT_TYPES.values() if each.senders])


def _type(event_type: EventType) -> str:
    senders = "" if len(event_type.senders) > 1 else f" Only {event_type.senders[0]}s send it."
    goal = " A goal may be reached by it." if event_type.is_goal else ""
    sent = [_row(field, who=True) for field in event_type.fields if field.senders]
    table = _table(("field", "value", "required", "meaning"), sent) if sent else "It has no fields of its own.\n"
    filled = [f"`{field.name}` ({_lower(field.meaning)})" for field in event_type.fields if not field.senders]
    added = f"\nThe edge adds {', '.join(filled)}.\n" if filled else ""
    return f"### `{event_type.name}`\n\n{event_type.meaning}{senders}{goal}\n\n{table}{added}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


def _stored() -> str:
    return _table(("field", "value", "meaning"), [(f"`{f.name}`", describe_kind(f.kind), f.meaning) for f in STORED])


def _edge() -> str:
    return "\n".join([_logged(each) for each in EVENT_TYPES.values() if not each.senders])


def _logged(event_type: EventType) -> str:
    rows = [(f"`{each.name}`", describe_kind(each.kind), each.meaning) for each in event_type.fields]
    return f"### `{event_type.name}`\n\n{event_type.meaning}\n\n{_table(('field', 'value', 'meaning'), rows)}"


def _codes() -> str:
    return _table(("code", "what is wrong"), [(f"`{code}`", meaning) for code, meaning in CODES.items()])


def _refusals() -> str:
    rows = [
        (str(status), f"`{code}`", meaning, when_again(status, code))
        for status, codes in REFUSALS.items()
        for code, meaning in codes.items()
    ]
    return _table(("status", "error", "what is wrong", "send again"), rows)


def _properties() -> str:
    return _table(("type", "value"), [(f"`{name}`", describe_kind(kind)) for name, kind in PROPERTY_KINDS.items()])


def _goals() -> str:
    return ", ".join([f"`{name}`" for name in GOAL_TYPES]) + "\n"


_TABLES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "common": _common, "types": _types, "stored": _stored, "edge": _edge, "codes": _codes, "refusals": _refusals,
        "properties": _properties, "goals": _goals,
    }
)  # fmt: skip


def main() -> None:
    """Write the documents."""
    for path, text in make_documents().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
