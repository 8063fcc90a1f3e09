"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.benchmarks.arms import GROUPS
from scripts.benchmarks.decide import DecideError, bench_decide
from scripts.benchmarks.edge import BenchError, bench_edge
from scripts.benchmarks.intake import bench_intake
from scripts.benchmarks.lake import bench_lake
from scripts.benchmarks.load import LoadError
from scripts.benchmarks.memory import bench_memory
from scripts.benchmarks.runtime import BundleError
from scripts.benchmarks.soak import bench_soak
from scripts.benchmarks.start import bench_start
from scripts.benchmarks.stream import bench_stream
from scripts.runtime.edge import EdgeError


def main() -> int:
    """Run the benchmark that was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure Usher inside workerd.")
    commands = parser.add_subparsers(required=True)
    _add_edge(commands.add_parser("edge", help="pages: latency and throughput against a no-op, a pass and the floor"))
    _add_decide(commands.add_parser("decide", help="functions: microseconds per call inside workerd"))
    _add_start(commands.add_parser("start", help="the first request of a fresh isolate, and parsing a snapshot"))
    _add_stream(commands.add_parser("stream", help="first and last byte where the origin is slow"))
    _add_intake(commands.add_parser("intake", help="events: a batch against a Worker that only enqueues it"))
    _add_memory(commands.add_parser("memory", help="heap and wasm memory before and after many requests"))
    _add_soak(commands.add_parser("soak", help="a million events with faults injected, and the books afterwards"))
    _add_lake(commands.add_parser("lake", help="from the bucket to Parquet: events per second, and memory"))
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except (BenchError, BundleError, DecideError, EdgeError, LoadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _add_edge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of tables")
    parser.add_argument(
        "--group", nargs="+", choices=[*GROUPS, "all"], default=["basics", "touchpoints"], metavar="GROUP",
        help=f"what to measure: {', '.join(GROUPS)}; all is the whole run, every figure that has a target (default "
        "basics touchpoints)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=_positive, default=9, help="how often every arm is measured (default 9)")
    parser.add_argument("--requests", type=_positive, default=100, help="requests an arm and round (default 100)")
    parser.add_argument(
        "--seconds", type=_positive, default=4, help="no measurement takes longer, whatever its requests (default 4)"
    )
    parser.add_argument("--warmup", type=_positive, default=100, help="requests an arm before the first (default 100)")
    parser.add_argument(
        "--connections", type=_positive, nargs="+", default=[1, 8], help="clients at once; one table each (default 1 8)"
    )
    parser.add_argument(
        "--candidate", type=Path, metavar="FOLDER",
        help="compare with a changed copy of build/edge: a folder that holds entry.py, worker/ and shared/",
    )  # fmt: skip
    parser.set_defaults(run=bench_edge)


def _add_decide(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument("--rounds", type=_positive, default=7, help="how often every case is measured (default 7)")
    parser.add_argument("--case", metavar="TEXT", default="", help="only the cases whose name holds this text")
    parser.set_defaults(run=bench_decide)


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often every Worker is started (default 5)")
    parser.set_defaults(run=bench_start)


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument("--rounds", type=_positive, default=3, help="how often every arm is measured (default 3)")
    parser.set_defaults(run=bench_stream)


def _add_memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument("--requests", type=_positive, default=10_000, help="requests between the two (default 10000)")
    parser.add_argument("--warmup", type=_positive, default=2_000, help="requests before the first (default 2000)")
    parser.set_defaults(run=bench_memory)


def _add_intake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument("--events", type=_positive, default=20, help="events in a batch (default 20)")
    parser.add_argument("--limits", action="store_true", help="with Miniflare's simulation of the rate limiters")
    parser.add_argument("--rounds", type=_positive, default=9, help="how often every arm is measured (default 9)")
    parser.add_argument("--requests", type=_positive, default=200, help="requests an arm and round (default 200)")
    parser.add_argument(
        "--connections",
        type=_positive,
        nargs="+",
        default=[1],
        help="clients at once; a row each (default 1)",
    )
    parser.set_defaults(run=bench_intake)


def _add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of sentences")
    parser.add_argument("--events", type=_positive, default=1_000_000, help="events to send (default 1000000)")
    parser.set_defaults(run=bench_soak)


def _add_lake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    parser.add_argument(
        "--events", type=_positive, default=1_000_000, help="how many events a day has (default 1000000)"
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="how often every step is measured (default 3)")
    parser.add_argument("--memory", action="store_true", help="once more with a day ten times as large")
    parser.set_defaults(run=bench_lake)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
