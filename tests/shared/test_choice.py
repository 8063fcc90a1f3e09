from __future__ import annotations

import math

import pytest

from shared.choice import order_race, win_race


@pytest.mark.parametrize(
    ("probabilities", "uniforms", "winner"),
    [
        ([1.0], [0.3], 0),
        ([0.5, 0.5], [0.2, 0.9], 1),
        ([0.5, 0.5], [0.9, 0.2], 0),
        ([0.9, 0.1], [0.5, 0.5], 0),
        ([0.1, 0.9], [0.5, 0.5], 1),
        ([0.0, 1.0], [0.999, 0.001], 1),
        ([1.0, 0.0], [0.001, 0.999], 0),
        ([0.0, 0.0, 1e-300], [0.9, 0.9, 0.1], 2),
    ],
)
def test_the_first_to_finish_wins(probabilities: list[float], uniforms: list[float], winner: int) -> None:
    assert win_race(probabilities, uniforms) == winner


def test_of_variants_that_finish_at_once_the_first_wins() -> None:
    assert win_race([0.1, 0.45, 0.45], [0.2, 0.7, 0.7]) == 1
    assert order_race([0.1, 0.45, 0.45], [0.2, 0.7, 0.7], 2) == [1, 2]


def test_probabilities_too_small_or_large_for_the_bounds_are_raced_as_well() -> None:
    # 1e-320 has lost digits; 1e308 doubled is infinite. The finishing times themselves overflow for the former.
    assert win_race([1e-320, 3e-320], [0.5, 0.5]) == 0
    assert win_race([1e-305, 3e-305], [0.5, 0.5]) == 1
    assert win_race([1e308, 3e307], [0.5, 0.5]) == 0
    assert order_race([1e308, 1.5e308, 1.0], [0.5, 0.5, 0.5], 2) == [1, 0]


def test_probabilities_need_not_sum_to_one() -> None:
    assert win_race([5.0, 50.0], [0.5, 0.5]) == win_race([0.05, 0.5], [0.5, 0.5]) == 1


def test_the_order_of_the_variants_does_not_matter() -> None:
    entries = [(0.2, 0.31), (0.5, 0.12), (0.3, 0.55)]
    winner = entries[win_race([p for p, _ in entries], [u for _, u in entries])]
    for turn in range(3):
        turned = entries[turn:] + entries[:turn]
        assert turned[win_race([p for p, _ in turned], [u for _, u in turned])] == winner


def test_the_ends_of_the_uniforms_are_raced_as_well() -> None:
    smallest, largest = 2.0**-53, 1.0 - 2.0**-53
    assert win_race([0.5, 0.5], [smallest, largest]) == 1
    assert -math.log(smallest) < 37.0


@pytest.mark.parametrize("probabilities", [[], [0.0], [0.0, 0.0]])
def test_a_race_nobody_may_win_is_refused(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="no variant has a positive probability"):
        win_race(probabilities, [0.5] * len(probabilities))


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 probabilities and 1 uniforms"):
        win_race([0.5, 0.5], [0.5])


def test_the_order_is_that_of_the_finishing_times() -> None:
    probabilities, uniforms = [0.1, 0.5, 0.15, 0.25], [0.9, 0.4, 0.3, 0.8]
    times = [-math.log(u) / p for p, u in zip(probabilities, uniforms, strict=True)]
    order = sorted(range(4), key=times.__getitem__)
    assert order == [3, 0, 1, 2]
    for count in range(1, 6):
        assert order_race(probabilities, uniforms, count) == order[:count]


def test_a_variant_of_probability_zero_never_finishes() -> None:
    assert order_race([0.0, 0.5, 0.0, 0.5], [0.9, 0.1, 0.9, 0.2], 3) == [3, 1]
    assert order_race([0.0, 0.0], [0.9, 0.1], 1) == []
    assert order_race([], [], 1) == []


def test_lengths_that_differ_are_refused_in_an_order_as_well() -> None:
    with pytest.raises(ValueError, match="got 1 probabilities and 2 uniforms"):
        order_race([0.5], [0.5, 0.5], 1)
