"""Posteriors: per variant the mean and standard deviation of its log-odds of reward, at one level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from shared.features import Feature
from shared.parse import Reader

# From the finest to the coarsest.
LEVELS: Final = ("individual", "cluster", "segment", "global")
# Bounds of published means, standard deviations and weights.
LARGEST: Final = 1e6
LEAST_SD: Final = 1e-12


@dataclass(slots=True)
class Posterior:
    """Means and standard deviations of a touchpoint's variants, in the variants' order, at a level (`name` is the
    cluster's or the segment's, empty elsewhere), and the Thompson probabilities they imply where they were published;
    empty means that they are integrated live. Nobody changes it; frozen it would be slow to make."""

    level: str
    name: str
    means: tuple[float, ...]
    sds: tuple[float, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How the live session moves a touchpoint's posteriors: for F features, weights (K × F) and their covariances
    (K × F × F), one row a variant."""

    names: tuple[str, ...]
    features: tuple[Feature, ...]
    weights: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    # Of each matrix row, column and value of what is not 0, in their order: mostly the diagonal alone. Equal matrices
    # share theirs.
    entries: tuple[tuple[tuple[int, int, float], ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the entries of the covariances."""
        entries = [
            tuple([(i, j, value) for i, row in enumerate(matrix) for j, value in enumerate(row) if value != 0.0])
            for matrix in self.covariances
        ]
        known: dict[tuple[tuple[int, int, float], ...], tuple[tuple[int, int, float], ...]] = {}
        object.__setattr__(self, "entries", tuple([known.setdefault(each, each) for each in entries]))


def read_posterior(reader: Reader, level: str, name: str, count: int, *, has_probabilities: bool) -> Posterior:
    """Read the posteriors of `count` variants. Raises the reader's error where they are not of the form."""
    probabilities: tuple[float, ...] = ()
    if has_probabilities:
        probabilities = reader.numbers("probabilities", length=count, low=0.0, high=1.0)
        total = 0.0
        for probability in probabilities:
            total += probability
        if not -1e-9 <= total - 1.0 <= 1e-9:
            raise reader.error(reader.place("probabilities"), f"sum to {total!r}, not to 1")
    means = reader.numbers("means", length=count, low=-LARGEST, high=LARGEST)
    return Posterior(level, name, means, reader.numbers("sds", length=count, low=LEAST_SD, high=LARGEST), probabilities)


def shift_posterior(posterior: Posterior, shift: Shift, values: Sequence[float]) -> Posterior:
    """Return the posterior moved by feature values x: `m_a + w_a·x` and `√(s_a² + xᵀΣ_a x)` for every variant a.

    The result has no published probabilities.
    """
    present = [(i, x) for i, x in enumerate(values) if x != 0.0]
    means, sds = [], []
    variance, latest = 0.0, None
    for mean, sd, weights, entries in zip(posterior.means, posterior.sds, shift.weights, shift.entries, strict=True):
        for i, x in present:
            mean += weights[i] * x  # noqa: PLW2901 - adds up
        if entries is not latest:
            variance, latest = 0.0, entries
            for i, j, value in entries:
                variance += values[i] * value * values[j]
        means.append(mean)
        sds.append(sqrt(sd * sd + variance) if variance > 0.0 else sd)
    return Posterior(posterior.level, posterior.name, tuple(means), tuple(sds), ())
