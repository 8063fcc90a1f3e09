"""The session: what the edge knows of a visit right now, as attributes and as the live intent score.

Conditions, segments and features read it below `session`: `views` (pages in this session, this one included), `visits`
(sessions so far, this one included), `referral` (where the session came from), `preferences` (what the visitor
declared, answer by question) and `intent`, a score from 0 to 1 by published weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.features import Attributes, Feature
from shared.numbers import exp

# Where a session may have come from.
REFERRALS: Final = ("direct", "search", "social", "email", "campaign", "other")
# Beyond these log-odds the intent is 0 or 1 for all that conditions can tell.
_STEEPEST: Final = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The state of one session: its start (ms), pages seen, number among the visitor's sessions, source, answers."""

    started_ms: int
    views: int = 1
    visits: int = 1
    referral: str = "direct"
    preferences: Mapping[str, str] = field(default_factory=dict)

    def to_attributes(self) -> dict[str, object]:
        """What conditions may ask about the session, but for its intent, which needs the published weights."""
        return {
            "started_ms": self.started_ms,
            "views": self.views,
            "visits": self.visits,
            "referral": self.referral,
            "preferences": self.preferences,
        }


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


def read_features(features: Sequence[Feature], attributes: Attributes) -> tuple[float, ...]:
    """The values of features, in their order."""
    return tuple(feature(attributes) for feature in features)
