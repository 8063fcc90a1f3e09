"""Elementary functions that agree to the last bit wherever IEEE 754 doubles do.

The C libraries under CPython (glibc) and Pyodide (musl) round `log`, `exp` and `erf` differently, so a decision made
at the edge could not be replayed at the origin. Everything here is built from +, −, ×, ÷, `math.sqrt` and comparison,
which the standard fixes, and from `math.frexp` and `math.ldexp`, which only take an exponent apart and are exact.
"""

from __future__ import annotations

from math import frexp, ldexp
from typing import Final

SQRT_HALF: Final = 0.7071067811865476
LN2_HIGH: Final = 6.93147180369123816490e-01  # the leading 33 bits of ln 2: k × LN2_HIGH is exact for |k| < 2^20
LN2_LOW: Final = 1.90821492927058770002e-10
INVERSE_LN2: Final = 1.4426950408889634
INVERSE_SQRT_2PI: Final = 0.3989422804014327
EXP_UNDERFLOW: Final = -745.2
EXP_OVERFLOW: Final = 709.782712893384

# 1/(2k+1), highest first: the series ln((1+s)/(1−s)) = 2 (s + s³/3 + s⁵/5 + …)
_LN_SERIES: Final = tuple(1.0 / (2 * k + 1) for k in range(12, 0, -1))
# 1/k!, highest first: the Taylor series of exp on |r| ≤ ln(2)/2
_EXP_SERIES: Final = (
    1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0,
)  # fmt: skip


def ln(x: float) -> float:
    """Natural logarithm of x > 0, within 3 units in the last place.

    Raises ValueError for x ≤ 0 and for values that are not finite.
    """
    if not 0.0 < x < float("inf"):
        raise ValueError(f"ln is defined for finite x > 0, got {x!r}")
    mantissa, exponent = frexp(x)
    if mantissa < SQRT_HALF:
        mantissa += mantissa
        exponent -= 1
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = 0.0
    for coefficient in _LN_SERIES:
        series = (series + coefficient) * square
    return exponent * LN2_HIGH + (exponent * LN2_LOW + 2.0 * s * (1.0 + series))


def exp(x: float) -> float:
    """Exponential of x, within 2 units in the last place; 0 below the smallest double.

    Raises OverflowError above the largest double and ValueError for not-a-number.
    """
    if x != x:
        raise ValueError("exp is not defined for NaN")
    if x < EXP_UNDERFLOW:
        return 0.0
    if x > EXP_OVERFLOW:
        raise OverflowError(f"exp({x!r}) exceeds the largest double")
    k = int(x * INVERSE_LN2 + (0.5 if x >= 0.0 else -0.5))
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    series = 0.0
    for coefficient in _EXP_SERIES:
        series = series * r + coefficient
    return ldexp(series, k)


def normal_density(z: float) -> float:
    """Density of the standard normal distribution at z."""
    return INVERSE_SQRT_2PI * exp(-0.5 * z * z)


def normal_cdf(z: float) -> float:
    """Distribution function of the standard normal at z, absolute error below 1e-15 · 4.

    For |z| < 5 the series Φ(z) = ½ + φ(z)(z + z³/3 + z⁵/(3·5) + …) (Marsaglia, Evaluating the normal distribution,
    J. Stat. Software 11(4), 2004), whose terms are all of one sign; beyond, Laplace's continued fraction of the
    Mills ratio, (1 − Φ(z)) / φ(z) = 1/(z + 1/(z + 2/(z + 3/(z + …)))).
    """
    size = z if z >= 0.0 else -z
    if size > 38.5:
        return 1.0 if z > 0.0 else 0.0
    if size < 5.0:
        term = total = size
        square = size * size
        divisor = 1.0
        previous = -1.0
        while total != previous:
            previous = total
            divisor += 2.0
            term = term * square / divisor
            total += term
        tail = max(0.5 - total * normal_density(size), 0.0)
    else:
        ratio = size
        for k in range(40, 0, -1):
            ratio = size + k / ratio
        tail = normal_density(size) / ratio
    return 1.0 - tail if z >= 0.0 else tail
