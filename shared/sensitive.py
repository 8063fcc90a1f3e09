"""What Usher refuses to know: attributes that no decision, segment or reason may rest on.

The list follows what data-protection law calls special categories, and adds what visitors would not expect a shop to
act on. It works on what a site writes down: the names of attributes, questions and categories, and the answers and
values that it compares with. A site that wants to hide such a thing behind another name can, but it cannot do so by
accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final

SENSITIVE: Final = frozenset(
    """
    abortion addiction alcoholism asylum bankrupt bankruptcy biometric biometrics caste child children citizenship
    conviction convictions creed criminal debt debts denomination diagnoses diagnosis dialysis
    disabilities disability disabled disease divorce divorced dna ethnic ethnicity faith fertility fingerprint gay
    gender genetic genetics handicap health healthcare hiv illness immigration income lesbian marital medical
    medication mental nationality obesity orientation pension politics political pregnancy pregnant prescription
    psychiatric race racial relationship religion religious salary sex sexual sexuality therapy transgender
    trauma unemployed unemployment vaccination wage wages wealth widow widowed worship
    """.split()  # noqa: SIM905 - a list of words reads better as words
)
# Words that are harmless alone, and sensitive in company.
SENSITIVE_PAIRS: Final = frozenset(
    {
        ("credit", "rating"), ("credit", "score"), ("health", "condition"), ("medical", "condition"),
        ("net", "worth"), ("political", "party"), ("skin", "colour"), ("skin", "color"), ("trade", "union"),
        ("union", "member"), ("union", "membership"), ("household", "income"), ("home", "value"),
    }
)  # fmt: skip

# What is wrong with a published name, or text, that is on the list.
REFUSED: Final = "is on the sensitive list, and decisions may not rest on it; publish again without it"

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", re.ASCII)


@lru_cache(maxsize=2_048)  # the variants of a touchpoint ask about the same names
def is_sensitive(name: str) -> bool:
    """Whether an attribute of that name may not be used: one of its words, or two in a row, are on the list.

    Words are parted by anything that is no letter, and by a capital (`householdIncome`); case does not count.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    return any(word in SENSITIVE for word in words) or any(pair in SENSITIVE_PAIRS for pair in pairwise(words))


def find_sensitive(data: object) -> str | None:
    """The first name or text within parsed JSON that is on the list, or None."""
    if isinstance(data, str):
        return data if is_sensitive(data) else None
    if isinstance(data, Mapping):
        parts: list[object] = [each for pair in data.items() for each in pair]
    elif isinstance(data, list | tuple):
        parts = list(data)
    else:
        return None
    for part in parts:
        found = find_sensitive(part)
        if found is not None:
            return found
    return None
