from __future__ import annotations

from collections import Counter

import pytest
from scipy import stats

from shared.decision import decide, preview
from shared.errors import InvalidSnapshot
from shared.policy import thompson_probabilities
from shared.session import Session
from shared.situation import DAY_MS, is_in_holdout
from shared.snapshot import Snapshot, write_snapshot
from tests.asking import (
    NOW_MS,
    TREATED,
    Record,
    Records,
    ask,
    holdout_unit,
    remade,
    situation_of,
)


def test_a_decision_says_all_that_logging_needs(site: Snapshot) -> None:
    decision = ask(site)
    assert decision.touchpoint == "hero"
    assert decision.unit == TREATED
    assert decision.epoch == "session 5"
    assert decision.eligible == ("house", "offer", "craft")
    assert decision.excluded == ()
    assert (decision.level, decision.cell) == ("global", "")
    assert decision.variant == decision.eligible[decision.variant_index]
    assert decision.propensity == decision.probabilities[decision.variant_index]
    assert (decision.holdout, decision.randomised) == (False, True)
    assert (decision.reason, decision.relaxations, decision.snapshot) == ("targeted", (), "v1")
    assert (decision.profile, decision.fallbacks, decision.slate, decision.slate_propensities) == ("", (), (), ())


def test_the_same_question_has_the_same_answer(site: Snapshot, site_header: Record, site_records: Records) -> None:
    again = Snapshot.from_text(write_snapshot(site_header, site_records))
    for k in range(200):
        assert ask(site, f"u-{k}") == ask(site, f"u-{k}") == ask(again, f"u-{k}")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5, 1.0])
def test_the_holdout_has_its_share_of_the_units(share: float) -> None:
    n = 20_000
    held = sum(is_in_holdout("shop", f"u-{k}", share) for k in range(n))
    assert abs(held / n - share) <= 4.5 * (share * (1 - share) / n) ** 0.5


def test_the_holdout_of_a_larger_share_contains_that_of_a_smaller_one() -> None:
    units = [f"u-{k}" for k in range(3_000)]
    small = {unit for unit in units if is_in_holdout("shop", unit, 0.05)}
    large = {unit for unit in units if is_in_holdout("shop", unit, 0.1)}
    assert small < large


def test_the_holdout_of_one_site_is_independent_of_that_of_another() -> None:
    counts = [[0, 0], [0, 0]]
    for k in range(20_000):
        counts[is_in_holdout("shop", f"u-{k}", 0.3)][is_in_holdout("www", f"u-{k}", 0.3)] += 1
    assert stats.chi2_contingency(counts, correction=False).pvalue > 1e-4


def test_a_unit_stays_in_the_holdout_whatever_is_published_or_asked(site_header: Record, site_records: Records) -> None:
    first = remade(site_header, site_records)
    later = remade(site_header, site_records, header_change={"version": "v2"}, epoch="forever")
    for k in range(300):
        arms = {
            ask(first, f"u-{k}").holdout,
            ask(first, f"u-{k}", {"plan": "gold"}, session=Session(started_ms=9), now_ms=NOW_MS + 9 * DAY_MS).holdout,
            ask(first, f"u-{k}", touchpoint="banner").holdout,
            ask(later, f"u-{k}").holdout,
        }
        assert len(arms) == 1


def test_the_choice_outside_the_holdout_is_independent_of_the_holdout(site: Snapshot) -> None:
    # If holdout and choice shared their randomness, the treated units would show shares other than the served ones.
    n = 12_000
    decisions = [ask(site, f"u-{k}") for k in range(n)]
    treated = [decision for decision in decisions if not decision.holdout]
    seen = Counter(decision.variant for decision in treated)
    expected = [share * len(treated) for share in treated[0].probabilities]
    assert stats.chisquare([seen[name] for name in treated[0].eligible], expected).pvalue > 1e-4


def test_the_holdout_sees_the_default_and_is_logged_with_what_it_would_have_been_served(site: Snapshot) -> None:
    decision = ask(site, holdout_unit(site))
    assert (decision.variant, decision.propensity, decision.reason) == ("house", 1.0, "holdout")
    assert (decision.holdout, decision.randomised) == (True, False)
    assert decision.probabilities == ask(site).probabilities
    assert decision.eligible == ask(site).eligible


def test_the_holdout_sees_the_default_even_where_targeting_excludes_it(
    site_header: Record, site_records: Records
) -> None:
    site = remade(site_header, site_records, default=2)
    decision = ask(site, holdout_unit(site), {"device": "desktop"})
    assert decision.variant == "craft"
    assert decision.excluded == ("craft",)


def test_a_variant_that_targeting_removed_is_integrated_out_and_not_renormalised_away(site: Snapshot) -> None:
    cell = site.cell("hero", "global", "")
    assert cell is not None
    decision = ask(site, attributes={"device": "desktop"})
    assert (decision.eligible, decision.excluded) == (("house", "offer"), ("craft",))
    integrated = thompson_probabilities(cell.means[:2], cell.sds[:2])
    assert decision.probabilities == pytest.approx(integrated, abs=1e-12)
    renormalised = cell.probabilities[0] / (cell.probabilities[0] + cell.probabilities[1])
    assert abs(decision.probabilities[0] - renormalised) > 0.01


def test_a_changed_eligible_set_is_a_fresh_draw(site_header: Record, site_records: Records) -> None:
    # Two variants that nobody but their conditions tells apart from the third: excluding either gives one distribution.
    variants = [
        {"name": "a", "html": None, "floor": 0.0},
        {"name": "b", "html": None, "floor": 0.0},
        {"name": "c", "html": None, "floor": 0.0, "condition": {"device": "mobile"}},
        {"name": "d", "html": None, "floor": 0.0, "condition": {"device": "tablet"}},
    ]
    same: Record = {"means": [0.0] * 4, "sds": [1.0] * 4, "probabilities": [0.25] * 4}
    records = {**site_records, "cell:hero:global:": same, "cell:hero:segment:vip": same}
    site = remade(site_header, records, variants=variants)
    without_both = [ask(site, f"u-{k}", {"device": "desktop"}) for k in range(500)]
    with_c = [ask(site, f"u-{k}", {"device": "mobile"}) for k in range(500)]
    both = [(x.variant, y.variant) for x, y in zip(without_both, with_c, strict=True) if not x.holdout]
    kept = [x == y for x, y in both if y != "c"]
    # A draw of its own repeats a choice between two equal variants in half of the cases; the old draw would in all.
    assert abs(sum(kept) / len(kept) - 0.5) <= 4.5 * (0.25 / len(kept)) ** 0.5


def test_floors_hold_in_the_served_distribution(site: Snapshot) -> None:
    decision = ask(site, attributes={"plan": "gold", "device": "mobile"})
    assert decision.probabilities[0] == 0.1
    assert decision.probabilities[1] == pytest.approx(0.9, abs=1e-6)
    assert sum(decision.probabilities) == pytest.approx(1.0, abs=1e-12)


def test_floors_too_high_for_a_small_eligible_set_are_relaxed_and_logged(
    site_header: Record, site_records: Records
) -> None:
    variants = [
        {"name": "house", "html": None, "floor": 0.9},
        {"name": "offer", "html": None, "floor": 0.6},
        {"name": "craft", "html": None, "floor": 0.0, "condition": {"device": "mobile"}},
    ]
    decision = ask(remade(site_header, site_records, variants=variants), attributes={"device": "desktop"})
    assert decision.probabilities == pytest.approx([0.6, 0.4], abs=1e-12)
    assert decision.relaxations == ("floors",)


@pytest.mark.parametrize(
    ("plan", "segments", "level", "cell"),
    [
        (None, (), "global", ""),
        ("silver", (), "global", ""),
        ("gold", ("vip",), "segment", "vip"),
        ("staff", ("staff", "vip"), "global", ""),  # belongs to staff, which comes first and has no cell of its own
    ],
)
def test_the_cell_of_the_first_segment_that_fits_is_used_before_the_global_one(
    site: Snapshot, plan: str | None, segments: tuple[str, ...], level: str, cell: str
) -> None:
    situation = situation_of(site, attributes={"device": "mobile", "plan": plan})
    decision = decide("hero", situation)
    assert tuple(segment.name for segment in situation.segments) == segments
    assert (decision.level, decision.cell) == (level, cell)
    used = site.cell("hero", level, cell)
    assert used is not None
    order = sorted(range(3), key=lambda i: used.probabilities[i])
    assert decision.probabilities[order[-1]] == max(decision.probabilities)


def test_of_two_segments_with_posteriors_the_first_configured_wins(site_header: Record, site_records: Records) -> None:
    records = {**site_records, "cell:hero:segment:staff": site_records["cell:hero:global:"]}
    site = Snapshot.from_text(write_snapshot(site_header, records))
    assert ask(site, attributes={"plan": "staff"}).cell == "staff"


def test_without_posteriors_the_default_is_shown_and_not_learned_from(site: Snapshot) -> None:
    decision = ask(site, touchpoint="banner")
    assert (decision.variant, decision.reason, decision.propensity) == ("plain", "no_posterior", 1.0)
    assert (decision.level, decision.cell, decision.randomised) == ("none", "", False)
    assert decision.probabilities == ()
    assert decision.epoch == f"day {NOW_MS // DAY_MS}"


def test_where_no_variant_is_eligible_the_default_is_shown(site_header: Record, site_records: Records) -> None:
    variants = [
        {"name": name, "html": None, "floor": 0.0, "condition": {"device": "watch"}}
        for name in ("house", "offer", "craft")
    ]
    site = remade(site_header, site_records, variants=variants, default=1)
    decision = ask(site)
    assert (decision.variant, decision.reason, decision.propensity) == ("offer", "nothing_eligible", 1.0)
    assert not decision.randomised
    held = ask(site, holdout_unit(site))
    assert (held.variant, held.reason, held.holdout) == ("offer", "holdout", True)


def test_a_single_eligible_variant_is_chosen_with_certainty(site_header: Record, site_records: Records) -> None:
    variants = [
        {"name": "house", "html": None, "floor": 0.0, "condition": {"device": "watch"}},
        {"name": "offer", "html": None, "floor": 0.0, "condition": {"device": "watch"}},
        {"name": "craft", "html": None, "floor": 0.0},
    ]
    decision = ask(remade(site_header, site_records, variants=variants))
    assert (decision.variant, decision.propensity, decision.probabilities) == ("craft", 1.0, (1.0,))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        ("session", "session 5"),
        ("day", f"day {NOW_MS // DAY_MS}"),
        ("week", f"week {NOW_MS // (7 * DAY_MS)}"),
        ("snapshot", "snapshot v1"),
        ("forever", "forever"),
    ],
)
def test_the_epoch_names_what_the_decision_lasts_for(
    site_header: Record, site_records: Records, epoch: str, expected: str
) -> None:
    assert ask(remade(site_header, site_records, epoch=epoch)).epoch == expected


@pytest.mark.parametrize(
    ("epoch", "session_ms", "later_ms", "version", "lasts"),
    [
        ("session", 5, 40 * DAY_MS, "v2", True),
        ("session", 6, 0, "v1", False),
        ("day", 6, 0, "v2", True),
        ("day", 5, DAY_MS, "v1", False),
        ("week", 6, 0, "v2", True),
        ("week", 5, 7 * DAY_MS, "v1", False),
        ("snapshot", 6, 40 * DAY_MS, "v1", True),
        ("snapshot", 5, 0, "v2", False),
        ("forever", 6, 40 * DAY_MS, "v2", True),
    ],
)
def test_a_decision_lasts_as_long_as_its_epoch(
    site_header: Record, site_records: Records, epoch: str, session_ms: int, later_ms: int, version: str, lasts: bool
) -> None:
    first = remade(site_header, site_records, epoch=epoch)
    second = remade(site_header, site_records, header_change={"version": version}, epoch=epoch)
    same = [
        ask(first, f"u-{k}").variant
        == ask(second, f"u-{k}", session=Session(started_ms=session_ms), now_ms=NOW_MS + later_ms).variant
        for k in range(200)
    ]
    assert all(same) is lasts


def test_touchpoints_are_decided_independently_of_each_other(site_header: Record, site_records: Records) -> None:
    even: Record = {"means": [0.0, 0.0, 0.0], "sds": [1.0] * 3, "probabilities": [0.5, 0.25, 0.25]}
    hero = {**site_records["touchpoint:hero"], "epoch": "forever"}
    records: Records = {
        "touchpoint:hero": hero,
        "cell:hero:global:": even,
        "touchpoint:twin": hero,
        "cell:twin:global:": even,
    }
    site = Snapshot.from_text(write_snapshot({**site_header, "pages": {}, "holdout_share": 0.0}, records))
    pairs = Counter(
        (ask(site, f"u-{k}").variant_index, ask(site, f"u-{k}", touchpoint="twin").variant_index) for k in range(5_000)
    )
    table = [[pairs[row, column] for column in range(3)] for row in range(3)]
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_a_preview_shows_the_named_variant_and_is_left_out_of_learning(site: Snapshot) -> None:
    decision = preview("hero", 2, situation_of(site))
    assert (decision.variant, decision.variant_index, decision.reason) == ("craft", 2, "preview")
    assert (decision.randomised, decision.holdout, decision.epoch) == (False, False, "preview")
    assert (decision.propensity, decision.snapshot, decision.distribution) == (1.0, "v1", None)
    assert not preview("hero", 0, situation_of(site, holdout_unit(site))).holdout


def test_an_unknown_touchpoint_is_a_key_error_and_a_damaged_one_invalid(
    site: Snapshot, site_header: Record, site_records: Records
) -> None:
    with pytest.raises(KeyError):
        ask(site, touchpoint="gone")
    damaged = Snapshot.from_text(write_snapshot(site_header, site_records).replace('"means":[-3.0', '"means":["x"'))
    with pytest.raises(InvalidSnapshot) as raised:
        ask(damaged)
    assert str(raised.value) == "cell:hero:global:.means[0]: expected a number, got the text 'x'"
