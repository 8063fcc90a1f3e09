"""The draws of persons with several devices: which of them the others are to repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import pytest

from origin.config import Config
from origin.draws import Record, read_draws
from origin.errors import LakeError
from origin.identity.stitch import stitch
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import publish
from origin.replay import replay
from origin.train import train
from shared.profile import Profile
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, place, profile_of
from tests.origin.logs import change, is_kept, log_views, put_hero, view_of, visitor_of
from tests.origin.shop import DAY_MS, NOON_MS, USHER_TOML, Event, exposure, make_config, store
from tests.origin.test_identity_stitch import identify
from worker.page_view import PageView

TODAY, WEEK = NOON_MS // DAY_MS, NOON_MS // (7 * DAY_MS)
ReadDraws = Callable[..., dict[str, list[Record]]]


def config_of(lake: Lake, epoch: str, more: str = "") -> Config:
    text = USHER_TOML.replace('default = "house"', f'default = "house"\nepoch = "{epoch}"\n{more}')
    return make_config(lake.root / "config", text.replace('"house", floor', '"house", html = "house", floor'))


@pytest.fixture
def read(lake: Lake) -> ReadDraws:
    def read(
        *events: Event, epoch: str = "forever", as_of_ms: int = NOON_MS + 100, more: str = ""
    ) -> dict[str, list[Record]]:
        store(lake, events)
        config = config_of(lake, epoch, more)
        return read_draws(ibis.duckdb.connect(), lake, config.touchpoints, ["a", "b"], as_of_ms)

    return read


def drawn(number: int, variant: str = "craft", after_ms: int = 0, **fields: Any) -> Event:
    """An exposure by the unit of a person, so long after noon."""
    said: Event = {"unit": "a", "epoch": "forever", "level": "segment", "cell": "vip", "reason": "segment"}
    return exposure(number, variant, received_ms=NOON_MS + after_ms, **{**said, **fields})


def names(found: dict[str, list[Record]]) -> dict[str, list[object]]:
    return {unit: [each["variants"] for each in draws] for unit, draws in found.items()}


def test_a_draw_is_told_with_all_that_its_repetition_logs(read: ReadDraws) -> None:
    assert read(drawn(1, propensity=0.1 + 0.2, excluded=["offer"])) == {
        "a": [
            {
                "touchpoint": "hero",
                "epoch": "forever",
                "excluded": ["offer"],
                "variants": ["craft"],
                "propensities": [0.30000000000000004],
                "level": "segment",
                "cell": "vip",
                "snapshot": "v1",
                "randomised": True,
                "is_slate": False,
            }
        ]
    }


def test_the_first_draw_of_a_unit_is_the_one_to_repeat(read: ReadDraws) -> None:
    events = [drawn(1, "offer", 5), drawn(2, "craft", 2), drawn(3, "house", 9, unit="b"), drawn(4, unit="c")]
    assert names(read(*events)) == {"a": [["craft"]], "b": [["house"]]}


def test_what_was_not_drawn_or_is_not_known_yet_is_not_to_be_repeated(read: ReadDraws) -> None:
    events = [
        drawn(1, holdout=True, reason="holdout"),
        drawn(2, reason="preview"),
        drawn(3, reason="no_posterior", level="none"),
        drawn(4, level=None),
        drawn(5, after_ms=101),
    ]
    assert read(*events) == {}


def test_a_draw_that_was_only_logged_when_it_was_repeated_counts_too(read: ReadDraws) -> None:
    assert names(read(drawn(1, reason="kept"))) == {"a": [["craft"]]}


def test_a_draw_whose_variant_is_gone_gives_way_to_the_redraw(read: ReadDraws) -> None:
    [draw] = read(drawn(1, "sale"), drawn(2, "offer", 7, randomised=False))["a"]
    assert (draw["variants"], draw["randomised"]) == (["offer"], False)


def test_a_slate_is_repeated_whole(read: ReadDraws) -> None:
    slate: dict[str, Any] = {"slate": ["craft", "house"], "slate_propensities": [0.25, 2 / 3]}
    gone: dict[str, Any] = {"slate": ["craft", "sale"], "slate_propensities": [0.25, 2 / 3]}
    [draw] = read(drawn(1, **gone), drawn(2, after_ms=7, **slate), more="slots = 2")["a"]
    assert (draw["variants"], draw["propensities"], draw["is_slate"]) == (["craft", "house"], [0.25, 2 / 3], True)


@pytest.mark.parametrize(
    ("epoch", "names", "lasts"),
    [
        ("session", f"day {TODAY}", True),
        ("session", f"session {NOON_MS}", False),
        ("day", f"day {TODAY}", True),
        ("day", f"day {TODAY - 1}", False),
        ("week", f"week {WEEK}", True),
        ("week", f"week {WEEK - 1}", False),
        ("week", f"day {TODAY}", False),
        ("snapshot", "snapshot v1", False),
        ("forever", "forever", True),
    ],
)
def test_only_draws_of_epochs_that_outlast_a_snapshot_and_still_last_are_told(
    read: ReadDraws, epoch: str, names: str, lasts: bool
) -> None:
    assert bool(read(drawn(1, epoch=names), epoch=epoch)) is lasts


def test_an_empty_lake_and_a_site_without_persons_have_no_draws(lake: Lake) -> None:
    touchpoints = config_of(lake, "forever").touchpoints
    assert read_draws(ibis.duckdb.connect(), lake, touchpoints, ["a"], NOON_MS) == {}
    store(lake, [drawn(1)])
    assert read_draws(ibis.duckdb.connect(), lake, touchpoints, [], NOON_MS) == {}


def test_a_damaged_file_of_the_lake_is_named(lake: Lake) -> None:
    [path] = store(lake, [drawn(1)])
    path.write_bytes(b"no gzip")
    with pytest.raises(LakeError, match=path.name):
        read_draws(ibis.duckdb.connect(), lake, config_of(lake, "forever").touchpoints, ["a"], NOON_MS)


def come(site: Snapshot, name: str, number: int, profile: Profile | None = None) -> PageView:
    """The first view of a visitor's second visit."""
    return view_of(site, visitor_of(name, visits=2), number=number, profile=profile)


@pytest.mark.parametrize("epoch", ["session", "week", "forever"])
def test_another_device_repeats_what_the_first_one_drew_and_replay_agrees(lake: Lake, kv: KvClient, epoch: str) -> None:
    config = config_of(lake, epoch)
    when = {"received_ms": NOW_MS}
    store(lake, [{**identify(name, "u"), **when} for name in ("laptop", "phone")], "who")
    stitch(lake, config.identity, NOW_MS)

    def retrain(now_ms: int, **cells: dict[str, list[float]]) -> Snapshot:
        model = train(config, lake, now_ms, now_ms)
        hero = model.touchpoints["hero"]
        moved = replace(model, touchpoints={"hero": replace(hero, cells=cells or hero.cells)})
        text = kv.get(publish(config, moved, lake, kv, now_ms).keys[0])
        assert text is not None
        return Snapshot.from_text(text)

    def profile(name: str) -> Profile:
        text = kv.get(f"profile:{name}")
        assert text is not None
        return Profile.from_text(text)

    before = retrain(NOW_MS + 10)
    first = come(before, "laptop", 20, profile("laptop"))
    [here] = [slot.decision for slot in first.plan.slots]
    log_views(lake, [first], "first")
    others = [name for name in before.touchpoint("hero").names if name != here.variant]
    means = [3.0 if name == others[0] else -3.0 for name in before.touchpoint("hero").names]
    after = retrain(NOW_MS + 30, **{"global:": {"means": means, "sds": [0.1] * 3, "probabilities": [1 / 3] * 3}})
    second = come(after, "phone", 40, profile("phone"))
    [there] = [slot.decision for slot in second.plan.slots]
    assert (there.unit, there.variant, there.propensity, there.reason) == (
        "laptop",
        here.variant,
        here.propensity,
        "kept",
    )
    log_views(lake, [second], "second")
    done = replay(lake)
    assert done.is_faithful
    assert (done.same, done.repeats, done.unmatched) == (2, 1, 0)


def test_a_repeat_of_a_day_that_a_session_shares_is_checked_where_its_draw_is_not_in_the_lake(lake: Lake) -> None:
    site = put_hero(lake, place(*"abcd"), has_profiles=True)
    first = come(site, "u-1", 0, profile_of("u-1", several_devices=True))
    log_views(lake, [view_of(site, replace(first.visitor, session=replace(first.visitor.session, views=2)), number=1)])
    done = replay(lake)
    assert (done.unmatched, done.is_faithful) == (1, True)
    change(lake, is_kept, epoch=f"day {NOW_MS // DAY_MS - 1}")
    assert replay(lake).different == 1
