"""`scripts/bench lake`: from the bucket to Parquet, in events per second, and the memory it takes."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config as S3Config
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.lake_events import EVENTS_A_MESSAGE, MESSAGES_AN_OBJECT, write_day
from scripts.runtime.edge import run_edge
from scripts.stage import stage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIXES: Final = {"a day's mix": True, "without exposures": False}
STEPS: Final = ("bytes", "json", "pull", "compact")
TITLES: Final = {
    "bytes": "floor: gunzip, look at every byte",
    "json": "floor: DuckDB read_json into a table",
    "pull": "usher pull",
    "compact": "usher compact",
    "both": "pull and compact together",
}
GROWTH: Final = 10
NOTES: Final = (
    f"Objects of {MESSAGES_AN_OBJECT} messages with {EVENTS_A_MESSAGE} events each and their receipts, which count as "
    "events. The bucket is Miniflare's, over S3, on the same processors, so its work is in the time of pull. Each step "
    "is a process of its own; the clock starts after its imports, and runs while compact starts its workers. Peak: the "
    "largest resident memory of the process or one of its workers. CPU: microseconds of processor time an event, "
    "without the bucket's."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step on one mix: medians over rounds. `bytes_an_event` is of JSON."""

    mix: str
    step: str
    events: int
    bytes_an_event: float
    seconds: float
    per_second: float
    processor_us: float
    peak_mb: float


def bench_lake(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    objects = max(arguments.events // (MESSAGES_AN_OBJECT * EVENTS_A_MESSAGE), 1)
    rows = [row for mix in MIXES for row in _measure(mix, mix, objects, arguments.rounds)]
    if arguments.memory:
        title = f"a day's mix, {GROWTH} times as much"
        rows += _measure(title, "a day's mix", objects * GROWTH, 1)
    if arguments.json:
        print(json.dumps({"benchmark": "lake", "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=120).print(_make_table(rows))
        Console(highlight=False, width=110).print(f"[dim]{NOTES}[/]")
    return 0


def _measure(title: str, mix: str, objects: int, rounds: int) -> list[Row]:
    """Every step on a day of so many objects."""
    with TemporaryDirectory(prefix="usher-bench-") as folder, _run_bucket(Path(folder)) as environment:
        day, lake = Path(folder) / "day", Path(folder) / "lake"
        events, size = write_day(day, objects, with_exposures=MIXES[mix])
        out.print(f"[dim]{title}: {events:,} events, {size / events:.0f} bytes each[/]")
        _upload(day, environment)
        taken: dict[str, list[Mapping[str, float]]] = {step: [] for step in STEPS}
        for number in range(rounds):
            shutil.rmtree(lake, ignore_errors=True)
            for step in STEPS:
                taken[step].append(_run_step(step, day if step in ("bytes", "json") else lake, environment))
                out.print(f"[dim]round {number + 1}  {TITLES[step]}: {events / taken[step][-1]['seconds']:,.0f}/s[/]")
        taken["both"] = [
            {
                "seconds": first["seconds"] + second["seconds"],
                "processor_s": first["processor_s"] + second["processor_s"],
                "peak_mb": max(first["peak_mb"], second["peak_mb"]),
            }
            for first, second in zip(taken["pull"], taken["compact"], strict=True)
        ]
    return [_summarise(title, step, events, size, each) for step, each in taken.items()]


def _summarise(mix: str, step: str, events: int, size: int, taken: list[Mapping[str, float]]) -> Row:
    seconds = statistics.median(each["seconds"] for each in taken)
    return Row(
        mix=mix,
        step=step,
        events=events,
        bytes_an_event=size / events,
        seconds=seconds,
        per_second=events / seconds,
        processor_us=statistics.median(each["processor_s"] for each in taken) / events * 1e6,
        peak_mb=max(each["peak_mb"] for each in taken),
    )


def _run_step(step: str, folder: Path, environment: Mapping[str, str]) -> Mapping[str, float]:
    command = [sys.executable, "-m", "scripts.benchmarks.lake_steps", step, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    found: Mapping[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def _run_bucket(folder: Path) -> Iterator[Mapping[str, str]]:
    """A local bucket, and the environment that leads to it."""
    stage(folder / "modules")
    with run_edge(options={"modules": str(folder / "modules")}) as edge:
        yield edge.environment()


def _upload(day: Path, environment: Mapping[str, str]) -> None:
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=environment["USHER_S3_ENDPOINT"],
        aws_access_key_id=environment["USHER_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["USHER_S3_SECRET_ACCESS_KEY"],
        region_name="auto",
        config=S3Config(s3={"addressing_style": "path"}),
    )
    for path in sorted(day.rglob("*.ndjson.gz")):
        key = path.relative_to(day).as_posix()
        client.put_object(Bucket=environment["USHER_BUCKET"], Key=key, Body=path.read_bytes())
    client.close()


def _make_table(rows: list[Row]) -> Table:
    table = Table(title="from the bucket to Parquet", title_justify="left")
    table.add_column("")
    for heading in ("events", "bytes", "seconds", "events/s", "CPU µs", "peak MB"):
        table.add_column(heading, justify="right")
    mix = ""
    for row in rows:
        if row.mix != mix:
            table.add_section()
            table.add_row(f"[bold]{row.mix}[/]", f"{row.events:,}", f"{row.bytes_an_event:.0f}")
            mix = row.mix
        table.add_row(
            TITLES[row.step], "", "", f"{row.seconds:.2f}", f"{row.per_second:,.0f}", f"{row.processor_us:.1f}",
            f"{row.peak_mb:.0f}",
        )  # fmt: skip
    return table
