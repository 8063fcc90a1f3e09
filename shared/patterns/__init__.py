"""Regular expressions of JavaScript: read (`syntax` into `tree`), made plain (`rewriting`), and run by Python's `re`
where its time is bounded (`cost`), else by a simulation (`layout`, `simulation`); `compiled` chooses."""

from shared.patterns.compiled import MAX_PATTERN_LENGTH, compile_pattern
from shared.patterns.rewriting import MAX_SUBJECT_LENGTH

__all__ = ["MAX_PATTERN_LENGTH", "MAX_SUBJECT_LENGTH", "compile_pattern"]
