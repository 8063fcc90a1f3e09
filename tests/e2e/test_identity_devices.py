"""One person on two devices: signed in on both, stitched by the retrain, decided alike from the next session on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import pytest

from origin.config import load_config
from origin.identity.persons import read_persons
from origin.identity.show import find_person
from origin.identity.stitch import stitch
from origin.posteriors import make_cell
from origin.publish import publish
from origin.pull import pull
from origin.replay import replay
from origin.train import train
from scripts.runtime.edge import LOCAL_IDENTIFY_KEYS, LOCAL_KEYS, run_edge
from shared.identity import sign_user
from shared.signing import read_keys
from tests.e2e.world import DAY_MS, Browser, JsonEvent, World, eventually, make_world, now_ms, read_lines
from worker.visitor import Visitor, read_visitor, write_visitor

PEOPLE = 8
HOUR_MS = 3_600_000
# Devices that have nothing to do with each other agree for one person in five, for all eight once in a hundred thousand
# times and more.
USHER_TOML = """
[site]
id = "two-devices"
holdout_share = 0.2
[goals.hero_click]
[touchpoints.hero]
goal = "hero_click"
default = "house"
pages = ["/"]
epoch = "{epoch}"
variants = [
{variants}
]
"""
VARIANTS = ("house", "craft", "offer", "season")
T = TypeVar("T")


@pytest.fixture
def epoch() -> str:
    return "forever"


@pytest.fixture
def world(tmp_path: Path, epoch: str) -> Iterator[World]:
    variants = ",\n".join(f'  {{ name = "{name}", html = "{name}" }}' for name in VARIANTS)
    (tmp_path / "usher.toml").write_text(USHER_TOML.format(epoch=epoch, variants=variants))
    variables = {"SNAPSHOT_TTL_MS": "200", "PROFILE_MARGIN_MS": "3000"}
    with run_edge(variables=variables, options={"queue": {"maxBatchTimeout": 0.2}}) as edge:
        world = make_world(edge, tmp_path, load_config(tmp_path / "usher.toml"))
        world.publish_untrained()
        yield world
        world.kv.close()


def identify(browser: Browser, user: str, signature: str | None = None) -> httpx.Response:
    """Say who signed in, by default with the signature that the site's server would have made."""
    sent_ms = now_ms()
    signature = sign_user(read_keys(LOCAL_IDENTIFY_KEYS), user) if signature is None else signature
    event = {
        "type": "identify",
        "event_id": f"who-{sent_ms}",
        "created_ms": sent_ms,
        "user": user,
        "signature": signature,
    }
    return browser.post({"sent_ms": sent_ms, "events": [event]})


def come_back(browser: Browser) -> Visitor:
    """Begin the browser's next session, an hour later; returns the visitor that its cookie then holds."""
    visitor = visitor_of(browser)
    session = visitor.session
    earlier = replace(session, started_ms=session.started_ms - HOUR_MS, seen_ms=session.seen_ms - HOUR_MS)
    aged, _ = write_visitor(replace(visitor, session=earlier), read_keys(LOCAL_KEYS))
    browser.cookie = aged.partition(";")[0]
    assert browser.get("/").status_code == 200
    return visitor_of(browser)


def visitor_of(browser: Browser) -> Visitor:
    """The visitor in a browser's cookie."""
    visitor, problem = read_visitor(browser.cookie, read_keys(LOCAL_KEYS))
    assert visitor is not None, problem
    return visitor


def publish_moved(world: World, towards: str) -> None:
    """Retrain, and publish as if rewards had moved the posterior of all visitors far towards one variant."""
    pull(world.lake, world.settings)
    stitch(world.lake, world.config.identity, now_ms())
    model = train(world.config, world.lake, now_ms(), now_ms())
    hero = model.touchpoints["hero"]
    alpha = np.array([90.0 if name == towards else 1.0 for name in hero.variants])
    hero = replace(hero, cells={"global:": make_cell(alpha, np.full(len(alpha), 100.0))})
    published = publish(world.config, replace(model, touchpoints={"hero": hero}), world.lake, world.kv, now_ms())
    world.await_version(published.version)


def on_one_day(step: Callable[[], T]) -> T:
    """What a step returns that began and ended on the same UTC day."""
    while True:
        day, found = now_ms() // DAY_MS, step()
        if now_ms() // DAY_MS == day:
            return found


def decided(world: World, browser: Browser) -> tuple[str, str, bool]:
    """What was logged of the browser's present session: unit, variant, and whether it is in the holdout."""
    visitor = visitor_of(browser)
    wanted = {"type": "exposure", "visitor": visitor.id, "session_ms": visitor.session_ms}
    [exposure] = world.events(lambda event: wanted.items() <= event.items())
    return str(exposure["unit"]), str(exposure["variant"]), bool(exposure["holdout"])


def test_devices_of_one_person_agree_from_the_next_session_on(world: World) -> None:
    people = [(world.browser(), world.browser()) for _ in range(PEOPLE)]
    for number, devices in enumerate(people):
        for browser in devices:
            browser.get("/")
            assert identify(browser, f"user {number}").status_code == 202
    before = [[decided(world, browser)[1:] for browser in devices] for devices in people]
    assert any(first != second for first, second in before)
    claimed = people[0][0].visitor
    forger, thief = world.browser(), world.browser()
    for browser, signature in ((forger, "site." + "0" * 64), (thief, sign_user(read_keys(LOCAL_IDENTIFY_KEYS), "me"))):
        browser.get("/")
        identify(browser, "user 0", signature)
    world.events(lambda event: event["type"] == "identify", least=2 * PEOPLE)
    world.retrain()

    for number, (first, second) in enumerate(people):
        owner = visitor_of(first)
        crossed = come_back(second)
        assert (crossed.unit, crossed.id) == (owner.id, visitor_of(second).id)
        assert crossed.id != owner.id
        assert come_back(first).unit == owner.id
        assert decided(world, second) == decided(world, first) == (owner.id, *before[number][0])
    for browser in (forger, thief):
        assert come_back(browser).unit == visitor_of(browser).id

    crossings = world.events(lambda event: event["type"] == "crossing", least=PEOPLE)
    assert {(event["unit_before"], event["unit"]) for event in crossings} == {
        (visitor_of(second).id, visitor_of(first).id) for first, second in people
    }
    stitch(world.lake, world.config.identity, now_ms())
    person = find_person(world.lake, "user 0", world.settings.user_hash_key())
    assert (person.name, list(person.visitors)) == (claimed, [claimed, people[0][1].visitor])
    assert [crossing.unit for crossing in person.crossings] == [claimed]


def test_a_device_that_turns_out_not_to_be_the_persons_gets_its_own_unit_back(world: World) -> None:
    kiosk, phone = world.browser(), world.browser()
    for browser in (kiosk, phone):
        browser.get("/")
        identify(browser, "ann")
    world.events(lambda event: event["type"] == "identify", least=2)
    world.retrain()
    assert come_back(phone).unit == kiosk.visitor
    for number in range(3):
        identify(kiosk, f"passer-by {number}")
    world.events(lambda event: event["type"] == "identify", least=5)
    world.events(lambda event: event["type"] == "crossing")
    world.retrain()
    assert read_persons(world.lake, world.config.identity, now_ms()).units == {}

    assert come_back(phone).unit == phone.visitor
    assert decided(world, phone)[0] == phone.visitor
    assert come_back(kiosk).unit == kiosk.visitor
    crossings = world.events(lambda event: event["type"] == "crossing", least=2)
    assert {(event["visitor"], event["unit_before"], event["unit"]) for event in crossings} == {
        (phone.visitor, phone.visitor, kiosk.visitor),
        (phone.visitor, kiosk.visitor, phone.visitor),
    }
    assert replay(world.lake).is_faithful


@pytest.mark.parametrize("epoch", ["session", "forever"])
def test_devices_show_the_same_although_the_posterior_moves_between_their_visits(world: World) -> None:
    people = [(world.browser(), world.browser()) for _ in range(PEOPLE)]
    for number, devices in enumerate(people):
        for browser in devices:
            browser.get("/")
            identify(browser, f"user {number}")
    world.events(lambda event: event["type"] == "identify", least=2 * PEOPLE)
    world.retrain()

    def come_again() -> tuple[list[list[tuple[str, str, bool]]], str]:
        # Of every other person both devices come before the posterior moves, of the rest the second comes after that.
        before = [devices if number % 2 else devices[:1] for number, devices in enumerate(people)]
        for browser in chain(*before):
            come_back(browser)
        shown = [[decided(world, browser) for browser in devices] for devices in before]
        drawn = Counter(variant for ((_, variant, is_held_out), *_) in shown if not is_held_out)
        rarest = min(VARIANTS, key=drawn.__getitem__)
        publish_moved(world, rarest)
        for browser in chain(*people):
            come_back(browser)
        for devices, each in zip(people, shown, strict=True):
            each += [decided(world, browser) for browser in devices]
        return shown, rarest

    shown, rarest = on_one_day(come_again)
    assert [len(set(each)) for each in shown] == [1] * PEOPLE
    assert any(not is_held_out and variant != rarest for ((_, variant, is_held_out), *_) in shown)
    assert replay(world.lake).is_faithful


def test_a_forged_claim_is_kept_without_the_id(world: World) -> None:
    browser = world.browser()
    browser.get("/")
    identify(browser, "victim@example.com", "site." + "0" * 64)

    def look() -> list[JsonEvent]:
        pull(world.lake, world.settings)
        return read_lines(world.lake.quarantine)

    [record] = eventually(look, "the quarantined event")
    assert record["code"] == "signature"
    assert "victim" not in str(record)
