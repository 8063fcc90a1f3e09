from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from scipy import special

from shared.numbers import exp, ln, normal_cdf, normal_density

RANDOM = random.Random(20_240_601)
SUBNORMAL = 5e-324
LARGEST = 1.7976931348623157e308


def ulps(got: float, exact: Decimal) -> float:
    """The distance from the exact value in units in the last place of the nearest double."""
    with localcontext() as context:
        context.prec = 45
        return float(abs(Decimal(got) - exact) / Decimal(math.ulp(float(exact))))


def exact_ln(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 45
        return Decimal(x).ln()


def exact_exp(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 45
        return Decimal(x).exp()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([RANDOM.uniform(0.5, 1.5) for _ in range(1_500)], id="around one"),
        pytest.param([1.0 + 2.0**-k for k in range(1, 53)] + [1.0 - 2.0**-k for k in range(1, 54)], id="next to one"),
        pytest.param([math.exp(RANDOM.uniform(-700.0, 700.0)) for _ in range(1_500)], id="all magnitudes"),
        pytest.param([0.7071067811865475, 0.7071067811865476, 0.7071067811865477], id="where the mantissa is split"),
        pytest.param([SUBNORMAL, 3e-310, 2.2250738585072014e-308, LARGEST], id="ends of the doubles"),
    ],
)
def test_ln_is_within_three_units_in_the_last_place(arguments: list[float]) -> None:
    assert max(ulps(ln(x), exact_ln(x)) for x in arguments) <= 3.0


def test_ln_of_one_is_exactly_zero() -> None:
    assert ln(1.0) == 0.0


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, math.inf, -math.inf, math.nan])
def test_ln_refuses_what_has_no_finite_logarithm(x: float) -> None:
    with pytest.raises(ValueError, match="ln is defined for finite x > 0"):
        ln(x)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([RANDOM.uniform(-1.0, 1.0) for _ in range(1_500)], id="small"),
        pytest.param([RANDOM.uniform(-708.0, 709.78) for _ in range(1_500)], id="normal results"),
        pytest.param([k * math.log(2.0) / 2.0 for k in range(-2_000, 2_000, 7)], id="where the exponent changes"),
        pytest.param([0.0, -0.0, 1e-300, -1e-17, 709.78], id="ends"),
    ],
)
def test_exp_is_within_two_units_in_the_last_place(arguments: list[float]) -> None:
    assert max(ulps(exp(x), exact_exp(x)) for x in arguments) <= 2.0


@pytest.mark.parametrize("x", [-708.5, -720.0, -740.25, -744.4])
def test_exp_of_a_subnormal_result_is_within_two_steps_of_the_subnormal_grid(x: float) -> None:
    assert abs(exp(x) - math.exp(x)) <= 2.0 * SUBNORMAL


def test_exp_below_the_smallest_double_is_zero() -> None:
    assert exp(-745.3) == 0.0
    assert exp(-math.inf) == 0.0


@pytest.mark.parametrize("x", [709.79, 1e6, math.inf])
def test_exp_above_the_largest_double_overflows(x: float) -> None:
    with pytest.raises(OverflowError, match="exceeds the largest double"):
        exp(x)


def test_exp_of_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="exp is not defined for NaN"):
        exp(math.nan)


def test_ln_undoes_exp_within_the_error_of_both() -> None:
    for _ in range(500):
        x = RANDOM.uniform(-600.0, 600.0)
        # exp is off by 2 ulp, which ln turns into an absolute 2^-51, plus 3 ulp of its own result.
        assert abs(ln(exp(x)) - x) <= 2.0**-51 + 3.0 * math.ulp(x)


@pytest.mark.parametrize("z", [0.0, 0.5, -0.5, 1.0, -3.0, 8.0, -20.0])
def test_normal_density_matches_its_formula(z: float) -> None:
    # The relative error of exp(-z²/2) is that of its argument: half an ulp of z²/2 twice, plus 2 ulp of exp.
    relative = 1e-15 + z * z * 2.0**-53
    assert normal_density(z) == pytest.approx(math.exp(-z * z / 2) / math.sqrt(2 * math.pi), rel=relative)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([k / 997.0 for k in range(-5_200, 5_200)], id="series and its ends"),
        pytest.param([k / 13.0 for k in range(-520, 520)], id="all of the line"),
        pytest.param([4.999999999999999, 5.0, 5.000000000000001, -4.999999999999999, -5.0], id="where methods meet"),
    ],
)
def test_normal_cdf_is_within_four_thousand_billionths_of_a_billionth(arguments: list[float]) -> None:
    assert max(abs(normal_cdf(z) - float(special.ndtr(z))) for z in arguments) < 4e-15


@pytest.mark.parametrize("z", [-5.0, -6.5, -10.0, -20.0, -30.0, -37.0])
def test_normal_cdf_keeps_its_relative_accuracy_in_the_lower_tail(z: float) -> None:
    # Limited by exp(-z²/2), whose argument is rounded: up to z²/2 · 2^-52 relative.
    assert normal_cdf(z) == pytest.approx(float(special.ndtr(z)), rel=1e-13 + z * z * 2.0**-52, abs=0.0)


@pytest.mark.parametrize("z", [0.25, 1.0, 4.9, 5.1, 20.0])
def test_normal_cdf_of_both_signs_sums_to_one(z: float) -> None:
    assert normal_cdf(z) + normal_cdf(-z) == pytest.approx(1.0, abs=1e-15)


def test_normal_cdf_reaches_its_limits_and_its_middle_exactly() -> None:
    assert normal_cdf(0.0) == 0.5
    assert (normal_cdf(40.0), normal_cdf(math.inf)) == (1.0, 1.0)
    assert (normal_cdf(-40.0), normal_cdf(-math.inf)) == (0.0, 0.0)


def test_normal_cdf_stays_within_zero_and_one_and_never_falls_by_more_than_its_error() -> None:
    values = [normal_cdf(k / 500.0) for k in range(-20_000, 20_001)]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert all(after >= before - 4e-15 for before, after in pairwise(values))
