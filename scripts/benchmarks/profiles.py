"""Profiles as the origin publishes them: a unit's own posteriors of so many touchpoints, with made-up numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from origin.individuals import name_model
from shared.profile import PROFILE_KEY, write_profile

# The unit of the floor, whose cookie names nobody.
FLOOR_UNIT: Final = "floor"
VARIANTS: Final = ("v0", "v1", "v2", "v3")
# The last variant is the best by far: it is served with 85 % under floors of 5 %, which the preparation looks for.
BEST: Final = VARIANTS[-1]
CHUNK: Final = 2_000
_SCORES: Final = {"means": [-3.1234567, -3.2345678, -2.9876543, -1.1234567], "sds": [0.2345678, 0.3456789, 0.25, 0.3]}


def profile_of(unit: str, touchpoints: Iterable[str], now_ms: int) -> str:
    """The text of a unit's profile, with scores for each of the touchpoints, all of the same four variants."""
    header = {
        "unit": unit,
        "version": "bench-1",
        "computed_ms": now_ms,
        "cluster": "",
        "attributes": {"visits": 7, "categories": ["shoes", "coats"]},
    }
    return write_profile(header, {(name, name_model(VARIANTS)): _SCORES for name in touchpoints})


def make_profiles(count: int, touchpoints: Sequence[str], now_ms: int) -> Iterator[dict[str, str]]:
    """Pairs for KV, some at a time: the profiles of so many units, the floor's among them."""
    units = [FLOOR_UNIT, *(f"unit-{i}" for i in range(count - 1))]
    for i in range(0, count, CHUNK):
        yield {PROFILE_KEY + unit: profile_of(unit, touchpoints, now_ms) for unit in units[i : i + CHUNK]}
