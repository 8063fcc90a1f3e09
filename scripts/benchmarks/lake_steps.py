"""One step of `scripts/bench lake` in a process of its own: `python -m scripts.benchmarks.lake_steps STEP FOLDER`.

Prints as JSON the seconds it took, those of the processors, and the largest memory that the process and each of its
workers had resident. Imports are done before the clock starts.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

Step = Callable[[Path], None]


# Each step imports what it needs and returns what is timed: workers that a step starts import this module again.


def prepare_pull() -> Step:
    """Pull the bucket of the environment into a lake."""
    from origin.lake import Lake
    from origin.pull import pull
    from origin.settings import read_settings

    def step(folder: Path) -> None:
        done = pull(Lake(folder), read_settings())
        if done.damaged:
            raise SystemExit(f"damaged: {done.damaged[0]}")

    return step


def prepare_compact() -> Step:
    """Compact a lake."""
    from origin.compact import compact
    from origin.lake import Lake

    def step(folder: Path) -> None:
        compact(Lake(folder))

    return step


def prepare_bytes() -> Step:
    """The floor of reading: decompress every object and look at every byte, on all processors."""

    def count(path: Path) -> int:
        return gzip.decompress(path.read_bytes()).count(b"\n")

    def step(folder: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            sum(pool.map(count, folder.rglob("*.ndjson.gz")))

    return step


def prepare_json() -> Step:
    """The floor of parsing: DuckDB reads the objects into a table of the same columns, and nothing else."""
    import duckdb

    from origin.columns import COLUMNS, FLAG, JSON, NUMBER, TEXT, WHOLE

    types = {TEXT: "VARCHAR", WHOLE: "BIGINT", NUMBER: "DOUBLE", FLAG: "BOOLEAN", JSON: "JSON"}
    columns = {name: types[kind] for name, kind in COLUMNS.items()}

    def step(folder: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE events AS "
                "SELECT * FROM read_json($files, format = 'newline_delimited', columns = $columns)",
                {"files": f"{folder}/events/**/*.ndjson.gz", "columns": columns},
            )

    return step


STEPS: Final[dict[str, Callable[[], Step]]] = {
    "pull": prepare_pull,
    "compact": prepare_compact,
    "bytes": prepare_bytes,
    "json": prepare_json,
}


def main() -> None:
    """Run the step that is named."""
    step, folder = STEPS[sys.argv[1]](), Path(sys.argv[2])
    started, cpu_before = time.perf_counter(), _processor_s()
    step(folder)
    took_s, cpu_s = time.perf_counter() - started, _processor_s() - cpu_before
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": took_s, "processor_s": cpu_s, "peak_mb": largest / 1024}))


def _processor_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
