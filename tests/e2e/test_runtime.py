"""What must be the same inside workerd: the golden vectors to the last bit, and who is served what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import pytest
from scipy.stats import chisquare

from scripts.runtime.edge import Edge, run_edge
from shared.snapshot import SNAPSHOT_KEY, Snapshot
from tests.e2e.world import ROOT, World
from tests.shared.test_conditions import REFERENCE
from tests.vectors.check import check_all
from tests.vectors.many import digest_decisions

VISITORS = 20_000
MANY = 1_000_000
AT_ONCE = 20_000
VECTORS = ROOT / "tests" / "vectors"


@pytest.fixture(scope="module")
def bare_edge(modules_under_test: Path) -> Iterator[Edge]:
    with run_edge(options={"modules": str(modules_under_test)}) as edge:
        yield edge


def ask(edge: Edge, test: str, body: object) -> object:
    response = httpx.post(f"{edge.url}/_test/{test}", content=json.dumps(body), timeout=120)
    response.raise_for_status()
    return response.json()


def test_the_golden_vectors_hold_inside_workerd(bare_edge: Edge) -> None:
    files = {path.name: path.read_text() for path in VECTORS.glob("*.json")}
    assert ask(bare_edge, "vectors", files) == check_all(files.__getitem__)


def test_the_cases_of_the_reference_implementation_hold_inside_workerd(bare_edge: Edge) -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the reference's cases are not part of this project; they are looked for in {REFERENCE}")
    names = ("name", "condition", "attributes", "expected", "groups")
    cases = [dict(zip(names, case, strict=False)) for case in json.loads(REFERENCE.read_text())["evalCondition"]]
    files = {path.name: path.read_text() for path in VECTORS.glob("*.json")}
    files["conditions.json"] = json.dumps({"name": "conditions", "groups": {}, "cases": cases})
    counts = ask(bare_edge, "vectors", files)
    assert isinstance(counts, dict)
    assert counts["conditions"] == len(cases) > 100


@pytest.mark.timeout(1_800)  # some two minutes on two free cores
def test_a_million_decisions_are_the_same_in_both_runtimes(bare_edge: Edge) -> None:
    # CPython's side runs in a process of its own, beside workerd's.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as here:
        for first in range(0, MANY, AT_ONCE):
            expected = here.submit(digest_decisions, first, AT_ONCE)
            answer = ask(bare_edge, "digest", {"first": first, "count": AT_ONCE})
            assert answer == expected.result(), f"among the decisions from {first} on"


@pytest.mark.parametrize("segment", ["", "uf1-2d03"])
def test_served_shares_match_the_published_probabilities(
    bare_edge: Edge, shop: World, logs: Path, segment: str
) -> None:
    pointer = shop.kv.get("current")
    assert pointer is not None and logs.is_dir()
    text = shop.kv.get(SNAPSHOT_KEY + json.loads(pointer)["snapshot"])
    assert text is not None
    snapshot = Snapshot.from_text(text)
    cell = snapshot.cell("pick", "segment" if segment else "global", segment)
    assert cell is not None, f"no posteriors of {segment or 'the global level'} in the snapshot"
    attributes = dict(shop.config.segments[segment].condition) if segment else {}
    asked = {"snapshot": text, "touchpoint": "pick", "attributes": attributes, "visitors": VISITORS, "seed": "shares"}
    counts = ask(bare_edge, "shares", asked)
    assert isinstance(counts, dict)
    variants = [variant.name for variant in snapshot.touchpoint("pick").variants]
    observed = [counts.get(name, 0) for name in variants]
    total = sum(observed)
    assert total == pytest.approx(VISITORS * (1 - shop.config.site.holdout_share), rel=0.02)
    floor = shop.config.touchpoints["pick"].expanded_variants[0].floor
    expected = served(cell.probabilities, floor, total)
    assert chisquare(observed, expected).pvalue > 0.001


def served(probabilities: tuple[float, ...], floor: float, total: int) -> list[float]:
    """Expected counts under a common floor: max(floor, λπ), λ found by bisection, independently of the core."""
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if sum(max(floor, middle * probability) for probability in probabilities) > 1.0:
            high = middle
        else:
            low = middle
    return [total * max(floor, low * probability) for probability in probabilities]


@pytest.mark.parametrize(
    "body", ["[" * 60_000, '{"a":' * 12_000, '{"sent_ms":1,"events":[' + "[" * 900 + "]" * 900 + "]}"]
)
def test_deeply_nested_json_does_not_end_the_process(bare_edge: Edge, body: str) -> None:
    assert httpx.post(f"{bare_edge.url}/_test/json", content=body).json() == "Refusal"
    assert httpx.post(f"{bare_edge.url}/_test/json", content='{"sent_ms":1,"events":[]}').json() == "Batch"
