"""Profiles: only what has changed is written, before the snapshot; the lake can bring back every one for a replay."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest

from origin.config import Config
from origin.draws import Record
from origin.errors import KvError, LakeError
from origin.individuals import People, name_model
from origin.kv import KvClient
from origin.lake import Lake
from origin.people import gather_people, reads_profiles, write_people
from origin.profiles import PublishedProfiles, publish_profiles, read_last_profiles
from origin.publish import make_snapshot, publish
from origin.train import Model, train
from shared.policy import live_probabilities
from shared.profile import Profile
from shared.snapshot import Snapshot
from tests.origin.proxy import Answer, Call, Forward, Proxy, refuse_keys
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, USHER_TOML, VARIANTS, make_config

MODEL = name_model(VARIANTS)
ACCEPTED = {"hero": MODEL}
TTL_MS = 48 * HOUR_MS
LATER_MS = NOON_MS + HOUR_MS
UNITS = ["ann", "bob", "eve"]


def make_model(
    lake: Lake,
    means: dict[str, float],
    trained_ms: int = NOON_MS,
    name: str = MODEL,
    devices: Mapping[str, Sequence[str]] | None = None,
    draws: Mapping[str, Sequence[Record]] | None = None,
) -> Model:
    """A model whose people have these means for the first variant, some of them several devices and draws."""
    version = f"model-{trained_ms}-{name}"
    units = sorted(means)
    people = People(
        units=units,
        means=np.array([[means[unit], 0.0, 0.0] for unit in units]),
        sds=np.full((len(units), 3), 1.0 / 3.0),
    )
    write_people(
        lake, version, gather_people({("hero", name): people}, describe(units), devices or {}, draws or {}, None)
    )
    return Model(
        version=version, as_of_ms=trained_ms, first_ms=None, last_ms=None, sources={}, touchpoints={},
        trained_ms=trained_ms, people=len({*units, *(devices or {})}), linked=len(devices or {}),
    )  # fmt: skip


def describe(units: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same attributes for everybody."""
    return {unit: {"decisions": 9, "rewards": 2, "days": 3} for unit in units}


def put(
    model: Model, lake: Lake, client: KvClient, now_ms: int = NOON_MS, model_name: str = MODEL
) -> PublishedProfiles:
    return publish_profiles(model, {"hero": model_name}, TTL_MS, lake, client, now_ms, is_read=False)


def live(client: KvClient, unit: str) -> Profile:
    text = client.get(f"profile:{unit}")
    assert text is not None
    return Profile.from_text(text)


def test_a_profile_holds_the_persons_scores_and_what_they_rest_on(lake: Lake, kv: KvClient) -> None:
    done = put(make_model(lake, {"ann": 1.2345678}), lake, kv)
    text = kv.get("profile:ann")
    assert text is not None
    assert done == PublishedProfiles(written=1, unchanged=0, bytes=len(text))
    header, line = text.splitlines()
    touchpoint, model, scores = line.split("\t")
    means, sds = [1.23457, 0.0, 0.0], [0.333333, 0.333333, 0.333333]
    assert (touchpoint, model) == ("hero", MODEL)
    assert json.loads(scores) == {"means": means, "sds": sds, "probabilities": live_probabilities(means, sds)}
    version = json.loads(header)["version"]
    assert json.loads(header) == {
        "format": 1,
        "unit": "ann",
        "version": version,
        "computed_ms": NOON_MS,
        "cluster": "",
        "attributes": {"decisions": 9, "rewards": 2, "days": 3},
    }
    assert len(version) == 16
    assert lake.read_profile("ann", version) == text
    assert (lake.read_profile("ann", "other"), lake.read_profile("bob", version)) == (None, None)


def test_only_what_has_changed_is_written_again(lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy) -> None:
    put(make_model(lake, dict.fromkeys(UNITS, 1.0)), lake, kv)
    first = {unit: live(kv, unit).header.version for unit in UNITS}
    done = put(make_model(lake, {"ann": 1.0, "bob": 2.0, "eve": 1.0}, LATER_MS), lake, faulty_kv, LATER_MS)
    assert (done.written, done.unchanged) == (1, 2)
    assert [call.keys for call in proxy.calls] == [["profile:bob"]]
    second = {unit: live(kv, unit).header.version for unit in UNITS}
    assert [unit for unit in UNITS if first[unit] != second[unit]] == ["bob"]
    for unit in UNITS:
        for version in (first[unit], second[unit]):
            text = lake.read_profile(unit, version)
            assert text is not None and Profile.from_text(text).header.version == version


def test_the_same_model_is_not_written_twice(lake: Lake, kv: KvClient) -> None:
    model = make_model(lake, dict.fromkeys(UNITS, 1.0))
    put(model, lake, kv)
    assert put(model, lake, kv, LATER_MS) == PublishedProfiles(written=0, unchanged=3, bytes=0)
    assert len(list(lake.profiles.iterdir())) == 1


def test_what_would_soon_be_too_old_is_written_again(lake: Lake, kv: KvClient) -> None:
    put(make_model(lake, {"ann": 1.0}), lake, kv)
    third_ms = NOON_MS + TTL_MS // 3
    assert put(make_model(lake, {"ann": 1.0}, third_ms - 1), lake, kv, third_ms).written == 0
    assert put(make_model(lake, {"ann": 1.0}, third_ms), lake, kv, third_ms).written == 1
    assert live(kv, "ann").header.computed_ms == third_ms


def test_profiles_that_kv_may_not_have_are_written_anew(
    lake: Lake, kv: KvClient, faulty_kv: KvClient, proxy: Proxy
) -> None:
    model = make_model(lake, dict.fromkeys(UNITS, 1.0))
    proxy.rule = refuse_keys(["profile:bob"], 99)
    with pytest.raises(KvError, match="profile:bob"):
        put(model, lake, faulty_kv)
    [pending] = lake.profiles.iterdir()
    assert pending.name.endswith(".pending.parquet")
    version = live(kv, "ann").header.version
    assert lake.read_profile("ann", version) == kv.get("profile:ann")
    done = put(make_model(lake, dict.fromkeys(UNITS, 1.0), LATER_MS), lake, kv, LATER_MS)
    assert (done.written, done.unchanged) == (3, 0)
    assert {unit: last.is_certain for unit, last in read_last_profiles(lake).items()} == dict.fromkeys(UNITS, True)


def test_keys_that_kv_refuses_at_first_are_sent_again(
    lake: Lake, faulty_kv: KvClient, kv: KvClient, proxy: Proxy
) -> None:
    proxy.rule = refuse_keys(["profile:bob"], 1)
    assert put(make_model(lake, dict.fromkeys(UNITS, 1.0)), lake, faulty_kv).written == 3
    assert [sorted(call.keys) for call in proxy.calls] == [[f"profile:{unit}" for unit in UNITS], ["profile:bob"]]
    assert live(kv, "bob").header.unit == "bob"


def test_scores_for_the_variants_of_before_go_along_once(lake: Lake, kv: KvClient) -> None:
    """The snapshot of before stays live until the pointer moves, and a rollback may bring it back."""
    put(make_model(lake, {"ann": 1.0}), lake, kv)
    changed = name_model(["house", "craft", "sale"])
    put(make_model(lake, {"ann": 2.0}, LATER_MS, changed), lake, kv, LATER_MS, changed)
    both = live(kv, "ann")
    for model, mean in ((MODEL, 1.0), (changed, 2.0)):
        scores = both.scores("hero", (model,), 3)
        assert scores is not None and scores.means[0] == mean
    put(make_model(lake, {"ann": 2.0}, LATER_MS + 1, changed), lake, kv, LATER_MS + 1, changed)
    assert live(kv, "ann").scores("hero", (MODEL,), 3) is None
    assert put(make_model(lake, {"ann": 2.0}, LATER_MS + 2, changed), lake, kv, LATER_MS + 2, changed).unchanged == 1


def test_scores_that_no_touchpoint_uses_are_not_published(lake: Lake, faulty_kv: KvClient, proxy: Proxy) -> None:
    model = make_model(lake, {"ann": 1.0})
    for accepted in ({}, {"pick": MODEL}):
        done = publish_profiles(model, accepted, TTL_MS, lake, faulty_kv, NOON_MS, is_read=False)
        assert done == PublishedProfiles()
    assert proxy.calls == []


def test_a_damaged_file_of_the_lake_is_named(lake: Lake, kv: KvClient) -> None:
    lake.write(lake.profiles / "a.parquet", b"PAR1nonsense")
    for read in (lambda: lake.read_profile("ann", "v"), lambda: read_last_profiles(lake)):
        with pytest.raises(LakeError, match=r"profiles: cannot be read: .*a\.parquet"):
            read()


def test_a_lake_without_profiles_has_none(lake: Lake) -> None:
    assert lake.read_profile("ann", "v") is None
    assert read_last_profiles(lake) == {}


@pytest.fixture
def personal(lake: Lake) -> tuple[Config, Model]:
    """A shop whose hero has reached the individual level, with three people."""
    text = USHER_TOML + (
        "[touchpoints.hero.levels]\nrequire_gain = false\ncluster_min_people = 0\ncluster_min_days = 0\n"
        "individual_min_people = 0\nindividual_min_days = 0\nindividual_ttl_h = 12\n"
    )
    config = make_config(lake.root / "config", text)
    model = train(config, lake, NOON_MS, NOON_MS)
    people = People(units=UNITS, means=np.zeros((3, 3)), sds=np.ones((3, 3)))
    write_people(lake, model.version, gather_people({("hero", MODEL): people}, describe(UNITS), {}, {}, None))
    return config, dataclasses.replace(model, people=3)


def test_profiles_are_published_before_the_snapshot_that_uses_them(
    personal: tuple[Config, Model], lake: Lake, faulty_kv: KvClient, kv: KvClient, proxy: Proxy
) -> None:
    done = publish(*personal, lake, faulty_kv, NOON_MS)
    assert done.profiles.written == 3
    puts = [call.keys for call in proxy.calls if call.method == "PUT"]
    assert puts == [[f"profile:{unit}" for unit in UNITS], [f"snapshot:{done.version}"], ["current"]]
    snapshot = Snapshot.from_text(kv.get(done.keys[0]) or "")
    hero = snapshot.touchpoint("hero")
    assert snapshot.header.has_profiles
    assert hero.allows("individual")
    assert (hero.models, hero.individual_ttl_ms) == ((MODEL,), 12 * HOUR_MS)
    scores = live(kv, "ann").scores("hero", hero.models, 3)
    assert scores is not None and scores.sds == (1.0, 1.0, 1.0)
    again = publish(*personal, lake, faulty_kv, LATER_MS)
    assert (again.changed, again.profiles.unchanged) == (False, 3)


def test_whoever_dies_while_profiles_are_written_leaves_what_was_live(
    personal: tuple[Config, Model], config: Config, lake: Lake, faulty_kv: KvClient, kv: KvClient, proxy: Proxy
) -> None:
    publish(config, train(config, lake, NOON_MS, NOON_MS), lake, kv, NOON_MS)
    before = kv.get("current")

    def refuse_bulk(call: Call, forward: Forward) -> Answer | None:
        return None if call.method == "PUT" else forward(call)

    proxy.rule = refuse_bulk
    with pytest.raises(KvError):
        publish(*personal, lake, faulty_kv, LATER_MS)
    assert kv.get("current") == before
    assert publish(*personal, lake, kv, LATER_MS + DAY_MS).profiles.written == 3


def test_the_configuration_may_take_the_level_back(personal: tuple[Config, Model], lake: Lake, kv: KvClient) -> None:
    config, model = personal
    hero = config.touchpoints["hero"]
    levels = hero.levels.model_copy(update={"finest": "segment"})
    coarser = config.model_copy(update={"touchpoints": {"hero": hero.model_copy(update={"levels": levels})}})
    done = publish(coarser, model, lake, kv, NOON_MS)
    assert done.profiles == PublishedProfiles()
    snapshot = Snapshot.from_text(kv.get(done.keys[0]) or "")
    assert not snapshot.header.has_profiles
    assert not snapshot.touchpoint("hero").allows("individual")
    assert snapshot.touchpoint("hero").models == ()


def test_a_model_that_has_not_come_that_far_uses_segments(personal: tuple[Config, Model]) -> None:
    config, model = personal
    segments = dataclasses.replace(model.touchpoints["hero"], level="segment")
    _, text = make_snapshot(config, dataclasses.replace(model, touchpoints={"hero": segments}), NOON_MS)
    assert not Snapshot.from_text(text).touchpoint("hero").allows("cluster")


DEVICES = {"ann": ("ann", "phone", "tablet")}


def units_with(client: KvClient, *units: str) -> set[tuple[str, str]]:
    """The person's unit and the version that the profiles of some units hold."""
    return {(live(client, unit).header.unit, live(client, unit).header.version) for unit in units}


def test_a_persons_profile_is_there_under_the_unit_of_each_device(lake: Lake, kv: KvClient) -> None:
    done = put(make_model(lake, {"ann": 1.0, "bob": 1.0}, devices=DEVICES), lake, kv)
    assert done.written == 4
    [(unit, version)] = units_with(kv, *DEVICES["ann"])
    assert unit == "ann"
    texts = lake.read_profiles((unit, version) for unit in DEVICES["ann"])
    assert set(texts.values()) == {kv.get("profile:phone")}
    scores = live(kv, "phone").scores("hero", (MODEL,), 3)
    assert scores is not None and scores.means[0] == 1.0


def test_a_new_device_gets_the_same_version_as_the_others(lake: Lake, kv: KvClient) -> None:
    put(make_model(lake, {"ann": 1.0}, devices={"ann": ("ann", "phone")}), lake, kv)
    again = put(make_model(lake, {"ann": 1.0}, LATER_MS, devices={"ann": ("ann", "phone")}), lake, kv, LATER_MS)
    assert (again.written, again.unchanged) == (0, 2)
    assert put(make_model(lake, {"ann": 1.0}, LATER_MS, devices=DEVICES), lake, kv, LATER_MS).written == 3
    assert len(units_with(kv, *DEVICES["ann"])) == 1


def test_devices_are_joined_where_there_are_no_scores(lake: Lake, kv: KvClient) -> None:
    """In the holdout, or before the individual level is reached: they must decide alike all the same."""
    model = make_model(lake, {}, devices=DEVICES)
    done = publish_profiles(model, {}, 0, lake, kv, NOON_MS, is_read=False)
    assert done.written == 3
    profile = live(kv, "phone")
    assert (profile.header.unit, profile.header.attributes, profile.knows("hero")) == ("ann", {}, False)
    month = dataclasses.replace(model, trained_ms=NOON_MS + 30 * DAY_MS)
    day = dataclasses.replace(model, trained_ms=NOON_MS + 29 * DAY_MS)
    for each, written in ((day, 0), (month, 3)):
        lake.write(
            lake.models / f"{each.version}.people.parquet",
            (lake.models / f"{model.version}.people.parquet").read_bytes(),
        )
        assert publish_profiles(each, {}, 0, lake, kv, LATER_MS, is_read=False).written == written


def test_a_unit_that_left_a_person_gets_a_profile_of_its_own(lake: Lake, kv: KvClient) -> None:
    """A shared device must not take over the unit of one of its users."""
    put(make_model(lake, {"ann": 1.0}, devices=DEVICES), lake, kv)
    put(make_model(lake, {"ann": 1.0}, LATER_MS, devices={"ann": ("ann", "phone")}), lake, kv, LATER_MS)
    tablet = live(kv, "tablet")
    assert (tablet.header.unit, tablet.header.attributes, tablet.knows("hero")) == ("tablet", {}, False)
    assert (
        put(
            make_model(lake, {"ann": 1.0}, LATER_MS + 1, devices={"ann": ("ann", "phone")}), lake, kv, LATER_MS + 1
        ).written
        == 0
    )


DRAW: Record = {
    "touchpoint": "hero", "epoch": "forever", "excluded": [], "variants": ["craft"], "propensities": [0.1 + 0.2],
    "level": "global", "cell": "", "snapshot": "v1", "randomised": True, "is_slate": False,
}  # fmt: skip


def test_only_the_profiles_of_several_devices_say_so_and_bring_along_draws(lake: Lake, kv: KvClient) -> None:
    model = make_model(lake, {"ann": 1.0, "bob": 1.0}, devices=DEVICES, draws={"ann": [DRAW], "bob": [DRAW]})
    put(model, lake, kv)
    for unit in DEVICES["ann"]:
        header = live(kv, unit).header
        assert header.several_devices
        assert [(draw.variants, draw.propensities) for draw in header.draws] == [(("craft",), (0.30000000000000004,))]
    assert (live(kv, "bob").header.several_devices, live(kv, "bob").header.draws) == (False, ())


def test_a_new_draw_is_published_to_all_devices(lake: Lake, kv: KvClient) -> None:
    for later, draws, written in ((0, [], 3), (1, [], 0), (2, [DRAW], 3), (3, [DRAW], 0), (4, [], 3)):
        model = make_model(lake, {"ann": 1.0}, NOON_MS + later, devices=DEVICES, draws={"ann": draws})
        assert put(model, lake, kv, NOON_MS + later).written == written
        assert len(live(kv, "phone").header.draws) == len(draws)


def test_who_is_left_alone_has_one_device_again(lake: Lake, kv: KvClient) -> None:
    put(make_model(lake, {}, devices=DEVICES, draws={"ann": [DRAW]}), lake, kv)
    put(make_model(lake, {}, LATER_MS), lake, kv, LATER_MS)
    for unit in DEVICES["ann"]:
        header = live(kv, unit).header
        assert (header.unit, header.several_devices, header.draws) == (unit, False, ())
    assert put(make_model(lake, {}, LATER_MS + 1), lake, kv, LATER_MS + 1).written == 0


def test_attributes_are_published_where_anything_reads_them(lake: Lake, kv: KvClient) -> None:
    people = gather_people({}, {**describe(["ann"]), "bob": {"decisions": 4, "rewards": 0, "days": 1}}, {}, {}, 5)
    write_people(lake, "v1", people)
    model = dataclasses.replace(make_model(lake, {}), version="v1", people=len(people))
    assert publish_profiles(model, {}, 0, lake, kv, NOON_MS, is_read=False).written == 0
    assert publish_profiles(model, {}, 0, lake, kv, NOON_MS, is_read=True).written == 1
    assert live(kv, "ann").header.attributes == {"decisions": 9, "rewards": 2, "days": 3}


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("", ""),
        ('condition = { device = "mobile" }', 'condition = { "profile.days" = { "$gt" = 3 } }'),
        ('{ device = "mobile" }', '{ "$or" = [{ device = "mobile" }, { "$not" = { "profile.days" = 3 } }] }'),
        ('{ name = "craft",', '{ name = "craft", condition = { "profile.rewards" = { "$gt" = 0 } },'),
        ('{ name = "craft",', '{ name = "craft", shifts = { "profile.days" = { mean = 0.1, sd = 0.1 } },'),
        ("[goals.click]", '[intent]\nweights = { "profile.days" = 0.1 }\n[goals.click]'),
        ("[goals.click]", '[phrases]\n"profile.days" = "you came on {value} days"\n[goals.click]'),
        ('id = "shop"', 'id = "shop"\ninterest = "profile.topic"'),
    ],
)  # fmt: skip
def test_it_is_known_whether_anything_reads_profiles(lake: Lake, wanted: str, given: str) -> None:
    config = make_config(lake.root / "config", USHER_TOML.replace(wanted, given) if wanted else USHER_TOML)
    assert reads_profiles(config) is bool(wanted)
