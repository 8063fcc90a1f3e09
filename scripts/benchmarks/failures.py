"""What Usher has counted of its own failures, as its Workers log it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

_COUNTED: Final = re.compile(r'\{"usher": "([a-z_]+)"')


class FailureLog:
    """A log that grows, read bit by bit."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._read = 0

    def skip(self) -> None:
        """Pass over what stands there by now."""
        self._read = len(self._lines)

    def take(self) -> Counter[str]:
        """How often each reason was counted since the log was read last."""
        lines = self._lines[self._read :]
        self._read += len(lines)
        return Counter(reason for line in lines for reason in _COUNTED.findall(line))


def describe_failures(counted: Mapping[str, int]) -> str:
    """The reasons and how often each was counted, as words."""
    return ", ".join(f"{reason} {count:,} ×" for reason, count in sorted(counted.items()))
