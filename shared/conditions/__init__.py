"""Targeting conditions: read and compiled (`compiled`), and values compared as JavaScript does (`comparisons`)."""

from shared.conditions.compiled import (
    MAX_DEPTH,
    MAX_PATTERN_LENGTH,
    MAX_SUBJECT_LENGTH,
    Condition,
    compile_condition,
    matches,
)

__all__ = ["MAX_DEPTH", "MAX_PATTERN_LENGTH", "MAX_SUBJECT_LENGTH", "Condition", "compile_condition", "matches"]
