"""One workerd with several Workers side by side, each on a port of its own.

Miniflare's own port puts a proxy Worker in front, which costs more than a no-op; the ports used here lead straight into
a Worker, and all arms are reached in this same way.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmarks.sites import ROOT, Site, publish_site
from scripts.runtime.edge import EXPLORER_PATH, LOCAL_KEYS, run_edge
from scripts.stage import stage

WORKERS = Path(__file__).with_name("workers")
# The longest that Miniflare knows: the consumer then runs once for every hundred messages, as under load in production.
MAX_BATCH_TIMEOUT_S = 60
FLAGS = ("python_workers_development", "experimental")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One Worker: its entry (a file of `workers/`, or a folder of staged modules; None is Usher itself), the site
    whose scores and pages it is bound to, and its variables."""

    name: str
    entry: str | Path | None
    site: Site | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def run_workers(workers: Sequence[Worker]) -> Iterator[dict[str, str]]:
    """Run the Workers, with their sites published; yields the URL of each by its name."""
    sites = {worker.site.name: worker.site for worker in workers if worker.site is not None}
    ports = dict(zip((worker.name for worker in workers), _free_ports(len(workers)), strict=True))
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as name:
        folder = Path(name)
        stage(folder / "consumer")
        options = {
            "modules": str(folder / "consumer"),
            "assets": False,
            "queue": {"maxBatchTimeout": MAX_BATCH_TIMEOUT_S},
            "workers": [
                *(_worker_options(worker, folder / worker.name, ports[worker.name]) for worker in workers),
                *(_page_options(site) for site in sites.values()),
            ],
        }
        with run_edge(options=options) as edge:
            for site in sites.values():
                url = f"{edge.url}{EXPLORER_PATH}/storage/kv/namespaces/{_namespace(site)}"
                publish_site(site, url, folder / f"lake-{site.name}")
            yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


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
    if worker.site is not None:
        options["kvNamespaces"] = {wrangler["kv_namespaces"][0]["binding"]: _namespace(worker.site)}
        options["serviceBindings"] = {wrangler["assets"]["binding"]: _page_worker(worker.site)}
    if str(worker.entry).endswith(".js"):
        path = WORKERS / str(worker.entry)
        return {**options, "modules": [{"type": "ESModule", "path": str(path)}], "modulesRoot": str(WORKERS)}
    _stage_python(worker.entry, folder)
    flags = [*wrangler["compatibility_flags"], *FLAGS]
    return {**options, "compatibilityFlags": flags, "modules": _list_modules(folder), "modulesRoot": str(folder)}


def _page_options(site: Site) -> dict[str, object]:
    return {
        "name": _page_worker(site),
        "modules": [{"type": "ESModule", "path": str(WORKERS / "pages.js")}],
        "modulesRoot": str(WORKERS),
        "bindings": {"PAGES": dict(site.pages)},
    }


def _stage_python(entry: str | Path | None, folder: Path) -> None:
    """Stage the modules of a Python Worker, and the SDK beside them."""
    if isinstance(entry, Path):
        shutil.copytree(entry, folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        stage(folder)
        if entry is not None:
            shutil.copyfile(WORKERS / entry, folder / "entry.py")
    shutil.copytree(ROOT / "python_modules", folder / "python_modules", ignore=shutil.ignore_patterns("__pycache__"))


def _list_modules(folder: Path) -> list[dict[str, str]]:
    """The modules of a staged folder, the entry first; the SDK's files are data, as wrangler uploads them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    files.sort(key=lambda file: file != folder / "entry.py")
    return [{"type": _module_type(file, folder), "path": str(file)} for file in files]


def _module_type(file: Path, folder: Path) -> str:
    if file.suffix == ".js":
        return "ESModule"
    return "Data" if file.is_relative_to(folder / "python_modules") else "PythonModule"


def _namespace(site: Site) -> str:
    return f"bench-{site.name}"


def _page_worker(site: Site) -> str:
    return f"pages-{site.name}"


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; held together while they are looked for, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def floor_variables(site: Site, path: str, reads: int) -> dict[str, str]:
    """The settings of the floor: the slots of a page and what to write there, reads of KV, cookie and message."""
    message = json.dumps({"schema": 1, "type": "floor", "text": "x" * 1500})
    settings = {
        "slots": site.slots(path),
        "reads": reads,
        "cookie": f"__Host-usher={'x' * 100}; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Lax",
        "message": f"q{message}",
    }
    return {"FLOOR": json.dumps(settings)}
