"""The live intent score: how likely a visit is to lead to something, by published weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.features import Attributes, Feature
from shared.numbers import exp

# Beyond these log-odds the intent is 0 or 1 for all that conditions can tell.
_STEEPEST: Final = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The weights of the live intent score, per feature."""

    bias: float
    names: tuple[str, ...]
    features: tuple[Feature, ...]
    weights: tuple[float, ...]


def score_intent(intent: Intent | None, attributes: Attributes) -> float:
    """Return the logistic function of bias + Σ weight · feature; 0 without weights."""
    if intent is None:
        return 0.0
    total = intent.bias
    for feature, weight in zip(intent.features, intent.weights, strict=True):
        total += weight * feature(attributes)
    total = min(max(total, -_STEEPEST), _STEEPEST)
    return 1.0 / (1.0 + exp(-total))
