"""The fixtures of the end-to-end tests: the demo shop's edge, and the staged Worker under test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from origin.config import Config, load_config
from origin.import_log import import_log, read_mapping
from scripts.runtime.edge import run_edge
from scripts.stage import stage
from tests.e2e.chromium import forget_visitor, run_chromium
from tests.e2e.studio import CONFIG, serve_studio
from tests.e2e.visits import Studio
from tests.e2e.world import LOGS, ROOT, World, make_world
from tests.origin.proxy import run_proxy


@pytest.fixture(scope="session")
def demo_config() -> Config:
    return load_config(ROOT / "usher.toml")


@pytest.fixture(scope="session")
def logs() -> Path:
    if not LOGS.is_dir():
        pytest.skip(f"the Open Bandit Dataset is not at {LOGS}; it lies beside the project, not in it")
    return LOGS


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, demo_config: Config) -> Iterator[World]:
    """The demo shop's edge, with a model trained on the Open Bandit Dataset where that is present."""
    folder = tmp_path_factory.mktemp("shop")
    options = {"queue": {"maxBatchTimeout": 0.2}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200"}, options=options) as edge:
        world = make_world(edge, folder, demo_config)
        for policy in ("random", "bts"):
            log = LOGS / policy / "men" / "men.csv.gz"
            if log.is_file():
                import_log(log, read_mapping(ROOT / "scripts" / "obd" / f"men-{policy}.toml"), world.lake)
        world.retrain()
        yield world
        world.kv.close()


@pytest.fixture(scope="session")
def modules_under_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The staged Worker with the entry of the tests on top: faults, and checks inside workerd."""
    folder = tmp_path_factory.mktemp("edge") / "under-test"
    stage(folder)
    shutil.copyfile(ROOT / "worker" / "entry.py", folder / "worker" / "entry.py")
    shutil.copyfile(ROOT / "tests" / "e2e" / "runtime" / "entry.py", folder / "entry.py")
    (folder / "vectors").mkdir()
    for name in ("check.py", "many.py"):
        shutil.copyfile(ROOT / "tests" / "vectors" / name, folder / "vectors" / name)
    return folder


# A module's, not the session's: while it runs, its event loop counts as the thread's, and asyncio.run refuses.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def studio_on_the_wire(tmp_path_factory: pytest.TempPathFactory, modules_under_test: Path) -> Iterator[Studio]:
    """The studio's site behind an edge that can be told to fail, on a wire that can be cut."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "usher.toml").write_text(CONFIG)
    options = {"modules": str(modules_under_test), "queue": {"maxBatchTimeout": 0.2}, "assets": False}
    with serve_studio() as site:
        variables = {"UPSTREAM": site, "SNAPSHOT_TTL_MS": "200"}
        with run_edge(variables=variables, options=options) as edge, run_proxy(edge.url) as wire:
            world = make_world(edge, folder, load_config(folder / "usher.toml"))
            world.publish_untrained()
            yield Studio(world, wire)
            world.kv.close()


@pytest.fixture
def studio(studio_on_the_wire: Studio) -> Studio:
    """The studio, of whose wire nothing has been heard yet."""
    studio_on_the_wire.wire.calls.clear()
    return studio_on_the_wire


@pytest.fixture(scope="module")
def whole_chromium(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with run_chromium(playwright, tmp_path_factory.mktemp("chromium")) as window:
        yield window


@pytest.fixture
def window(whole_chromium: BrowserContext, studio: Studio) -> BrowserContext:
    """A window of a whole Chromium, as a new visitor of the studio has it."""
    forget_visitor(whole_chromium, studio.wire.url)
    return whole_chromium
