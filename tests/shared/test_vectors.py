from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vectors.check import check_all

FOLDER = Path(__file__).resolve().parents[1] / "vectors"


def read_text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_every_golden_case_gives_the_same_bits_here() -> None:
    counts = check_all(read_text)
    assert {f"{name}.json" for name in counts} == {file.name for file in FOLDER.glob("*.json")}
    assert counts["decide"] == 320
    assert min(counts.values()) >= 12


@pytest.mark.parametrize(
    "name",
    [
        "uniform",
        "ln",
        "exp",
        "normal_cdf",
        "thompson",
        "race",
        "constraints",
        "conditions",
        "features",
        "intent",
        "fold",
        "shift",
        "decide",
    ],
)
def test_a_golden_case_that_differs_is_named(name: str) -> None:
    def read_changed(file: str) -> str:
        if file != f"{name}.json":
            return read_text(file)
        data = json.loads(read_text(file))
        last = data["cases"][-1]
        last["winner" if name == "race" else "expected"] = "something else"
        return json.dumps(data)

    with pytest.raises(AssertionError, match=rf"^{name}\.json case \d+.*: expected 'something else', got "):
        check_all(read_changed)


def test_a_reference_that_is_not_met_is_named() -> None:
    def read_changed(file: str) -> str:
        data = json.loads(read_text(file))
        if file == "thompson.json":
            data["cases"][1]["reference"][0] += 2e-6
        return json.dumps(data)

    with pytest.raises(AssertionError, match=r"^thompson\.json case 1: expected .* within 1e-06, got "):
        check_all(read_changed)
