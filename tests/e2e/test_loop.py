"""The loop closes: page views and clicks by HTTP, events in R2, a retrain, and the next decisions come from it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from origin.config import Config
from origin.preview import preview_link
from origin.train import train
from scripts.runtime.edge import run_edge
from shared.constraints import constrain
from shared.posterior import Posterior
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, Snapshot
from tests.e2e.world import DAY_MS, JsonEvent, World, make_world, now_ms, read_lines
from tests.origin.logs import change

VISITORS = 120
RETURNING = 20
LIKED = "craft"


@pytest.fixture
def empty_world(tmp_path: Path, demo_config: Config) -> Iterator[World]:
    options = {"queue": {"maxBatchTimeout": 0.2}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200"}, options=options) as edge:
        world = make_world(edge, tmp_path, demo_config)
        yield world
        world.kv.close()


def live_cell(world: World, version: str) -> Posterior:
    text = world.kv.get(SNAPSHOT_KEY + version)
    assert text is not None
    cell = Snapshot.from_text(text).cell("hero", "global", "")
    assert cell is not None
    return cell


def test_the_loop_closes(empty_world: World) -> None:
    world = empty_world
    first = world.retrain()
    assert live_cell(world, first.version).probabilities == pytest.approx((0.25,) * 4)

    chance = random.Random(7)
    browsers = [world.browser() for _ in range(VISITORS)]
    for browser in browsers:
        page = browser.get("/")
        liked = f"look-{LIKED}" in page.text
        if chance.random() < (0.6 if liked else 0.1):
            assert browser.report("hero_click", "hero", event_id=f"loop-{browser.visitor}").status_code == 202
    visitors = {browser.visitor for browser in browsers}
    world.events(
        lambda event: event["type"] == "exposure" and event["visitor"] in visitors and event["touchpoint"] == "hero",
        least=VISITORS,
    )

    second = world.retrain(as_of_ms=now_ms() + 2 * DAY_MS)
    assert second.changed and second.version != first.version
    cell = live_cell(world, second.version)
    names = [variant.name for variant in world.config.touchpoints["hero"].expanded_variants]
    assert max(zip(cell.probabilities, names, strict=True))[1] == LIKED

    newcomer = next(
        browser
        for browser in (world.browser() for _ in range(100))
        if browser.get("/") and not world.exposures(browser)["hero"]["holdout"]
    )
    event = world.exposures(newcomer)["hero"]
    assert event["snapshot"] == second.version
    probabilities, eligible = event["probabilities"], event["eligible"]
    assert isinstance(probabilities, list) and isinstance(eligible, list)
    assert event["propensity"] == probabilities[eligible.index(event["variant"])]
    floors = [variant.floor for variant in world.config.touchpoints["hero"].expanded_variants]
    served = constrain(cell.probabilities, floors=floors, caps=[1.0] * len(floors)).probabilities
    assert probabilities == pytest.approx(served, abs=1e-12)

    for browser in browsers[:RETURNING]:
        browser.get("/")
    returned = {browser.visitor for browser in browsers[:RETURNING]}
    world.events(lambda event: event.get("reason") == "kept" and event["visitor"] in returned, least=RETURNING)
    _replay_and_explain(world, event)


def _replay_and_explain(world: World, drawn: JsonEvent) -> None:
    """What workerd has logged comes out again from the lake alone, and can be explained; what was changed does not."""
    logged = [event for event in read_lines(world.lake.events) if event["type"] == "exposure"]
    kept = sum(event["reason"] == "kept" for event in logged)
    assert kept >= RETURNING
    assert _usher(world, "replay") == (
        0,
        f"same {len(logged)} decisions, to the last bit; {kept} of them repeating an earlier one\n",
        "",
    )

    status, by_visitor, problems = _usher(world, "explain", str(drawn["visitor"]))
    assert (status, problems) == (0, "")
    status, by_id, problems = _usher(world, "explain", str(drawn["event_id"]))
    assert (status, problems) == (0, "")
    assert f"{drawn['variant']} wins: propensity {drawn['propensity']!r}" in by_id
    assert by_id in by_visitor

    change(world.lake, lambda line: line["event_id"] == drawn["event_id"], propensity=0.5)
    assert _usher(world, "replay") == (
        1,
        f"same {len(logged) - 1} decisions, to the last bit; {kept} of them repeating an earlier one\n",
        "error: 1 decision came out otherwise, the first:\n"
        f"error:   hero of {drawn['event_id']}\n"
        f"error:   visitor {drawn['visitor']}, received at {drawn['received_ms']} ms\n"
        f"error:   propensity: logged 0.5, computed {drawn['propensity']!r}\n",
    )
    status, by_id, _ = _usher(world, "explain", str(drawn["event_id"]))
    assert f"propensity: logged 0.5, computed {drawn['propensity']!r}" in by_id


def _usher(world: World, *arguments: str) -> tuple[int, str, str]:
    """Run the command on the world's lake: its status, output and errors."""
    done = subprocess.run(
        [Path(sys.executable).parent / "usher", *arguments],
        cwd=world.lake.root.parent,
        env={**os.environ, "USHER_LAKE": str(world.lake.root), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_click_on_a_previewed_variant_rewards_nobody(empty_world: World) -> None:
    world = empty_world
    world.retrain()
    browser = world.browser()
    browser.get("/")
    page = browser.get(preview_link(world.config, world.settings, "/", "hero", "craft"))
    view = page.text.partition('data-view="')[2].partition('"')[0]
    browser.report("hero_click", "hero", event_id="on-preview", page_view=view)
    world.events(lambda event: event.get("event_id") == "on-preview")
    model = train(world.config, world.lake, now_ms() + 2 * DAY_MS, now_ms())
    assert model.touchpoints["hero"].rewards == 0


def test_the_same_data_publishes_nothing_again(empty_world: World) -> None:
    first = empty_world.retrain()
    again = empty_world.retrain()
    assert first.changed
    assert not again.changed
    assert (again.version, again.keys) == (first.version, (POINTER_KEY,))
