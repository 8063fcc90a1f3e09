"""Individual posteriors: a person's own taste is found, appetite for everything is not taken for taste."""

from __future__ import annotations

import numpy as np
import pytest

from origin.counts import Counts
from origin.individuals import move_to_own_rate, name_model, train_people
from origin.posteriors import Array, global_posterior, make_cell, segment_posteriors
from shared.policy import thompson_probabilities
from tests.origin.shop import NOON_MS, VARIANTS


def counts(
    unit: str, decisions: list[int], rewards: list[float], segment: str | None = None, last_ms: int = NOON_MS
) -> list[Counts]:
    return [
        Counts(
            touchpoint="hero", variant=variant, source="edge", person=unit, segment=segment,
            decisions=n, rewards=r, first_ms=NOON_MS, last_ms=last_ms,
        )
        for variant, n, r in zip(VARIANTS, decisions, rewards, strict=True)
        if n
    ]  # fmt: skip


def cells_of(everybody: list[Counts]) -> dict[str, tuple[Array, Array]]:
    decisions, rewards = np.zeros(3), np.zeros(3)
    for each in everybody:
        decisions[VARIANTS.index(each.variant)] += each.decisions
        rewards[VARIANTS.index(each.variant)] += each.rewards
    return {"global:": global_posterior(decisions, rewards)}


def likeliest(means: Array, sds: Array) -> list[float]:
    return thompson_probabilities(means.tolist(), sds.tolist())


def test_people_with_tastes_of_their_own_get_what_they_like() -> None:
    everybody = [
        each
        for i in range(300)
        for each in counts(f"u{i:03}", [12, 12, 12], [9.0 if a == i % 3 else 1.0 for a in range(3)])
    ]
    people = train_people(everybody, VARIANTS, cells_of(everybody), 5)
    assert people.units == [f"u{i:03}" for i in range(300)]
    for i in range(300):
        assert int(np.argmax(people.means[i])) == i % 3
        assert likeliest(people.means[i], people.sds[i])[i % 3] > 0.95


def simulate(people: int, appetite: float, rates: tuple[float, ...] = (0.2, 0.25, 0.35)) -> list[Counts]:
    """People who differ in their appetite for everything (a normal on the log-odds), and not in their taste."""
    chance = np.random.default_rng(3)
    base = np.log(np.array(rates) / (1.0 - np.array(rates)))
    everybody: list[Counts] = []
    for i in range(people):
        decisions = 1 + chance.poisson(3.0, 3)
        rewards = chance.binomial(decisions, 1.0 / (1.0 + np.exp(-(base + chance.normal(0.0, appetite)))))
        everybody += counts(f"u{i:04}", decisions.tolist(), [float(each) for each in rewards])
    return everybody


@pytest.mark.parametrize("appetite", [0.0, 2.0])
def test_appetite_for_everything_does_not_flatten_the_choice(appetite: float) -> None:
    """Nobody has a taste of their own, so nearly all must get what is best for all, however their appetites differ."""
    everybody = simulate(1_500, appetite)
    people = train_people(everybody, VARIANTS, cells_of(everybody), 5)
    shares = np.array([likeliest(people.means[i], people.sds[i])[2] for i in range(len(people.units))])
    assert shares.mean() > 0.85


def test_without_moving_to_the_own_rate_the_choice_would_be_flat() -> None:
    """What the step is for: the same people, each prior left at the cell's means."""
    everybody = simulate(1_500, 2.0)
    decisions, rewards = np.zeros((1_500, 3)), np.zeros((1_500, 3))
    for each in everybody:
        decisions[int(each.person[1:]), VARIANTS.index(each.variant)] += each.decisions
        rewards[int(each.person[1:]), VARIANTS.index(each.variant)] += each.rewards
    alphas, betas = segment_posteriors(decisions, rewards, cells_of(everybody)["global:"])
    cells = [make_cell(alphas[i], betas[i]) for i in range(0, 1_500, 10)]
    assert (alphas + betas - decisions).mean() < 5.0
    assert np.mean([cell["probabilities"][2] for cell in cells]) < 0.6


def test_where_people_convert_alike_the_means_stay() -> None:
    means = np.full((200, 3), [0.1, 0.2, 0.3])
    decisions = np.full((200, 3), 50.0)
    rewards = np.random.default_rng(1).binomial(50, means).astype(float)
    np.testing.assert_allclose(move_to_own_rate(means, decisions, rewards), means, atol=0.01)


def test_the_means_move_by_the_same_log_odds() -> None:
    means = np.array([[0.1, 0.2, 0.5], [0.1, 0.2, 0.5]])
    moved = move_to_own_rate(means, np.full((2, 3), 400.0), np.array([[200.0] * 3, [10.0] * 3]))
    shift = np.log(moved / (1.0 - moved)) - np.log(means / (1.0 - means))
    np.testing.assert_allclose(shift, shift[:, :1] * np.ones(3))
    assert shift[0, 0] > 0.5 and shift[1, 0] < -0.5


def test_only_people_with_enough_decisions_on_configured_variants_are_trained() -> None:
    everybody = [*counts("a", [2, 2, 1], [0.0, 1.0, 0.0]), *counts("b", [2, 2, 0], [0.0, 0.0, 0.0])]
    gone = Counts(
        touchpoint="hero", variant="withdrawn", source="edge", person="b", segment=None,
        decisions=9, rewards=9.0, first_ms=NOON_MS, last_ms=NOON_MS,
    )  # fmt: skip
    people = train_people([*everybody, gone], VARIANTS, cells_of(everybody), 5)
    assert people.units == ["a"]
    assert people.means.shape == people.sds.shape == (1, 3)
    nobody = train_people([], VARIANTS, cells_of(everybody), 5)
    assert (nobody.units, nobody.means.shape) == ([], (0, 3))


def test_a_person_borrows_from_the_cell_of_the_latest_decision() -> None:
    """Phones like the first variant, all others the third; who came by phone last starts from the phones' taste."""
    cells = {
        "global:": (np.array([20.0, 20.0, 80.0]), np.array([80.0, 80.0, 20.0])),
        "segment:mobile": (np.array([90.0, 20.0, 20.0]), np.array([10.0, 80.0, 80.0])),
    }
    last = NOON_MS + 1
    everybody = [
        *counts("phone", [2, 2, 2], [1.0, 0.0, 1.0]),
        *counts("phone", [1, 1, 1], [1.0, 0.0, 0.0], "mobile", last),
        *counts("desk", [1, 1, 1], [1.0, 0.0, 0.0], "mobile"),
        *counts("desk", [2, 2, 2], [1.0, 0.0, 1.0], "tablet", last),
    ]
    people = train_people(everybody, VARIANTS, cells, 5)
    assert people.units == ["desk", "phone"]
    assert np.argmax(people.means, axis=1).tolist() == [2, 0]


def test_a_models_name_changes_with_the_variants_and_their_order() -> None:
    names = [name_model(each) for each in (["a", "b"], ["b", "a"], ["a", "b", "c"], ["ab"], ["a", "b"])]
    assert len(set(names)) == 4
    assert names[0] == names[4]
    assert all(name.startswith("m1-") and len(name) == 15 for name in names)
