"""Whatever arrives, a reader returns or raises the one error it promises."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.conditions import compile_condition
from shared.errors import InvalidCondition, InvalidSnapshot
from shared.events import BROWSER
from shared.paths import path_matches
from shared.signing import read_keys, sign, verify
from shared.snapshot import Snapshot, write_snapshot
from tests import sending
from tests.property.documents import Json
from worker.admission import ALLOWANCES
from worker.answers import Refusal
from worker.context import read_context
from worker.cookies import COOKIE, read_cookie, without_cookie
from worker.intake import Batch, read_batch
from worker.receipts import Receipts
from worker.storage import pack_batch, pack_messages
from worker.visitor import read_visitor

OPERATORS = [
    "$eq",
    "$ne",
    "$in",
    "$nin",
    "$ini",
    "$nini",
    "$all",
    "$alli",
    "$size",
    "$elemMatch",
    "$exists",
    "$type",
    "$not",
    "$lt",
    "$lte",
    "$gt",
    "$gte",
    "$vgt",
    "$vlt",
    "$veq",
    "$vne",
    "$inGroup",
    "$notInGroup",
    "$and",
    "$or",
    "$nor",
    "$other",
]
Conditions = st.recursive(
    Json,
    lambda inner: st.dictionaries(st.sampled_from([*OPERATORS, "name", "a.b"]), inner | st.lists(inner, max_size=3)),
    max_leaves=10,
)
KEYS = read_keys("k1:0123456789abcdef")


def read_all(text: str) -> None:
    """Read a snapshot with every record that it holds."""
    snapshot = Snapshot.from_text(text)
    for name in snapshot.header.pages:
        for i in snapshot.touchpoint(name).everyone:
            snapshot.html(name, i)
        snapshot.cell(name, "global", "")
        for segment in snapshot.header.segments:
            snapshot.cell(name, "segment", segment.name)


def is_read_or_refused(text: str) -> bool:
    try:
        read_all(text)
    except InvalidSnapshot as error:
        return bool(str(error))
    return True


@given(st.text())
def test_any_text_is_a_snapshot_or_invalid(text: str) -> None:
    assert is_read_or_refused(text)


@given(Json, st.lists(st.tuples(st.text(max_size=20), Json), max_size=4))
def test_any_json_lines_are_a_snapshot_or_invalid(header: object, records: list[tuple[str, object]]) -> None:
    lines = [json.dumps(header), *(f"{key}\t{json.dumps(record)}" for key, record in records)]
    assert is_read_or_refused("\n".join(lines))


@settings(max_examples=200)
@given(st.data())
def test_a_published_snapshot_with_any_cut_or_insertion_is_read_or_invalid(
    site_header: dict[str, object], site_records: dict[str, dict[str, object]], data: st.DataObject
) -> None:
    text = write_snapshot(site_header, site_records)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)) | st.just(len(text)))
    inserted = data.draw(
        st.text(max_size=4) | st.sampled_from(["null", "1e999", "-1", '"x"', "[]", "{}", "\n", "\t", "true"])
    )
    assert is_read_or_refused(text[:start] + inserted + text[end:])


@settings(max_examples=200)
@given(st.data(), Json)
def test_a_published_snapshot_with_any_field_replaced_is_read_or_invalid(
    site_header: dict[str, object], site_records: dict[str, dict[str, object]], data: st.DataObject, value: object
) -> None:
    lines = write_snapshot(site_header, site_records).splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key, tab, rest = lines[at].rpartition("\t") if at == 0 else lines[at].partition("\t")
    record, *htmls = rest.split("\t")
    fields = json.loads(record)
    fields[data.draw(st.sampled_from(sorted(fields)))] = value
    lines[at] = key + tab + "\t".join([json.dumps(fields), *htmls])
    assert is_read_or_refused("\n".join(lines))


@settings(max_examples=150)
@given(Conditions, st.dictionaries(st.sampled_from(["name", "a", "b"]), Json))
def test_any_condition_answers_yes_or_no_or_is_refused(condition: object, attributes: dict[str, object]) -> None:
    try:
        compiled = compile_condition(condition)
    except InvalidCondition as error:
        assert error.path.startswith("condition")
        return
    assert compiled(attributes, {}) in (True, False)


@given(st.text(max_size=200))
def test_any_text_is_a_batch_or_a_refusal(body: str) -> None:
    assert isinstance(read_batch(body, sending.given(), ALLOWANCES[BROWSER]), Batch | Refusal)


@given(st.lists(Json, max_size=5))
def test_every_event_of_a_batch_is_accepted_or_quarantined_and_can_be_stored(
    events: list[object],
) -> None:
    body = json.dumps({"sent_ms": 1_000, "events": events})
    batch = read_batch(body, sending.given(), ALLOWANCES[BROWSER])
    assert isinstance(batch, Batch)
    assert len(batch.accepted) + len(batch.quarantined) == len(events)
    messages = pack_messages(batch.lines(), Receipts("a1"), 2_000)
    assert all(len(message.text.encode()) < 128_000 for message in messages)
    packed = [(str(message.number), 0, message.text) for message in messages]
    assert pack_batch(packed) == pack_batch(packed[::-1])


@given(st.text())
def test_any_cookie_header_is_read_and_only_a_signed_one_gives_a_visitor(header: str) -> None:
    assert read_visitor(header, KEYS)[0] is None
    assert read_cookie(without_cookie(header, COOKIE), COOKIE) is None


@given(st.sampled_from(["2", "3", "33", ""]), st.text("0123456789.~/!*+:-ab", max_size=60))
def test_any_cookie_that_was_signed_gives_a_visitor_or_a_reason(version: str, text: str) -> None:
    for state in (text, f"1.2.3.4.5.6.7.8.9.1.2.direct~{text}", f"1.2.3.4.5.6.7.8.9.1.2.direct~~~~!v1!{text}"):
        header = f"{COOKIE}={sign(KEYS, 'visitor', f'{version}!v!u!{state}')}"
        visitor, problem = read_visitor(header, KEYS)
        assert (visitor is None) == (problem == "visitor_cookie_unknown_version")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_signature_holds_for_its_text_and_no_other(text: str, other: str) -> None:
    signed = sign(KEYS, "visitor", text)
    assert verify(KEYS, "visitor", signed) == text
    forged = f"k1.{other}.{signed.rpartition('.')[2]}"
    assert verify(KEYS, "visitor", forged) == (text if other == text else None)


@given(st.text("ab*/", max_size=8), st.text("ab/", max_size=10))
def test_a_path_pattern_matches_as_the_same_regular_expression_would(pattern: str, path: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert path_matches(pattern, path) is (re.fullmatch(expression, path, re.DOTALL) is not None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_and_query_give_short_non_empty_texts(value: str, query: str) -> None:
    context = read_context(f"https://shop.test/?{query.replace('[', '').replace(']', '')}", lambda _name: value, [])
    assert all(0 < len(text) <= 200 for text in context.values())
