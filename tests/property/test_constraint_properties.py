from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from random import Random

import clarabel  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse

from shared.constraints import SMALLEST, Constrained, constrain, merge_floors, refuse_unsatisfiable
from shared.errors import Unsatisfiable

ROUNDING = 1e-12
# By how much the solver's least divergence may be off: it meets the constraints to about 1e-8 each, and the divergence
# changes by up to |ln(1e-9)| + 1 = 22 times as much.
SOLVED = 1e-5
UNIT = st.floats(0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A distribution wished for, and the constraints on it."""

    probabilities: list[float]
    floors: list[float]
    caps: list[float]
    outside: tuple[bool, ...]
    share: float

    @property
    def weights(self) -> list[float]:
        return [max(p, SMALLEST) for p in self.probabilities]

    @property
    def room(self) -> float:
        """The largest share the variants outside can have."""
        caps = math.fsum(cap for cap, out in zip(self.caps, self.outside, strict=True) if out)
        held = math.fsum(floor for floor, out in zip(self.floors, self.outside, strict=True) if not out)
        return min(caps, 1.0 - held)

    def serve(self) -> Constrained:
        return constrain(self.probabilities, floors=self.floors, caps=self.caps, outside=self.outside, share=self.share)


def scaled(parts: list[float], total: float) -> list[float]:
    """Parts in the same proportions that sum to the total; even ones where all are 0."""
    sum_of_parts = math.fsum(parts)
    return [total * (part / sum_of_parts if sum_of_parts > 1e-3 else 1.0 / len(parts)) for part in parts]


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """Constraints that can be met, often only just: floors or caps that sum to 1, a share that takes all room."""
    count = draw(st.integers(1, 8))
    parts = st.lists(UNIT | st.just(0.0), min_size=count, max_size=count)
    probabilities = scaled([part**4 for part in draw(parts)], 1.0)
    total = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999, 1.0]))
    floors = scaled(draw(parts), total)
    spare = draw(st.sampled_from([1.0, 1.001, 1.5, 3.0, 100.0])) * (1.0 - total)
    caps = [min(floor + part, 1.0) for floor, part in zip(floors, scaled(draw(parts), spare), strict=True)]
    assume(math.fsum(caps) >= 1.0 - ROUNDING)
    outside = tuple(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    wish = Wish(probabilities=probabilities, floors=floors, caps=caps, outside=outside, share=0.0)
    return replace(wish, share=draw(st.sampled_from([0.0, 0.2, 0.5, 0.99, 1.0])) * max(wish.room, 0.0))


def divergence(q: list[float], weights: list[float]) -> float:
    """KL(q‖π)."""
    return math.fsum(a * math.log(a / b) for a, b in zip(q, weights, strict=True) if a > 0.0)


def solve(wish: Wish) -> list[float]:
    """The same projection by an interior-point solver: minimise Σ (t − q ln π) with t ≥ q ln q, an exponential cone
    each."""
    n = len(wish.probabilities)
    identity, zero = np.eye(n), np.zeros((n, n))
    out = np.array(wish.outside, dtype=float)
    # Clarabel's form: A x + s = b with s in the cones, in this order, over x = (q, t).
    rows = [np.concatenate([np.ones(n), np.zeros(n)])[None, :]]
    rows += [np.hstack([-identity, zero]), np.hstack([identity, zero]), np.concatenate([-out, np.zeros(n)])[None, :]]
    limits = [1.0, *(-f for f in wish.floors), *wish.caps, -wish.share]
    for i in range(n):  # (−t, q, 1) with q exp(−t/q) ≤ 1
        rows += [np.hstack([zero, identity])[i : i + 1], np.hstack([-identity, zero])[i : i + 1], np.zeros((1, 2 * n))]
        limits += [0.0, 0.0, 1.0]
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(2 * n + 1), *[clarabel.ExponentialConeT()] * n]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    objective = np.concatenate([-np.log(wish.weights), np.ones(n)])
    nothing = sparse.csc_matrix((2 * n, 2 * n))
    found = clarabel.DefaultSolver(
        nothing, objective, sparse.csc_matrix(np.vstack(rows)), np.array(limits), cones, settings
    ).solve()
    assert str(found.status) in {"Solved", "AlmostSolved"}, found.status
    return [max(float(q), 0.0) for q in found.x[:n]]


def by_bisection(weights: list[float], floors: list[float], caps: list[float], mass: float) -> list[float]:
    """min(max(floor, λ w), cap) for the λ where it sums to the mass, found by halving an interval."""
    low, high = 0.0, 2.0 / min(weights, default=1.0)
    for _ in range(400):
        middle = (low + high) / 2.0
        total = math.fsum(min(max(f, middle * w), c) for f, w, c in zip(floors, weights, caps, strict=True))
        low, high = (middle, high) if total < mass else (low, middle)
    return [min(max(f, high * w), c) for f, w, c in zip(floors, weights, caps, strict=True)]


def search(wish: Wish) -> list[float]:
    """The projection by bisection; where the share binds, each class on its own."""
    found = by_bisection(wish.weights, wish.floors, wish.caps, 1.0)
    if math.fsum(q for q, out in zip(found, wish.outside, strict=True) if out) >= wish.share:
        return found
    for side, mass in ((True, wish.share), (False, 1.0 - wish.share)):
        members = [i for i, out in enumerate(wish.outside) if out == side]
        weights, floors, caps = ([column[i] for i in members] for column in (wish.weights, wish.floors, wish.caps))
        for i, q in zip(members, by_bisection(weights, floors, caps, mass), strict=True):
            found[i] = q
    return found


@given(wishes())
def test_no_distribution_that_a_convex_solver_finds_is_nearer(wish: Wish) -> None:
    served = list(wish.serve().probabilities)
    found = solve(wish)
    assert abs(divergence(found, wish.weights) - divergence(served, wish.weights)) <= SOLVED
    # The divergence is 1-strongly convex in the L1 norm (Pinsker), so what is near in one is near in the other.
    assert math.fsum(abs(a - b) for a, b in zip(served, found, strict=True)) <= math.sqrt(2.0 * SOLVED)


@given(wishes())
def test_the_served_distribution_is_that_of_an_independent_search(wish: Wish) -> None:
    assert wish.serve().probabilities == pytest.approx(search(wish), abs=1e-9)


@given(wishes())
def test_every_constraint_is_met_and_nothing_is_relaxed(wish: Wish) -> None:
    result = wish.serve()
    served = result.probabilities
    assert result.relaxations == ()
    assert abs(math.fsum(served) - 1.0) <= ROUNDING
    assert all(floor <= q <= cap for floor, q, cap in zip(wish.floors, served, wish.caps, strict=True))
    assert math.fsum(q for q, out in zip(served, wish.outside, strict=True) if out) >= wish.share - ROUNDING


@given(wishes())
def test_what_is_at_no_bound_shares_one_factor_a_class(wish: Wish) -> None:
    served = wish.serve().probabilities
    rows = list(zip(served, wish.weights, wish.floors, wish.caps, wish.outside, strict=True))
    factors = [(q / w, out) for q, w, floor, cap, out in rows if floor < q < cap]
    inside, outside = ([factor for factor, out in factors if out == side] for side in (False, True))
    for each in (inside, outside):
        assert all(factor == pytest.approx(each[0], rel=1e-12) for factor in each)
    binding = math.fsum(q for q, out in zip(served, wish.outside, strict=True) if out) <= wish.share + ROUNDING
    if inside and outside and not binding:
        assert inside[0] == pytest.approx(outside[0], rel=1e-12)


@given(wishes(), st.data())
def test_of_two_variants_with_equal_bounds_and_class_the_likelier_gets_no_less(wish: Wish, data: st.DataObject) -> None:
    count = len(wish.probabilities)
    floor, cap = data.draw(st.sampled_from([0.0, 0.5 / count, 0.9 / count])), data.draw(st.floats(1.0 / count, 1.0))
    parts = [data.draw(st.sampled_from([p, wish.probabilities[0]])) for p in wish.probabilities]
    alike = replace(wish, probabilities=scaled(parts, 1.0), floors=[floor] * count, caps=[cap] * count)
    served = alike.serve().probabilities
    for side in (False, True):
        members = [i for i in range(count) if alike.outside[i] == side]
        ranked = sorted(members, key=lambda i: alike.weights[i])
        assert all(served[a] <= served[b] for a, b in itertools.pairwise(ranked))
        assert all(served[a] == served[b] for a in members for b in members if alike.weights[a] == alike.weights[b])


@given(wishes(), st.randoms(use_true_random=False))
def test_the_order_of_the_variants_does_not_matter(wish: Wish, random: Random) -> None:
    order = list(range(len(wish.probabilities)))
    random.shuffle(order)
    turned = Wish(
        probabilities=[wish.probabilities[i] for i in order],
        floors=[wish.floors[i] for i in order],
        caps=[wish.caps[i] for i in order],
        outside=tuple(wish.outside[i] for i in order),
        share=wish.share,
    )
    served = wish.serve().probabilities
    assert turned.serve().probabilities == tuple(served[i] for i in order)


@given(wishes())
def test_what_is_served_already_stays(wish: Wish) -> None:
    served = list(wish.serve().probabilities)
    assert replace(wish, probabilities=served).serve().probabilities == pytest.approx(served, abs=1e-7)


@st.composite
def contradictions(draw: st.DrawFn) -> Wish:
    """Any constraints, most of which the variants cannot meet."""
    count = draw(st.integers(1, 8))
    parts = st.lists(UNIT, min_size=count, max_size=count)
    floors = draw(parts)
    factor = draw(st.sampled_from([0.1, 0.5, 1.0]))
    caps = [floor + factor * part * (1.0 - floor) for floor, part in zip(floors, draw(parts), strict=True)]
    if draw(st.booleans()):
        floors, caps = (
            [floor / count for floor in floors],
            [max(cap / count, f / count) for cap, f in zip(caps, floors, strict=True)],
        )
    outside = tuple(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    probabilities = scaled([part**4 for part in draw(parts)], 1.0)
    return Wish(probabilities=probabilities, floors=floors, caps=caps, outside=outside, share=draw(UNIT))


@given(contradictions())
def test_what_cannot_be_met_is_relaxed_by_the_rules_and_named(wish: Wish) -> None:
    count = len(wish.probabilities)
    expected: list[str] = []
    relaxed = wish
    if math.fsum(wish.floors) > 1.0 + ROUNDING:
        expected.append("floors")
        relaxed = replace(wish, floors=scaled(wish.floors, 1.0))
    if math.fsum(wish.caps) < 1.0 - ROUNDING:
        expected.append("caps")
        relaxed = replace(wish, caps=[max(cap, 1.0 / count) for cap in wish.caps])
    if wish.share > 0.0 and relaxed.room < wish.share - ROUNDING:
        expected.append("interest_share")
        relaxed = replace(relaxed, share=max(relaxed.room, 0.0))
    result = wish.serve()
    assert list(result.relaxations) == expected
    assert abs(math.fsum(result.probabilities) - 1.0) <= ROUNDING
    assert result.probabilities == pytest.approx(search(relaxed), abs=1e-9)
    rows = zip(relaxed.floors, result.probabilities, relaxed.caps, strict=True)
    assert all(floor - ROUNDING <= q <= cap for floor, q, cap in rows)


@given(contradictions(), st.data())
def test_what_is_not_refused_some_visitor_gets_without_relaxing(wish: Wish, data: st.DataObject) -> None:
    count = len(wish.probabilities)
    tags = st.lists(st.sampled_from([(), ("golf",), ("chess",)]), min_size=count, max_size=count)
    interests = data.draw(tags)
    names = [f"v{i}" for i in range(count)]
    # The visitor for whom most can be done: all variants eligible, every tagged one of another interest.
    visitor = replace(wish, outside=tuple(bool(each) for each in interests))
    void = wish.share > 0.0 and not any(visitor.outside)
    try:
        refuse_unsatisfiable("hero", names, floors=wish.floors, caps=wish.caps, interests=interests, share=wish.share)
    except Unsatisfiable:
        assert visitor.serve().relaxations
    else:
        assert visitor.serve().relaxations == (("interest_share",) if void else ())


@given(contradictions(), st.data())
def test_merged_floors_can_be_met_and_never_undercut_the_configured_ones(wish: Wish, data: st.DataObject) -> None:
    count = len(wish.probabilities)
    configured = scaled(wish.floors, 1.0) if math.fsum(wish.floors) > 1.0 else wish.floors
    asked = data.draw(st.lists(st.floats(0.0, 1.0 / count), min_size=count, max_size=count))
    merged = merge_floors(configured, asked, wish.caps)
    assert math.fsum(merged) <= 1.0 + ROUNDING
    rows = list(zip(configured, asked, wish.caps, merged, strict=True))
    assert all(max(floor, 0.0) <= each <= max(floor, min(want, cap)) for floor, want, cap, each in rows)
    if math.fsum(max(floor, min(want, cap)) for floor, want, cap, _ in rows) <= 1.0:
        assert merged == [max(floor, min(want, cap)) for floor, want, cap, _ in rows]
    else:
        assert math.fsum(merged) == pytest.approx(1.0, abs=ROUNDING)
