"""Start and stop the local edge from Python: the Worker in workerd, with KV, queue, bucket and cron in Miniflare."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.stage import stage

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
EXPLORER_PATH = "/cdn-cgi/local/explorer/api"
S3_PATH = "/cdn-cgi/local/r2/s3"
S3_CREDENTIALS = {"accessKeyId": "local", "secretAccessKey": "local-secret"}
LOCAL_KEYS = "local:local-development-only"
LOCAL_USER_KEY = "local-development-user-key"
LOCAL_IDENTIFY_KEYS = "site:local-development-site-key"
LOCAL_SERVER_TOKENS = "local:local-development-token"


class EdgeError(Exception):
    """The local edge did not start; the message holds what it printed."""


@dataclass(slots=True, kw_only=True)
class Edge:
    """A running local edge: its address, where its KV and bucket are reached, and what it has logged so far."""

    url: str
    namespace: str
    bucket: str
    log: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """The settings that make the command line work against this edge."""
        return {
            "USHER_KV_URL": f"{self.url}{EXPLORER_PATH}/storage/kv/namespaces/{self.namespace}",
            "USHER_S3_ENDPOINT": f"{self.url}{S3_PATH}",
            "USHER_S3_ACCESS_KEY_ID": S3_CREDENTIALS["accessKeyId"],
            "USHER_S3_SECRET_ACCESS_KEY": S3_CREDENTIALS["secretAccessKey"],
            "USHER_BUCKET": self.bucket,
            "USHER_KEYS": LOCAL_KEYS,
            "USHER_USER_KEY": LOCAL_USER_KEY,
        }

    def counted(self, reason: str) -> int:
        """How often the Worker has counted a reason."""
        return sum(f'{{"usher": "{reason}"' in line for line in self.log)


@contextmanager
def run_edge(
    *,
    port: int = 0,
    state: Path | None = None,
    variables: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> Iterator[Edge]:
    """Run the local edge; it stops when the block ends or this process does.

    `port` 0 takes a free one; `state` keeps KV and bucket in a folder (else in memory); `variables` are set beside
    those of wrangler.toml; `options` go to edge.mjs as they are (`ratelimits` replaces those of wrangler.toml, `{}` is
    none). Raises EdgeError when it does not start.
    """
    with TemporaryDirectory(prefix="usher-edge-") as name:  # of its own: several may run at once
        modules = str((options or {}).get("modules") or name)
        if modules == name:
            stage(Path(name))
        with _run(port, state, variables or {}, {**(options or {}), "modules": modules}) as edge:
            yield edge


@contextmanager
def _run(port: int, state: Path | None, variables: Mapping[str, str], options: Mapping[str, object]) -> Iterator[Edge]:
    settings = {
        "port": port,
        "state": str(state) if state is not None else None,
        "vars": {
            "USHER_KEYS": LOCAL_KEYS,
            "USHER_USER_KEY": LOCAL_USER_KEY,
            "USHER_IDENTIFY_KEYS": LOCAL_IDENTIFY_KEYS,
            "USHER_SERVER_TOKENS": LOCAL_SERVER_TOKENS,
            **variables,
        },
        "s3": S3_CREDENTIALS,
        **options,
    }
    node = Path(sys.executable).parent / "node"
    process = subprocess.Popen(
        [str(node), str(ROOT / "scripts" / "runtime" / "edge.mjs"), json.dumps(settings)],
        cwd=ROOT,
        env={**os.environ, "WRANGLER_SEND_METRICS": "false", "CI": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=_collect, args=(process.stderr, log), daemon=True)
    reader.start()
    try:
        ready = _wait_until_ready(process, log)
        yield Edge(url=ready["url"], namespace=ready["namespace"], bucket=ready["bucket"], log=log)
    finally:
        _stop(process)
        reader.join(timeout=5)
        process.stderr.close()


def _collect(stream: Iterator[str], log: list[str]) -> None:
    for line in stream:
        log.append(line.rstrip("\n"))


def _wait_until_ready(process: subprocess.Popen[str], log: list[str]) -> Mapping[str, str]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    line = process.stdout.readline() if readable else ""
    if not line:
        process.kill()
        process.wait()
        raise EdgeError("the local edge did not start:\n" + "\n".join(log[-30:]))
    ready: Mapping[str, str] = json.loads(line)
    return ready


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        process.stdin.close()
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
