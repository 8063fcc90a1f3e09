"""Targeting conditions: read and compiled (`compiled`), values compared (`comparisons`) as JavaScript does
(`javascript`)."""

from shared.conditions.compiled import (
    MAX_DEPTH,
    MAX_PATTERN_LENGTH,
    MAX_SUBJECT_LENGTH,
    Condition,
    compile_condition,
    matches,
)

__all__ = ["MAX_DEPTH", "MAX_PATTERN_LENGTH", "MAX_SUBJECT_LENGTH", "Condition", "compile_condition", "matches"]
