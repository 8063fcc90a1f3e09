"""One workerd with several Workers side by side, each on a port of its own.

Miniflare's own port puts a proxy Worker in front, which costs more than a no-op; the ports used here lead straight into
a Worker, and all arms are reached in this same way.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console

from origin.kv import KvClient
from scripts.benchmarks.growthbook import payloads
from scripts.benchmarks.profiles import FLOOR_UNIT, make_profiles
from scripts.benchmarks.sites import ROOT, Site, publish_site
from scripts.runtime.edge import EXPLORER_PATH, LOCAL_KEYS, run_edge
from scripts.stage import stage
from shared.profile import PROFILE_KEY

WORKERS = Path(__file__).with_name("workers")
# The longest that Miniflare knows: the consumer then runs once for every hundred messages, as under load in production.
MAX_BATCH_TIMEOUT_S = 60
NO_LIMIT = 1_000_000_000
# Python entries that import nothing of Usher's. Paths of modules go on the runtime's command line, which has an end.
BARE = ("hello.py", "floor.py", "intake_floor.py")
FLAGS = ("python_workers_development", "experimental")
# Where the JavaScript Workers find their site's KV; the last two are the names that GrowthBook's edge app knows.
NAMESPACES = ("SCORES", "KV_GB_PAYLOAD", "KV_GB_CACHE")
out = Console(highlight=False, stderr=True)


class BundleError(Exception):
    """A JavaScript Worker could not be bundled; the message holds what esbuild printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One Worker: its entry (a file of `workers/`, or a folder of staged modules; None is Usher itself), the `modules`
    that it imports from there, the site whose scores and pages it is bound to, and its variables. With `extends`, a
    Python entry is Usher's own one extended, which it finds in `worker.entry`. With `limits` it has the rate limiters,
    which let everything through."""

    name: str
    entry: str | Path | None
    modules: tuple[str, ...] = ()
    site: Site | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    extends: bool = False
    limits: bool = False


# The Worker that calls single functions.
MICRO = Worker(name="micro", entry="micro.py", modules=("micro_decisions.py", "micro_state.py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Workers that run: the URL of each by its name, the KV namespace of each site by the site's, and what they have
    logged so far."""

    urls: Mapping[str, str]
    namespaces: Mapping[str, str]
    log: Sequence[str]
    inspector: int | None = None

    @contextmanager
    def kv(self, site: Site) -> Iterator[KvClient]:
        """A client of the KV that the site is published in."""
        client = KvClient(self.namespaces[site.name])
        try:
            yield client
        finally:
            client.close()


@contextmanager
def run_workers(workers: Sequence[Worker]) -> Iterator[Mapping[str, str]]:
    """Run the Workers, with their sites published; yields the URL of each by its name."""
    with run_world(workers) as world:
        yield world.urls


@contextmanager
def run_world(workers: Sequence[Worker], *, inspect: bool = False) -> Iterator[World]:
    """Run the Workers, with their sites published; with `inspect`, V8's inspector listens on a port."""
    sites = _name_sites(workers)
    fillers = [Worker(name=_filler(site), entry="fill.js", site=site) for site in sites.values() if site.profiles]
    workers = [*workers, *fillers]
    *free, inspector = _free_ports(len(workers) + 1)
    ports = dict(zip((worker.name for worker in workers), free, strict=True))
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as name:
        folder = Path(name)
        stage(folder / "consumer")
        options = {
            "modules": str(folder / "consumer"),
            "assets": False,
            "queue": {"maxBatchTimeout": MAX_BATCH_TIMEOUT_S},
            **({"inspector": inspector} if inspect else {}),
            "workers": [
                *(_worker_options(worker, folder / str(i), ports[worker.name]) for i, worker in enumerate(workers)),
                *(_page_options(site, folder / _page_worker(site)) for site in sites.values()),
            ],
        }
        with run_edge(options=options) as edge:
            explorer = f"{edge.url}{EXPLORER_PATH}/storage/kv/namespaces"
            world = World(
                urls={name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
                namespaces={site.name: f"{explorer}/{_namespace(site)}" for site in sites.values()},
                log=edge.log,
                inspector=inspector if inspect else None,
            )
            for site in sites.values():
                _fill(world, site, folder / f"lake-{site.name}")
            yield world


def _name_sites(workers: Iterable[Worker]) -> dict[str, Site]:
    """The sites of the Workers by their names, under which they share pages and KV. Raises ValueError where two of
    them have the same."""
    sites: dict[str, Site] = {}
    for worker in workers:
        if worker.site is not None and sites.setdefault(worker.site.name, worker.site) != worker.site:
            raise ValueError(f"two sites are called {worker.site.name}: give one of them a kind of its own")
    return sites


def _fill(world: World, site: Site, folder: Path) -> None:
    """Put into a site's KV what its Workers read: snapshot, GrowthBook's payloads, the floors' settings, profiles.

    The profiles go through a Worker: the explorer's bulk write takes several times as long.
    """
    with world.kv(site) as client:
        publish_site(site, client, folder)
        client.put({**payloads(site), **floor_settings(site)})
    if site.profiles:
        out.print(f"[dim]writing {site.profiles:,} profiles (about a minute for 50,000)[/]")
        names = list(site.config.touchpoints)[: site.profile_touchpoints]
        for pairs in make_profiles(site.profiles, names, time.time_ns() // 1_000_000):
            httpx.post(world.urls[_filler(site)], json=pairs, timeout=120).raise_for_status()


def _worker_options(worker: Worker, folder: Path, port: int) -> dict[str, object]:
    """The Worker as Miniflare wants it, its modules staged into a folder."""
    wrangler = tomllib.loads((ROOT / "wrangler.toml").read_text())
    queue = wrangler["queues"]["producers"][0]
    options: dict[str, object] = {
        "name": worker.name,
        "compatibilityDate": wrangler["compatibility_date"],
        "unsafeDirectSockets": [{"host": "127.0.0.1", "port": port}],
        "bindings": {**wrangler["vars"], "USHER_KEYS": LOCAL_KEYS, **worker.variables},
        "queueProducers": {queue["binding"]: {"queueName": queue["queue"]}},
    }
    if worker.limits:
        simple = {"limit": NO_LIMIT, "period": 10}
        options["ratelimits"] = {
            each["name"]: {"namespace_id": each["namespace_id"], "simple": simple} for each in wrangler["ratelimits"]
        }
    if worker.site is not None:
        options["r2Buckets"] = {each["binding"]: each["bucket_name"] for each in wrangler["r2_buckets"]}
        options["kvNamespaces"] = dict.fromkeys(NAMESPACES, _namespace(worker.site))
        options["serviceBindings"] = {wrangler["assets"]["binding"]: _page_worker(worker.site)}
        options["outboundService"] = _page_worker(worker.site)
    if str(worker.entry).endswith(".js"):
        bundle = _bundle(WORKERS / str(worker.entry), folder)
        return {**options, "modules": [{"type": "ESModule", "path": str(bundle)}], "modulesRoot": str(folder)}
    _stage_python(worker, folder)
    flags = [*wrangler["compatibility_flags"], *FLAGS]
    return {**options, "compatibilityFlags": flags, "modules": _list_modules(folder), "modulesRoot": str(folder)}


def _bundle(entry: Path, folder: Path) -> Path:
    """Bundle a JavaScript Worker with the npm packages it imports, as wrangler would."""
    bundle = folder / entry.name
    node, esbuild = Path(sys.executable).parent / "node", ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
    command = [
        str(node),
        str(esbuild),
        str(entry),
        "--bundle",
        "--format=esm",
        "--log-level=warning",
        f"--outfile={bundle}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleError(f"{entry.name} could not be bundled; run npm ci in {ROOT}\n{done.stderr}")
    return bundle


def _page_options(site: Site, folder: Path) -> dict[str, object]:
    """The Worker that serves a site's pages, as a module: a variable would not fit the runtime's command line."""
    folder.mkdir()
    shutil.copyfile(WORKERS / site.origin, folder / "pages.js")
    (folder / "pages.json").write_text(json.dumps(site.pages))
    return {
        "name": _page_worker(site),
        "modules": [
            {"type": "ESModule", "path": str(folder / "pages.js")},
            {"type": "Text", "path": str(folder / "pages.json")},
        ],
        "modulesRoot": str(folder),
        "bindings": {"PAUSE_MS": site.pause_ms},
    }


def _stage_python(worker: Worker, folder: Path) -> None:
    """Stage the modules of a Python Worker, and the SDK beside them."""
    if isinstance(worker.entry, Path):
        shutil.copytree(worker.entry, folder, ignore=shutil.ignore_patterns("__pycache__"))
    elif worker.entry in BARE:
        folder.mkdir()
        shutil.copyfile(WORKERS / worker.entry, folder / "entry.py")
    else:
        stage(folder)
        if worker.extends:
            shutil.copyfile(folder / "entry.py", folder / "worker" / "entry.py")
        if worker.entry is not None:
            shutil.copyfile(WORKERS / worker.entry, folder / "entry.py")
        for name in worker.modules:
            place = folder / WORKERS.relative_to(ROOT) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(WORKERS / name, place)
    shutil.copytree(ROOT / "python_modules", folder / "python_modules", ignore=shutil.ignore_patterns("__pycache__"))


def _list_modules(folder: Path) -> list[dict[str, str]]:
    """The modules of a staged folder, the entry first; the SDK's files are data, as wrangler uploads them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    files.sort(key=lambda file: file != folder / "entry.py")
    return [{"type": _module_type(file, folder), "path": str(file)} for file in files]


def _module_type(file: Path, folder: Path) -> str:
    if file.name.endswith(".min.js"):
        return "Text"
    if file.suffix in (".js", ".mjs"):
        return "ESModule"
    return "Data" if file.is_relative_to(folder / "python_modules") else "PythonModule"


def _namespace(site: Site) -> str:
    return f"bench-{site.name}"


def _filler(site: Site) -> str:
    return f"fill-{site.name}"


def _page_worker(site: Site) -> str:
    return f"pages-{site.name}"


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that the system gives to connections: none of these takes one before workerd
    listens."""
    free: list[int] = []
    for port in random.sample(range(20_000, 32_000), 12_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            break
    return free


def floor_settings(site: Site) -> dict[str, str]:
    """What a floor finds in KV at its first request, as a variable would not fit the runtime's command line: the slots
    of each page and what to write there, reads of KV, cookie and message."""
    message = json.dumps({"schema": 1, "type": "floor", "text": "x" * 1500})
    settings = {
        "pages": {path: site.slots(path) for path in site.pages},
        "reads": [PROFILE_KEY + FLOOR_UNIT] * site.reads,
        "cookie": f"__Host-usher={'x' * 100}; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Lax",
        "message": f"q{message}",
    }
    return {"floor": json.dumps(settings)}
