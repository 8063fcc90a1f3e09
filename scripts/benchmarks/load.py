"""Run the load generator and read what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.mjs")
DEADLINE_S = 3600


class LoadError(Exception):
    """The load generator failed; the message holds what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one arm is reached, the request headers it is asked with, the body that is posted (empty: it is a GET); and
    the answer where all is well: its status, a text it holds, and by touchpoint the HTML of which one piece stands in
    the slot."""

    name: str
    url: str
    headers: Mapping[str, str]
    body: str = ""
    status: int = 200
    expect: str = ""
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One arm in one round at one number of connections: milliseconds to the body's last byte (p50, p95, p99), to its
    first (p50), requests per second, the body's bytes, how many requests there were, how many failed, and the first
    problem (empty: there was none)."""

    arm: str
    round: int
    connections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_byte_ms: float
    per_second: float
    bytes: int
    requests: int
    failed: int
    problem: str


def run_load(
    targets: Sequence[Target],
    *,
    rounds: int,
    requests: int,
    most_s: float,
    connections: Sequence[int],
    warmup: int,
    on_measurement: Callable[[Measurement], None],
    on_warm: Callable[[], None] = lambda: None,
) -> list[Measurement]:
    """Load the targets in turns; a measurement ends after `requests` or `most_s`. `on_warm` is called once, before the
    first of them.

    Raises LoadError when the generator fails or its deadline passes.
    """
    plan = {
        "rounds": rounds,
        "requests": requests,
        "most_s": most_s,
        "warmup": warmup,
        "connections": list(connections),
        "deadline_s": DEADLINE_S,
        "arms": [asdict(each) for each in targets],
    }
    node = Path(sys.executable).parent / "node"
    with subprocess.Popen(
        [str(node), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            process.stdin.write(json.dumps(plan))
            process.stdin.close()
            measured = []
            for line in process.stdout:
                told = json.loads(line)
                if told == "warm":
                    on_warm()
                    continue
                measured.append(_read(told))
                on_measurement(measured[-1])
            problem = process.stderr.read()
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise LoadError(f"the load generator failed:\n{problem}")
    return measured


def _read(data: Mapping[str, object]) -> Measurement:
    total, first = data["total_ms"], data["first_byte_ms"]
    assert isinstance(total, Mapping) and isinstance(first, Mapping)
    return Measurement(
        arm=str(data["arm"]),
        round=int(str(data["round"])),
        connections=int(str(data["connections"])),
        p50_ms=float(total["p50"]),
        p95_ms=float(total["p95"]),
        p99_ms=float(total["p99"]),
        first_byte_ms=float(first["p50"]),
        per_second=float(str(data["per_second"])),
        bytes=int(str(data["bytes"])),
        requests=int(str(data["requests"])),
        failed=int(str(data["failed"])),
        problem=str(data["problem"]),
    )
