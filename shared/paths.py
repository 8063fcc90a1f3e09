"""URL path patterns: where touchpoints occur."""

from __future__ import annotations


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern, in which `*` stands for any text and everything else for itself."""
    first, *rest = pattern.split("*")
    if not rest:
        return path == pattern
    if not path.startswith(first):
        return False
    at = len(first)
    for middle in rest[:-1]:
        found = path.find(middle, at)
        if found < 0:
            return False
        at = found + len(middle)
    return len(path) - len(rest[-1]) >= at and path.endswith(rest[-1])
