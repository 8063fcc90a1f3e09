from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from shared.errors import InvalidSnapshot
from shared.records import EPOCHS, FORMAT
from shared.snapshot import Pointer, Snapshot, write_snapshot
from tests.asking import Record, Records


def message_of(action: Callable[[], object]) -> str:
    with pytest.raises(InvalidSnapshot) as raised:
        action()
    return str(raised.value)


def test_what_was_written_is_read(site_header: Record, site_records: Records) -> None:
    snapshot = Snapshot.from_text(write_snapshot(site_header, site_records))
    assert snapshot.version == snapshot.header.version == "v1"
    assert snapshot.header.site == "shop"
    assert snapshot.header.holdout_share == 0.1
    assert snapshot.header.honour_gpc is True
    assert snapshot.header.consent is None
    assert snapshot.header.goals == ("order",)
    assert snapshot.header.pages == {"hero": ("/", "/men/*"), "banner": ("/",)}
    assert [segment.name for segment in snapshot.header.segments] == ["staff", "vip"]
    assert [source.source for source in snapshot.header.attributes] == ["query"]
    hero = snapshot.touchpoint("hero")
    assert [variant.name for variant in hero.variants] == ["house", "offer", "craft"]
    assert [variant.floor for variant in hero.variants] == [0.1, 0.05, 0.0]
    assert [snapshot.html("hero", i) for i in hero.everyone] == [None, "<b>offer</b>", "<b>craft</b>"]
    assert (hero.default, hero.epoch, hero.goal, hero.pages) == (0, "session", "order", ("/", "/men/*"))


def test_numbers_survive_the_text_form_to_the_last_bit(site_header: Record, site_records: Records) -> None:
    cell = Snapshot.from_text(write_snapshot(site_header, site_records)).cell("hero", "global", "")
    assert cell is not None
    published = site_records["cell:hero:global:"]
    assert [list(cell.means), list(cell.sds), list(cell.probabilities)] == list(published.values())


def test_what_a_snapshot_was_trained_on_is_noted_in_it(site_header: Record, site_records: Records) -> None:
    text = write_snapshot(site_header, site_records, {"as_of_ms": 5})
    assert Snapshot.from_text(text).trained == {"as_of_ms": 5}
    assert Snapshot.from_text(write_snapshot(site_header, site_records)).trained == {}
    cut = Snapshot.from_text(text.replace('"as_of_ms":5}', "", 1))
    assert message_of(lambda: cut.trained).startswith("trained: is not JSON")


def test_a_variant_is_found_by_its_name(site: Snapshot) -> None:
    hero = site.touchpoint("hero")
    assert [hero.index_of(name) for name in ("house", "craft", "gone")] == [0, 2, None]


def test_a_cell_that_was_not_published_is_none_again_and_again(site: Snapshot) -> None:
    assert [site.cell("hero", "segment", "staff") for _ in range(2)] == [None, None]
    assert site.cell("banner", "global", "") is None


def test_records_are_parsed_once_and_kept(site: Snapshot) -> None:
    assert site.touchpoint("hero") is site.touchpoint("hero")
    assert site.cell("hero", "segment", "vip") is site.cell("hero", "segment", "vip")


def test_a_touchpoint_that_was_not_published_is_a_key_error(site: Snapshot) -> None:
    with pytest.raises(KeyError):
        site.touchpoint("gone")


def test_a_damaged_record_is_found_only_when_it_is_asked_for(site_header: Record, site_records: Records) -> None:
    text = write_snapshot(site_header, site_records).replace('"house"', '"house')
    snapshot = Snapshot.from_text(text)
    assert snapshot.touchpoint("banner").name == "banner"
    assert message_of(lambda: snapshot.touchpoint("hero")).startswith("touchpoint:hero: is not JSON (")


def test_a_segment_name_may_hold_a_colon(site_header: Record, site_records: Records) -> None:
    records = {**site_records, "cell:hero:segment:plan:gold": site_records["cell:hero:global:"]}
    assert Snapshot.from_text(write_snapshot(site_header, records)).cell("hero", "segment", "plan:gold") is not None


def test_global_privacy_control_is_honoured_unless_configured_otherwise(site_header: Record) -> None:
    bare = {key: value for key, value in site_header.items() if key != "honour_gpc"} | {"pages": {}}
    assert Snapshot.from_text(write_snapshot(bare, {})).header.honour_gpc is True
    assert Snapshot.from_text(write_snapshot({**bare, "honour_gpc": False}, {})).header.honour_gpc is False


def test_other_origins_may_send_events_where_they_are_named(site_header: Record) -> None:
    bare = {**site_header, "pages": {}}
    named = {**bare, "origins": ["https://www.example.com"]}
    assert Snapshot.from_text(write_snapshot(bare, {})).header.origins == ()
    assert Snapshot.from_text(write_snapshot(named, {})).header.origins == ("https://www.example.com",)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_is_no_json_is_refused(site_header: Record, site_records: Records, constant: str) -> None:
    text = write_snapshot(site_header, site_records)
    header = text.replace('"holdout_share":0.1', f'"holdout_share":{constant}')
    assert message_of(lambda: Snapshot.from_text(header)) == f"header: is not JSON ({constant} is not a number)"
    cell = Snapshot.from_text(text.replace('"means":[-3.0', f'"means":[{constant}'))
    assert (
        message_of(lambda: cell.cell("hero", "global", ""))
        == f"cell:hero:global:: is not JSON ({constant} is not a number)"
    )


def test_a_number_too_large_for_a_double_is_refused(site_header: Record, site_records: Records) -> None:
    text = write_snapshot(site_header, site_records).replace('"holdout_share":0.1', '"holdout_share":1e999')
    assert (
        message_of(lambda: Snapshot.from_text(text)) == "header.holdout_share: expected a number from 0 to 1, got inf"
    )


def test_probabilities_may_miss_one_by_rounding_only(site_header: Record, site_records: Records) -> None:
    def with_first(share: float) -> str:
        cell = {**site_records["cell:hero:global:"], "probabilities": [share, 0.25, 0.25]}
        return write_snapshot(site_header, {**site_records, "cell:hero:global:": cell})

    assert Snapshot.from_text(with_first(0.5 + 5e-10)).version == "v1"
    assert message_of(lambda: with_first(0.5 + 2e-9)).startswith("cell:hero:global:.probabilities: sum to 1.000000002")


def test_a_snapshot_cut_at_any_line_or_letter_of_its_last_record_is_refused(
    site_header: Record, site_records: Records
) -> None:
    text = write_snapshot(site_header, site_records)
    lines = text.splitlines(keepends=True)
    for kept in range(1, len(lines)):
        if kept == 1:
            expected = f"header.records: {len(site_records)} records were published, 0 arrived"
            assert message_of(lambda: Snapshot.from_text(lines[0])) == expected
        with pytest.raises(InvalidSnapshot, match=r"^header\.records: "):
            Snapshot.from_text("".join(lines[:kept]))
    last = lines[-1]
    assert last.startswith("touchpoint:banner\t")
    for length in range(len("touchpoint:banner\t"), len(last) - 1):
        cut = Snapshot.from_text("".join([*lines[:-1], last[:length]]))
        message = message_of(lambda: [cut.html("banner", i) for i in (0, 1)])  # noqa: B023 - at once
        assert message.startswith("touchpoint:banner")
        assert message_of(lambda: cut.touchpoint("banner")) == message  # noqa: B023


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "header: expected an object, got a list"),
        ("null", "header: expected an object, got nothing"),
        ("{}", "header.format: this version reads format 3, and 2 before it; got None"),
        ('{"format":3}', "header.pages: missing; expected an object"),
        ("{}\njunk", "records: a line without a key: 'junk'"),
        ("{}\n" + "x" * 99, f"records: a line without a key: {'x' * 40!r}"),
        ("{}\n\n", "records: a line without a key: ''"),
    ],
)
def test_what_is_no_snapshot_is_refused(text: str, message: str) -> None:
    assert message_of(lambda: Snapshot.from_text(text)) == message


@pytest.mark.parametrize("text", ["", "\n", "not json", "{", '{"format":1', "\x00", "\ud800", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    assert message_of(lambda: Snapshot.from_text(text)).startswith("header: is not JSON (")


def test_a_record_nested_without_end_is_refused(site_header: Record, site_records: Records) -> None:
    lines = write_snapshot(site_header, site_records).splitlines()
    lines[1] = "touchpoint:hero\t" + "[" * 100_000
    snapshot = Snapshot.from_text("\n".join(lines))
    with pytest.raises(InvalidSnapshot):
        snapshot.touchpoint("hero")


def test_not_a_number_is_never_written(site_header: Record) -> None:
    with pytest.raises(InvalidSnapshot, match="cannot be written as JSON"):
        write_snapshot({**site_header, "holdout_share": math.nan}, {})


def test_the_text_form_is_one_record_a_line(site_header: Record, site_records: Records) -> None:
    first, *rest = write_snapshot(site_header, site_records).splitlines()
    assert json.loads(first)["format"] == FORMAT
    assert json.loads(first)["records"] == len(rest) == len(site_records)
    assert [line.partition("\t")[0] for line in rest] == list(site_records)


def test_the_html_of_variants_stands_beside_their_record(site_header: Record, site_records: Records) -> None:
    lines = dict(line.split("\t", 1) for line in write_snapshot(site_header, site_records).splitlines()[1:])
    record, *htmls = lines["touchpoint:hero"].split("\t")
    assert htmls == ["null", '"<b>offer</b>"', '"<b>craft</b>"']
    assert sorted(json.loads(record)["variants"]) == ["condition", "conditions", "floor", "name"]
    assert [key for key, line in lines.items() if "\t" in line] == ["touchpoint:hero", "touchpoint:banner"]


def test_html_with_tabs_and_lines_comes_back_as_it_was(site_header: Record, site_records: Records) -> None:
    html = '<pre>\t"a"\n\r\\t\x1f\u2028 grün 🙂</pre>'
    variants = [{"name": "plain", "html": html, "floor": 0.0}, {"name": "sale", "html": "", "floor": 0.0}]
    records = {**site_records, "touchpoint:banner": {**site_records["touchpoint:banner"], "variants": variants}}
    text = write_snapshot(site_header, records)
    assert text.count("\n") == 1 + len(records)
    snapshot = Snapshot.from_text(text)
    assert [snapshot.html("banner", i) for i in (0, 1, 0)] == [html, "", html]
    assert snapshot.html("banner", 0) is snapshot.html("banner", 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ('"<b>offer</b>', "is not JSON ("),
        ("[7]", "expected a string, got a list"),
        ("1e999", "expected a string, got inf"),
    ],
)
def test_damaged_html_is_found_when_it_is_shown_and_the_touchpoint_is_damaged_from_then_on(
    site_header: Record, site_records: Records, damage: str, message: str
) -> None:
    text = write_snapshot(site_header, site_records)
    snapshot = Snapshot.from_text(text.replace('"<b>offer</b>"', damage))
    assert snapshot.html("hero", 2) == "<b>craft</b>"
    for action in (
        lambda: snapshot.html("hero", 1), lambda: snapshot.html("hero", 2), lambda: snapshot.touchpoint("hero")
    ):  # fmt: skip
        assert message_of(action).startswith(f"touchpoint:hero.variants[1].html: {message}")
    assert snapshot.html("banner", 1) == "<i>sale</i>"


def test_a_touchpoint_without_the_html_of_all_its_variants_is_damaged(
    site_header: Record, site_records: Records
) -> None:
    for written, arrived, count in (('\t"<b>craft</b>"', "", 2), ("\tnull", "\tnull\tnull", 4)):
        snapshot = Snapshot.from_text(write_snapshot(site_header, site_records).replace(written, arrived, 1))
        for action in (lambda: snapshot.touchpoint("hero"), lambda: snapshot.html("hero", 0)):  # noqa: B023 - at once
            assert message_of(action) == f"touchpoint:hero.variants: 3 variants, but the HTML of {count}"


def publish_older(header: Record, records: Records) -> Snapshot:
    """As version 2 of the format has it: the HTML stands in the records."""
    first = {"format": 2, **header, "records": len(records)}
    lines = [json.dumps(first), *[f"{key}\t{json.dumps(record)}" for key, record in records.items()]]
    return Snapshot.from_text("\n".join(lines) + "\n")


def test_what_an_older_origin_published_is_served(site_header: Record, site_records: Records) -> None:
    older = publish_older(site_header, site_records)
    newer = Snapshot.from_text(write_snapshot(site_header, site_records))
    for name in ("hero", "banner"):
        one, other = older.touchpoint(name), newer.touchpoint(name)
        assert (one.names, one.floors, one.is_targeted) == (other.names, other.floors, other.is_targeted)
        assert [older.html(name, i) for i in one.everyone] == [newer.html(name, i) for i in other.everyone]


def test_the_html_of_an_older_record_is_checked_when_it_is_shown(site_header: Record, site_records: Records) -> None:
    variants = [{"name": "plain", "html": None, "floor": 0.0}, {"name": "sale", "html": 5, "floor": 0.0}]
    records = {**site_records, "touchpoint:banner": {**site_records["touchpoint:banner"], "variants": variants}}
    older = publish_older(site_header, records)
    assert older.html("banner", 0) is None
    expected = "touchpoint:banner.variants[1].html: expected a string, got 5"
    assert message_of(lambda: older.html("banner", 1)) == expected


@pytest.mark.parametrize(("written", "read"), [(2, 3), (3, 2)])
def test_each_format_has_one_form(site_header: Record, site_records: Records, written: int, read: int) -> None:
    text = write_snapshot(site_header, site_records)
    if written == 2:
        lines = [f"{key}\t{json.dumps(record)}" for key, record in site_records.items()]
        text = "\n".join([text.partition("\n")[0], *lines])
    snapshot = Snapshot.from_text(text.replace(f'"format":{FORMAT}', f'"format":{read}', 1))
    assert message_of(lambda: snapshot.touchpoint("hero")).startswith("touchpoint:hero")


def test_the_epochs_are_the_documented_ones() -> None:
    assert set(EPOCHS) == {"session", "day", "week", "snapshot", "forever"}


def test_a_record_that_stands_there_twice_is_refused(site_header: Record, site_records: Records) -> None:
    text = write_snapshot(site_header, site_records)
    last = text.rstrip("\n").rpartition("\n")[2]
    assert (
        message_of(lambda: Snapshot.from_text(f"{text}{last}\n")) == f"{last.partition(chr(9))[0]}: stands there twice"
    )


@pytest.mark.parametrize("key", ["junk", "cell:hero", "cell:nowhere:global:", "touchpoint:hero:global:", "other:hero"])
def test_a_record_that_is_no_touchpoint_and_no_cell_of_one_is_never_written(
    site_header: Record, site_records: Records, key: str
) -> None:
    with pytest.raises(InvalidSnapshot, match=r"is neither a touchpoint nor a cell of one"):
        write_snapshot(site_header, {**site_records, key: {}})


def test_a_pointer_comes_back_as_it_was_written() -> None:
    for off in ((), ("hero", "*")):
        pointer = Pointer(version="v1", published_ms=1, confirmed_ms=2, off=off)
        assert Pointer.from_text(pointer.to_text()) == pointer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "current.snapshot: missing; expected a string"),
        ('{"snapshot":""}', "current.snapshot: expected the version of a snapshot, got the text ''"),
        ('{"snapshot":"v1"}', "current.published_ms: missing; expected a whole number from 0 to 9007199254740992"),
        ("[]", "current: expected an object, got a list"),
        (
            '{"snapshot":"v1","published_ms":1,"confirmed_ms":1,"off":"hero"}',
            "current.off: expected a list, got the text 'hero'",
        ),
    ],
)
def test_a_pointer_that_is_none_says_why(text: str, message: str) -> None:
    assert message_of(lambda: Pointer.from_text(text)) == message


def test_the_touchpoints_of_a_path_are_kept_for_a_bounded_number_of_short_paths(
    site_header: Record, site_records: Records
) -> None:
    site = Snapshot.from_text(write_snapshot(site_header, site_records))
    first = site.touchpoints_on("/men/0")
    assert site.touchpoints_on("/men/0") is first
    for k in range(1, 301):
        assert site.touchpoints_on(f"/men/{k}") == ["hero"]
    assert site.touchpoints_on("/men/0") is not first
    endless = "/men/" + "x" * 300
    assert site.touchpoints_on(endless) is not site.touchpoints_on(endless)


def test_a_header_attribute_needs_the_name_of_a_header(site_header: Record, site_records: Records) -> None:
    source = {"attribute": "country", "source": "header", "name": "cf ipcountry"}
    problem = message_of(lambda: write_snapshot({**site_header, "attributes": [source]}, site_records))
    assert problem == "header.attributes[0].name: expected the name of a header, got the text 'cf ipcountry'"
