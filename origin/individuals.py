"""Individual posteriors: what each person's own decisions say beyond those of everybody in the same cell.

A person's variant borrows from the same variant in the person's cell (the segment of the latest decision, or all
visitors), as far as people agree, exactly as a segment borrows from the other segments: from evidence elsewhere only,
with a strength fitted to all people at once. Before that, what is common to all variants (how likely this person is to
convert at all) is taken out: each person's prior means are moved, all by the same amount of log-odds, to the person's
own overall rate, itself shrunk towards what the cell expects of the variants that were shown. Without that step a
person who converts often would look like one whom every single variant surprises, and the spread fitted to that would
flatten the choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from scipy.special import digamma, expit, logit, polygamma

from origin.counts import Counts
from origin.posteriors import Array, fit_strength, segment_posteriors

GLOBAL: Final = "global:"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The posteriors of S people for K variants: means and standard deviations of the log-odds (S × K), by the units
    of the persons."""

    units: list[str]
    means: Array
    sds: Array


def name_model(variants: Sequence[str]) -> str:
    """The model version of individual scores: its digest is that of the variants' names in their order, so that scores
    are never read for other variants."""
    return f"m1-{sha256(chr(31).join(variants).encode()).hexdigest()[:12]}"


def train_people(
    counts: Iterable[Counts], variants: Sequence[str], cells: Mapping[str, tuple[Array, Array]], least: int
) -> People:
    """Train everybody with at least `least` decisions among `counts`, those of one touchpoint by person and variant.

    `cells` holds α and β of each cell's variants (`global:` and `segment:<name>`).
    """
    people = _collect(counts, variants, cells)
    units = sorted(unit for unit, person in people.items() if person.all_decisions.sum() >= least)
    if not units:
        none = np.zeros((0, len(variants)))
        return People(units=[], means=none, sds=none)
    chosen = [people[unit] for unit in units]
    decisions = np.array([each.all_decisions for each in chosen])
    rewards = np.array([each.all_rewards for each in chosen])
    inside = [each.within(each.home) for each in chosen]
    own_decisions, own_rewards = np.array([each[0] for each in inside]), np.array([each[1] for each in inside])
    alpha = np.array([cells[each.home][0] for each in chosen]) - own_rewards
    beta = np.array([cells[each.home][1] for each in chosen]) - (own_decisions - own_rewards)
    elsewhere = alpha + beta
    means = move_to_own_rate(alpha / elsewhere, decisions, rewards)
    parent = (means * elsewhere + rewards, (1.0 - means) * elsewhere + decisions - rewards)
    alphas, betas = segment_posteriors(decisions, rewards, parent)
    sds = np.sqrt(polygamma(1, alphas) + polygamma(1, betas))
    return People(units=units, means=digamma(alphas) - digamma(betas), sds=sds)


def move_to_own_rate(means: Array, decisions: Array, rewards: Array) -> Array:
    """Return the prior means (S × K) moved on the log-odds to each person's own overall rate.

    The rate is r_s of n_s decisions, shrunk to what the means expect of the variants shown, m_s = Σ n_sa μ_sa / n_s,
    by a strength fitted to all people: where people convert alike, the means stay as they are.
    """
    total, successes = decisions.sum(axis=1), rewards.sum(axis=1)
    expected = (decisions * means).sum(axis=1) / total
    strength = fit_strength(total, successes, expected)
    own = (successes + expected * strength) / (total + strength)
    moved: Array = expit(logit(means) + (logit(own) - logit(expected))[:, None])
    return moved


class _Person:
    """The counts of one person, on all devices, by cell, and the cell of its latest decision (`home`)."""

    def __init__(self, count: int) -> None:
        self.all_decisions = np.zeros(count)
        self.all_rewards = np.zeros(count)
        self.home = GLOBAL
        self._latest_ms = -1
        self._cells: dict[str, tuple[Array, Array]] = {}

    def add(self, cell: str, variant: int, counts: Counts) -> None:
        decisions, rewards = self._cells.setdefault(
            cell, (np.zeros(self.all_decisions.shape), np.zeros(self.all_decisions.shape))
        )
        decisions[variant] += counts.decisions
        rewards[variant] += counts.rewards
        self.all_decisions[variant] += counts.decisions
        self.all_rewards[variant] += counts.rewards
        if counts.last_ms > self._latest_ms:
            self._latest_ms, self.home = counts.last_ms, cell

    def within(self, cell: str) -> tuple[Array, Array]:
        """The person's counts that a cell's posterior has seen: the global one has seen all."""
        return (self.all_decisions, self.all_rewards) if cell == GLOBAL else self._cells[cell]


def _collect(
    counts: Iterable[Counts], variants: Sequence[str], cells: Mapping[str, tuple[Array, Array]]
) -> dict[str, _Person]:
    index = {name: i for i, name in enumerate(variants)}
    people: dict[str, _Person] = {}
    for each in counts:
        if each.variant in index:
            own = f"segment:{each.segment}"
            cell = own if each.segment is not None and own in cells else GLOBAL
            people.setdefault(each.person, _Person(len(variants))).add(cell, index[each.variant], each)
    return people
