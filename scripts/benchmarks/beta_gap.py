"""`python -m scripts.benchmarks.beta_gap`: how far normals on log-odds are from Beta posteriors, in P(best).

Touchpoints of K arms are drawn: decisions log-uniform from 1 to 1,000, rewards binomial around 3 %. Each arm has the
project's kind of prior, of the pooled mean and worth so many rewards. The table says how far the probabilities that are
served are from those of the Beta posteriors themselves, in the arm where they differ most; and, for one touchpoint,
what the arm without a reward gets by either.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.special import betainc, betaln

from shared.policy import beta_to_log_odds, thompson_probabilities

Array = npt.NDArray[np.float64]

RATE: Final = 0.03
TOUCHPOINTS: Final = 200
ARMS: Final = (2, 4, 10)
PRIORS: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 5.0, 20.0)  # in rewards; 0 stands for the flat prior, Beta(1, 1)
# Log-odds: a Beta of a tenth of a reward still has one in a billion at e^-200. The narrowest density is wider than 0.1.
GRID: Final = np.linspace(-220.0, 30.0, 5_001)


def beta_probabilities(alphas: Array, betas: Array) -> Array:
    """∫ f_a Π F_b of the Beta posteriors, over their log-odds, where densities are smooth and have no poles."""
    p, q = 1.0 / (1.0 + np.exp(-GRID)), 1.0 / (1.0 + np.exp(GRID))
    alphas, betas = alphas[:, None], betas[:, None]
    densities = np.exp(alphas * np.log(p) + betas * np.log(q) - betaln(alphas, betas))
    below = betainc(alphas, betas, p)
    products = np.array([np.delete(below, a, axis=0).prod(axis=0) for a in range(len(below))])
    shares: Array = (densities * products).sum(axis=1) * (GRID[1] - GRID[0])
    if abs(shares.sum() - 1.0) > 1e-6:
        raise ArithmeticError(f"the reference sums to {shares.sum()}")
    return shares


def weigh(decisions: Array, rewards: Array, worth: float) -> tuple[Array, Array]:
    """The probabilities by the Beta posteriors and by their normals, under a prior worth so many rewards."""
    alphas, betas = rewards + 1.0, decisions - rewards + 1.0
    if worth > 0.0:
        alphas, betas = rewards + worth, decisions - rewards + worth * (1.0 - RATE) / RATE
    moments = [beta_to_log_odds(float(a), float(b)) for a, b in zip(alphas, betas, strict=True)]
    normal = thompson_probabilities([mean for mean, _ in moments], [sd for _, sd in moments])
    return beta_probabilities(alphas, betas), np.array(normal)


def measure_gap(random: np.random.Generator, arms: int, worth: float) -> float:
    """The largest difference in an arm's probability at one drawn touchpoint."""
    decisions = np.floor(np.exp(random.uniform(0.0, np.log(1_000.0), arms)))
    rewards = random.binomial(decisions.astype(int), RATE).astype(float)
    exact, normal = weigh(decisions, rewards, worth)
    return float(np.abs(normal - exact).max())


def main() -> None:
    """Print the table."""
    table = Table("prior", title="difference in an arm's probability: median, 95 %, largest", title_justify="left")
    for arms in ARMS:
        table.add_column(f"{arms} arms", justify="right")
    table.add_column("0 of 200 beside 3 of 100", justify="right")
    for worth in PRIORS:
        random = np.random.default_rng(1)
        rows = [np.array([measure_gap(random, arms, worth) for _ in range(TOUCHPOINTS)]) for arms in ARMS]
        name = "flat" if worth == 0.0 else f"{worth:g} rewards"
        cells = [f"{np.median(gaps):.3f} {np.quantile(gaps, 0.95):.3f} {gaps.max():.3f}" for gaps in rows]
        exact, normal = weigh(np.array([200.0, 100.0]), np.array([0.0, 3.0]), worth)
        table.add_row(name, *cells, f"{exact[0]:.3f}, normal {normal[0]:.3f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
