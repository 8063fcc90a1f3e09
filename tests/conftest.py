"""What several test folders use: one small site, and Hypothesis without a clock or a memory."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from shared.snapshot import Snapshot, write_snapshot
from tests.asking import Record, cell

# The runner's processes say that all terminals have 80 columns; a console that is made under that never asks again.
os.environ.pop("COLUMNS", None)

settings.register_profile("reproducible", deadline=None, derandomize=True, database=None)
settings.load_profile("reproducible")


@pytest.fixture(scope="session")
def site_header() -> Record:
    """The header of the site. Tests copy it before they change it."""
    return {
        "version": "v1",
        "site": "shop",
        "created_ms": 1_700_000_000_000,
        "holdout_share": 0.1,
        "honour_gpc": True,
        "segments": [
            {"name": "staff", "condition": {"plan": "staff"}},
            {"name": "vip", "condition": {"plan": {"$in": ["gold", "staff"]}}},
        ],
        "attributes": [{"attribute": "plan", "source": "query", "name": "plan"}],
        "goals": ["order"],
        "pages": {"hero": ["/", "/men/*"], "banner": ["/"]},
    }


@pytest.fixture(scope="session")
def site_records() -> dict[str, Record]:
    """Two touchpoints: `hero` with posteriors (global and vip) and a variant for phones only, `banner` with none."""
    return {
        "touchpoint:hero": {
            "variants": [
                {"name": "house", "html": None, "floor": 0.1},
                {"name": "offer", "html": "<b>offer</b>", "floor": 0.05},
                {"name": "craft", "html": "<b>craft</b>", "floor": 0.0, "condition": {"device": "mobile"}},
            ],
            "default": 0,
            "epoch": "session",
            "pages": ["/", "/men/*"],
            "goal": "order",
        },
        "cell:hero:global:": cell([-3.0, -2.9, -2.8], [0.1, 0.2, 0.15]),
        "cell:hero:segment:vip": cell([-3.0, -1.0, -3.0], [0.1, 0.2, 0.15]),
        "touchpoint:banner": {
            "variants": [
                {"name": "plain", "html": None, "floor": 0.0},
                {"name": "sale", "html": "<i>sale</i>", "floor": 0.0},
            ],
            "default": 0,
            "epoch": "day",
            "pages": ["/"],
            "goal": "order",
        },
    }


@pytest.fixture(scope="session")
def site(site_header: Record, site_records: dict[str, Record]) -> Snapshot:
    """The site as a snapshot."""
    return Snapshot.from_text(write_snapshot(site_header, site_records))
