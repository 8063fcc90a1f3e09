"""Polynomials over the basis n^e / e!, as coefficients by rising exponent.

In this basis the sum of a polynomial over all shorter lengths moves every coefficient up by one.
"""

from __future__ import annotations

Polynomial = tuple[float, ...]


def evaluate(steps: Polynomial, length: int) -> float:
    """The value of such a polynomial at a length."""
    value, term = 0.0, 1.0
    for exponent, coefficient in enumerate(steps):
        if exponent:
            term = term * length / exponent
        value += coefficient * term
    return value


def add(left: Polynomial, right: Polynomial) -> Polynomial:
    """The sum of two."""
    longest = max(len(left), len(right))
    padded = [(*each, *(0.0,) * (longest - len(each))) for each in (left, right)]
    return tuple([a + b for a, b in zip(*padded, strict=True)])


def highest(polynomials: list[Polynomial]) -> Polynomial:
    """The largest coefficients of any: no smaller than any of them at any length."""
    longest = max([len(each) for each in polynomials], default=0)
    return tuple([max([each[e] for each in polynomials if e < len(each)]) for e in range(longest)])


def times(polynomial: Polynomial, factor: float) -> Polynomial:
    """The polynomial, so many times."""
    return tuple([each * factor for each in polynomial])
