"""Real input: the Open Bandit Dataset's men's campaign, from the log file to a card on the page."""

from __future__ import annotations

import csv
import html
from pathlib import Path

import pytest

from shared.constraints import constrain
from shared.snapshot import SNAPSHOT_KEY, Snapshot
from tests.e2e.world import ROOT, World

# A logged value of user_feature_1 that the demo's configuration makes a segment of.
SEGMENT = "uf1-2d03"


def live_snapshot(world: World) -> Snapshot:
    pointer = world.events(lambda event: event["type"] == "exposure")[-1]["snapshot"]
    text = world.kv.get(SNAPSHOT_KEY + str(pointer))
    assert text is not None
    return Snapshot.from_text(text)


def test_a_request_with_a_logged_user_feature_gets_a_card_at_the_models_probability(shop: World, logs: Path) -> None:
    assert logs.is_dir()
    feature = shop.config.segments[SEGMENT].condition["user_feature_1"]
    shown: dict[str, float] = {}
    for _ in range(12):
        browser = shop.browser()
        page = browser.get(f"/?uf1={feature}")
        event = shop.exposures(browser)["pick"]
        if event["holdout"]:
            continue
        assert (event["level"], event["cell"]) == ("segment", SEGMENT)
        assert image_of(str(event["variant"])) in page.text.partition('data-usher="pick"')[2].partition("</article>")[0]
        shown[str(event["variant"])] = float(str(event["propensity"]))
    assert shown, "nobody of twelve visitors was treated"
    snapshot = live_snapshot(shop)
    cell = snapshot.cell("pick", "segment", SEGMENT)
    assert cell is not None
    variants = snapshot.touchpoint("pick").variants
    assert len(variants) == 34
    floors, caps = [variant.floor for variant in variants], [variant.cap for variant in variants]
    served = constrain(cell.probabilities, floors=floors, caps=caps).probabilities
    published = {variant.name: probability for variant, probability in zip(variants, served, strict=True)}
    assert {name: published[name] for name in shown} == shown


def test_the_model_is_trained_on_both_policies_logs(shop: World, logs: Path) -> None:
    from origin.status import read_status

    assert logs.is_dir()
    status = read_status(shop.kv)
    assert status is not None
    assert {name: count for name, count in status.sources.items() if name != "edge"} == {
        "obd-men-bts": 10_000,
        "obd-men-random": 10_000,
    }


def test_items_that_were_clicked_more_are_likelier_than_items_that_never_were(shop: World, logs: Path) -> None:
    assert logs.is_dir()
    cell = live_snapshot(shop).cell("pick", "global", "")
    assert cell is not None
    by_name = dict(
        zip(
            (variant.name for variant in live_snapshot(shop).touchpoint("pick").variants),
            cell.probabilities,
            strict=True,
        )
    )
    # item-17 has the highest click rate of both logs together (12 of 791).
    assert max(by_name, key=by_name.__getitem__) == "item-17"
    assert by_name["item-17"] == pytest.approx(0.26, abs=0.05)


def image_of(variant: str) -> str:
    with (ROOT / "site" / "men.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if f"item-{row['item_id']}" == variant:
                return f'src="{html.escape(row["image"])}"'
    raise AssertionError(f"{variant} is not in the catalogue")
