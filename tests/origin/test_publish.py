"""Publishing: a snapshot that is there, whole and verified, before the pointer names it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from origin.config import Config
from origin.errors import KvError, PublishError
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import Published, make_snapshot, publish, read_pointer
from origin.train import Model, train
from shared.records import FORMAT
from shared.snapshot import Pointer, Snapshot
from tests.origin.proxy import Answer, Call, Forward, Proxy, Rule, refuse_keys
from tests.origin.shop import DAY_MS, NOON_MS, VARIANTS, Event, dump_pointer, exposure, goal, make_config, store

LATER_MS = NOON_MS + DAY_MS


@pytest.fixture
def model(config: Config, lake: Lake) -> Model:
    return train(config, lake, NOON_MS, NOON_MS)


@pytest.fixture
def better(config: Config, lake: Lake, model: Model) -> Model:
    """A model of the next day, with a day's data."""
    events: list[Event] = [exposure(i, VARIANTS[i % 3]) for i in range(60)]
    store(lake, [*events, *(goal(i) for i in range(1, 60, 3))])
    return train(config, lake, LATER_MS, LATER_MS)


def test_the_snapshot_is_written_and_verified_before_the_pointer(
    config: Config, model: Model, lake: Lake, faulty_kv: KvClient, kv: KvClient, proxy: Proxy
) -> None:
    done = publish(config, model, lake, faulty_kv, NOON_MS)
    key = f"snapshot:{done.version}"
    quoted = key.replace(":", "%3A")
    assert proxy.names() == ["GET current", f"PUT {key}", f"GET {quoted}", "GET current", "PUT current"]
    text, pointer = kv.get(key), kv.get("current")
    assert text is not None and pointer is not None
    assert done == Published(
        version=done.version, keys=(key, "current"), bytes=len(text.encode()) + len(pointer), changed=True
    )
    assert Snapshot.from_text(text).version == done.version
    assert Pointer.from_text(pointer) == Pointer(version=done.version, published_ms=NOON_MS, confirmed_ms=NOON_MS)
    assert (lake.snapshots / f"{done.version}.txt").read_text() == text


def test_the_snapshot_holds_the_configuration_and_the_models_cells(
    config: Config, better: Model, lake: Lake, kv: KvClient
) -> None:
    version, text = make_snapshot(config, better, LATER_MS)
    snapshot = Snapshot.from_text(text)
    header, hero = snapshot.header, snapshot.touchpoint("hero")
    assert version.startswith(f"{datetime.fromtimestamp(LATER_MS / 1000, UTC):%Y%m%dT%H%M%S}000Z-")
    assert (header.site, header.holdout_share, header.goals, header.created_ms) == ("shop", 0.1, ("click",), LATER_MS)
    assert [segment.name for segment in header.segments] == ["mobile", "desktop"]
    assert [(each.name, snapshot.html("hero", i), each.floor) for i, each in enumerate(hero.variants)] == [
        ("house", None, 0.05),
        ("craft", "<b>craft</b>", 0.0),
        ("offer", "<b>offer</b>", 0.0),
    ]
    cell = snapshot.cell("hero", "segment", "desktop")
    assert cell is not None
    assert list(cell.probabilities) == better.touchpoints["hero"].cells["segment:desktop"]["probabilities"]
    assert snapshot.cell("hero", "segment", "mobile") is None


def drop_when(method: str, name: str) -> Rule:
    """Whoever publishes loses the connection for good, before this call."""
    dead = [False]

    def rule(call: Call, forward: Forward) -> Answer | None:
        is_it = call.method == method and (name in call.keys[0] if call.name == "bulk" else name in call.name)
        dead[0] = dead[0] or is_it
        return None if dead[0] else forward(call)

    return rule


def lose_after(method: str, name: str) -> Rule:
    """The call arrives, and the connection is lost for good before its answer."""
    dead = [False]

    def rule(call: Call, forward: Forward) -> Answer | None:
        if not dead[0]:
            answer = forward(call)
            dead[0] = call.method == method and (name in call.keys[0] if call.name == "bulk" else name in call.name)
            return None if dead[0] else answer
        return None

    return rule


@pytest.mark.parametrize(
    "rule",
    [
        drop_when("GET", "current"),
        drop_when("PUT", "snapshot"),
        lose_after("PUT", "snapshot"),
        drop_when("GET", "snapshot"),
        lose_after("GET", "snapshot"),
        drop_when("PUT", "current"),
        refuse_keys(["current"], 99),
    ],
    ids=[
        "before all",
        "before the snapshot",
        "after it",
        "before verifying",
        "after it",
        "before the pointer",
        "refused",
    ],
)
def test_what_dies_on_the_way_leaves_the_old_snapshot_live(
    config: Config, model: Model, better: Model, lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy, rule: Rule
) -> None:
    old = publish(config, model, lake, kv, NOON_MS)
    pointer, snapshot = kv.get("current"), kv.get(old.keys[0])
    assert snapshot is not None
    proxy.rule = rule
    with pytest.raises(KvError):
        publish(config, better, lake, faulty_kv, LATER_MS)
    assert kv.get("current") == pointer
    assert kv.get(old.keys[0]) == snapshot
    assert Snapshot.from_text(snapshot).version == old.version
    again = publish(config, better, lake, kv, LATER_MS + 1)
    live = read_pointer(kv)
    assert live is not None and live.version == again.version != old.version


def test_a_pointer_that_arrived_without_an_answer_names_a_whole_snapshot(
    config: Config, model: Model, lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy
) -> None:
    proxy.rule = lose_after("PUT", "current")
    with pytest.raises(KvError):
        publish(config, model, lake, faulty_kv, NOON_MS)
    live = read_pointer(kv)
    assert live is not None
    assert Snapshot.from_text(kv.get(f"snapshot:{live.version}") or "").version == live.version
    assert not publish(config, model, lake, kv, LATER_MS).changed


def test_a_value_that_reads_back_differently_stops_before_the_pointer(
    config: Config, model: Model, better: Model, lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy
) -> None:
    publish(config, model, lake, kv, NOON_MS)
    before = kv.get("current")

    def corrupt(call: Call, forward: Forward) -> Answer:
        answer = forward(call)
        is_snapshot = call.method == "GET" and call.name.startswith("snapshot")
        return dataclasses.replace(answer, body=answer.body[:-1] if is_snapshot else answer.body)

    proxy.rule = corrupt
    version, _ = make_snapshot(config, better, LATER_MS)
    with pytest.raises(PublishError) as caught:
        publish(config, better, lake, faulty_kv, LATER_MS)
    assert str(caught.value) == (
        f"KV gave back something else for snapshot:{version} than was written; the pointer was not moved"
    )
    assert kv.get("current") == before
    assert not (lake.snapshots / f"{version}.txt").exists()


def test_the_same_content_is_confirmed_and_not_written_again(
    config: Config, model: Model, lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy
) -> None:
    first = publish(config, model, lake, kv, NOON_MS)
    of_today = dataclasses.replace(model, version="later", as_of_ms=LATER_MS)
    second = publish(config, of_today, lake, faulty_kv, LATER_MS)
    assert (second.version, second.keys, second.changed) == (first.version, ("current",), False)
    assert [name for name in proxy.names() if name.startswith("PUT")] == ["PUT current"]
    assert read_pointer(kv) == Pointer(version=first.version, published_ms=NOON_MS, confirmed_ms=LATER_MS)
    assert len(list(lake.snapshots.iterdir())) == 1


@pytest.mark.parametrize(
    ("off", "kept"), [(("hero",), ("hero",)), (("*",), ("*",)), (("*", "gone", "hero"), ("*", "hero"))]
)
def test_what_is_switched_off_stays_so(
    config: Config, model: Model, better: Model, lake: Lake, kv: KvClient, off: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    first = publish(config, model, lake, kv, NOON_MS)
    kv.put({"current": Pointer(version=first.version, published_ms=1, confirmed_ms=1, off=off).to_text()})
    for trained in (model, better):  # confirmed, and replaced
        done = publish(config, trained, lake, kv, LATER_MS)
        pointer = read_pointer(kv)
        assert pointer is not None
        assert (pointer.version, pointer.off) == (done.version, kept)


def test_a_change_of_the_configuration_alone_is_published(
    config: Config, model: Model, lake: Lake, kv: KvClient
) -> None:
    first = publish(config, model, lake, kv, NOON_MS)
    site = config.site.model_copy(update={"holdout_share": 0.05})
    second = publish(config.model_copy(update={"site": site}), model, lake, kv, LATER_MS)
    assert second.changed
    assert second.version != first.version
    assert kv.get(first.keys[0]) is not None


@pytest.mark.parametrize("change", ["renamed", "reordered", "missing"])
def test_a_model_of_other_variants_is_refused(
    config: Config, model: Model, lake: Lake, faulty_kv: KvClient, proxy: Proxy, change: str
) -> None:
    hero = model.touchpoints["hero"]
    variants = {"renamed": ["house", "craft", "sale"], "reordered": ["craft", "house", "offer"]}
    touchpoints = {} if change == "missing" else {"hero": dataclasses.replace(hero, variants=variants[change])}
    with pytest.raises(PublishError) as caught:
        publish(config, dataclasses.replace(model, touchpoints=touchpoints), lake, faulty_kv, NOON_MS)
    assert str(caught.value) == (
        f"touchpoint hero: the model {model.version} was trained for other variants; run usher train first"
    )
    assert proxy.calls == []


def test_a_model_that_the_edge_could_not_read_is_refused(
    config: Config, model: Model, lake: Lake, faulty_kv: KvClient, proxy: Proxy
) -> None:
    hero = model.touchpoints["hero"]
    cells = {"global:": {**hero.cells["global:"], "probabilities": [0.5, 0.5, 0.5]}}
    broken = dataclasses.replace(model, touchpoints={"hero": dataclasses.replace(hero, cells=cells)})
    with pytest.raises(PublishError, match=r"^the snapshot would not be readable at the edge: .*sum to 1.5, not to 1$"):
        publish(config, broken, lake, faulty_kv, NOON_MS)
    assert proxy.calls == []


@pytest.mark.parametrize(
    "text", ["garbage", "[]", "{}", '{"snapshot": 5}', '{"snapshot": null}', '{"snapshot": ""}', ""]
)
def test_a_pointer_that_is_none_is_written_anew(
    config: Config, model: Model, lake: Lake, kv: KvClient, text: str
) -> None:
    kv.put({"current": text})
    done = publish(config, model, lake, kv, NOON_MS)
    assert done.changed
    assert done.replaced == f"the key current holds {text!r}, not a pointer to a snapshot"
    assert read_pointer(kv) == Pointer(version=done.version, published_ms=NOON_MS, confirmed_ms=NOON_MS)


@pytest.mark.parametrize("name", ["current", "snapshot"])
def test_what_is_no_text_is_written_anew(
    config: Config, model: Model, lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy, name: str
) -> None:
    publish(config, model, lake, kv, NOON_MS)
    spoilt: list[str] = []

    def spoil_once(call: Call, forward: Forward) -> Answer:
        answer = forward(call)
        if call.method != "GET" or not call.name.startswith(name) or spoilt:
            return answer
        spoilt.append(call.name)
        return dataclasses.replace(answer, body=b"\xff")

    proxy.rule = spoil_once
    done = publish(config, model, lake, faulty_kv, LATER_MS)
    assert done.changed
    assert done.replaced is not None and done.replaced.startswith(f"KV holds something else than text under {name}")


@pytest.mark.parametrize("damage", ["lost", "nonsense", "cut", "other version", "other records"])
def test_the_same_content_is_written_again_where_kv_holds_it_damaged(
    config: Config, model: Model, lake: Lake, kv: KvClient, damage: str
) -> None:
    version, text = make_snapshot(config, model, NOON_MS)
    key = f"snapshot:{version}"
    stored, problem = {
        "lost": (None, "was missing"),
        "nonsense": ("garbage", "held what is no snapshot (header: "),
        "cut": (text[: text.rindex("\n", 0, -1)], "held what is no snapshot (header.records: "),
        "other version": (text.replace(version, "v9"), "held the version v9"),
        "other records": (text.replace("craft", "draft"), "held other records than its version names"),
    }[damage]
    kv.put({"current": dump_pointer(version), **({key: stored} if stored is not None else {})})
    done = publish(config, model, lake, kv, LATER_MS)
    assert done.changed
    assert done.replaced is not None and done.replaced.startswith(f"the key {key} {problem}")
    assert kv.get(done.keys[0]) == make_snapshot(config, model, LATER_MS)[1]
    assert publish(config, model, lake, kv, LATER_MS).replaced is None


def test_the_same_content_in_a_later_format_is_another_version(
    config: Config, model: Model, lake: Lake, kv: KvClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("origin.publish.FORMAT", FORMAT - 1)
        before = publish(config, model, lake, kv, NOON_MS)
    done = publish(config, model, lake, kv, LATER_MS)
    assert (done.changed, done.replaced) == (True, None)
    assert done.version.partition("-")[2] != before.version.partition("-")[2]


def test_the_version_is_the_moment_and_a_hash_of_the_content(config: Config, model: Model) -> None:
    first, _ = make_snapshot(config, model, NOON_MS)
    second, text = make_snapshot(config, model, NOON_MS + 61_000)
    assert first.split("-")[1] == second.split("-")[1]
    assert len(first.split("-")[1]) == 12
    assert second.split("-")[0] > first.split("-")[0]
    assert json.loads(text.splitlines()[0])["version"] == second


def test_variants_of_a_new_touchpoint_must_be_trained_first(lake: Lake, config: Config, model: Model) -> None:
    assert make_config(lake.root / "config").touchpoints == config.touchpoints
    two = config.model_copy(update={"touchpoints": {**config.touchpoints, "banner": config.touchpoints["hero"]}})
    with pytest.raises(PublishError, match="^touchpoint banner: "):
        make_snapshot(two, model, NOON_MS)


RICH = """
[site]
id = "shop"
interest = "session.preferences.topic"
origins = ["https://www.example.com"]
[questions.topic]
answers = ["coats", "shoes"]
[goals.click]
window_h = 1
[intent]
bias = -2.0
weights = { "session.views" = 0.2, "session.referral=search" = 0.3 }
[phrases]
"session.views" = "you looked at {value} pages"
[segments.mobile]
condition = { device = "mobile" }
because = "you read this on a phone"
[touchpoints.hero]
goal = "click"
default = "house"
pages = ["/"]
slots = 3
interest_slots = [3, 2]
levels = { finest = "cluster", individual_ttl_h = 1.5, cluster_ttl_h = 24 }
[[touchpoints.hero.variants]]
name = "house"
html = "<p>house</p>"
[[touchpoints.hero.variants]]
name = "craft"
html = "<b>craft</b>"
cap = 0.5
interests = ["tailoring"]
condition = { "session.intent" = { "$gt" = 0.5 } }
because = "you have read two of our case studies"
shifts = { "session.referral=search" = { mean = 0.4, sd = 0.2 } }
[[touchpoints.hero.variants]]
name = "offer"
html = "<b>offer</b>"
min_impressions = 1000
shifts = { "session.views" = { mean = -0.1, sd = 0.05 }, "session.referral=search" = { mean = 1, sd = 0 } }
"""


def make_rich(lake: Lake, text: str = RICH) -> Snapshot:
    config = make_config(lake.root / "rich", text)
    return Snapshot.from_text(make_snapshot(config, train(config, lake, NOON_MS, NOON_MS), NOON_MS)[1])


def test_the_header_says_what_visits_are_read_for(lake: Lake) -> None:
    header = make_rich(lake).header
    assert header.interest == "session.preferences.topic"
    assert header.origins == ("https://www.example.com",)
    assert header.intent is not None
    assert (header.intent.bias, header.intent.names, header.intent.weights) == (
        -2.0,
        ("session.views", "session.referral=search"),
        (0.2, 0.3),
    )
    assert [(phrase.name, phrase.text) for phrase in header.phrases] == [
        ("session.views", "you looked at {value} pages")
    ]
    assert [(segment.name, segment.because) for segment in header.segments] == [("mobile", "you read this on a phone")]
    assert not header.has_profiles


def test_a_touchpoints_constraints_levels_and_shifts_are_published(lake: Lake) -> None:
    hero = make_rich(lake).touchpoint("hero")
    assert (hero.interest_share, hero.slots, hero.interest_slots) == (0.2, 3, (1, 2))
    assert (hero.individual_ttl_ms, hero.cluster_ttl_ms, hero.models) == (5_400_000, 86_400_000, ())
    assert hero.allows("segment") and not hero.allows("cluster")
    assert [(each.cap, each.interests, each.because) for each in hero.variants] == [
        (1.0, (), ""),
        (0.5, ("tailoring",), "you have read two of our case studies"),
        (1.0, (), ""),
    ]
    assert [each.floor for each in hero.variants] == [0.0, 0.0, pytest.approx(1 / 3)]
    shift = hero.shift
    assert shift is not None
    assert shift.names == ("session.referral=search", "session.views")
    assert shift.weights == ((0.0, 0.0), (0.4, 0.0), (1.0, -0.1))
    assert [[row[i] for i, row in enumerate(matrix)] for matrix in shift.covariances] == [
        [0.0, 0.0],
        [pytest.approx(0.04), 0.0],
        [0.0, pytest.approx(0.0025)],
    ]
    assert all(matrix[0][1] == matrix[1][0] == 0.0 for matrix in shift.covariances)


def test_an_interest_share_takes_effect_only_with_interests_on_both_sides(lake: Lake) -> None:
    text = RICH.replace("interest_slots = [3, 2]\n", "")
    assert make_rich(lake, text).touchpoint("hero").interest_share == 0.2
    for gone in ('interest = "session.preferences.topic"\n', 'interests = ["tailoring"]\n'):
        assert make_rich(lake, text.replace(gone, "")).touchpoint("hero").interest_share == 0.0


def test_a_touchpoint_without_shifts_has_none(config: Config, model: Model) -> None:
    hero = Snapshot.from_text(make_snapshot(config, model, NOON_MS)[1]).touchpoint("hero")
    assert (hero.shift, hero.slots, hero.interest_slots, hero.interest_share) == (None, 1, (), 0.0)


def test_missing_impressions_raise_the_published_floor_until_they_are_there(lake: Lake) -> None:
    """Of a steady 60 decisions a day, 20 on each variant, the offer lacks what the period so far did not give it."""
    days = 4
    text = RICH.replace("min_impressions = 1000", "min_impressions = 100") + "[touchpoints.hero.learning]\n"
    config = make_config(lake.root / "rich", text + f"evaluation_days = {days}\n")
    start_ms = NOON_MS // (days * DAY_MS) * days * DAY_MS + days * DAY_MS
    events = [
        exposure(
            i, VARIANTS[i % 3], received_ms=start_ms + (i - 240) * DAY_MS // 60, event_id=f"e{i}", epoch=f"session {i}"
        )
        for i in range(480)
    ]
    store(lake, events)
    floors = []
    for day in range(4):
        as_of_ms = start_ms + day * DAY_MS - 1
        version, published = make_snapshot(config, train(config, lake, as_of_ms + DAY_MS, as_of_ms), as_of_ms)
        assert version
        floors.append(Snapshot.from_text(published).touchpoint("hero").variants[2].floor)
    # After the first day 80 are missing of 180 that are expected, then 60 of 120, then 40 of 60: at most 1/3 each time.
    assert floors[:3] == [pytest.approx(1 / 3)] * 3
    relaxed = make_config(lake.root / "other", text.replace("= 100", "= 40") + f"evaluation_days = {days}\n")
    model = train(relaxed, lake, start_ms + DAY_MS - 1, NOON_MS)
    hero = Snapshot.from_text(make_snapshot(relaxed, model, NOON_MS)[1]).touchpoint("hero")
    assert hero.variants[2].floor == pytest.approx(20 / 180, rel=0.01)
    model = train(relaxed, lake, start_ms + 2 * DAY_MS - 1, NOON_MS)
    hero = Snapshot.from_text(make_snapshot(relaxed, model, NOON_MS)[1]).touchpoint("hero")
    assert hero.variants[2].floor == 0.0
