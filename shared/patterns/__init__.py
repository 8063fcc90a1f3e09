"""Regular expressions of JavaScript: read (`syntax` into `tree`), their time bounded (`automaton`, `cost`,
`polynomials`), and compiled for Python's `re` (`compiled`)."""

from shared.patterns.compiled import MAX_PATTERN_LENGTH, MAX_SUBJECT_LENGTH, compile_pattern

__all__ = ["MAX_PATTERN_LENGTH", "MAX_SUBJECT_LENGTH", "compile_pattern"]
