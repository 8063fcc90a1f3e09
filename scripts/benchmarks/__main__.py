"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.benchmarks.decide import DecideError, bench_decide
from scripts.benchmarks.edge import BenchError, bench_edge
from scripts.benchmarks.load import LoadError
from scripts.runtime.edge import EdgeError


def main() -> int:
    """Run the benchmark that was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure Usher inside workerd.")
    commands = parser.add_subparsers(required=True)
    _add_edge(commands.add_parser("edge", help="pages: latency and throughput against a no-op, a pass and the floor"))
    _add_decide(commands.add_parser("decide", help="functions: microseconds per call inside workerd"))
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except (BenchError, DecideError, EdgeError, LoadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _add_edge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of tables")
    parser.add_argument("--rounds", type=_positive, default=9, help="how often every arm is measured (default 9)")
    parser.add_argument("--requests", type=_positive, default=100, help="requests an arm and round (default 100)")
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


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
