from __future__ import annotations

import hashlib
from fractions import Fraction

import pytest
from scipy import stats

from shared.uniform import uniform, uniforms


def by_definition(parts: list[str]) -> Fraction:
    """The first 52 bits (13 hexadecimal digits) of the hash, plus a half, over 2^52, in exact arithmetic."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8")).hexdigest()
    return (int(digest[:13], 16) + Fraction(1, 2)) / Fraction(2**52)


@pytest.mark.parametrize(
    "parts", [[""], ["a"], ["a", "b"], ["shop", "holdout", "v-17"], ["grüße", "日本", "🙂"], ["", ""]]
)
def test_uniform_is_exactly_the_first_52_bits_of_the_hash(parts: list[str]) -> None:
    assert Fraction(uniform(*parts)) == by_definition(parts)


@pytest.mark.parametrize("parts", [["a"], ["shop", "hero", "session 1", "v-17", ""], ["grüße", "\ud800"], [""]])
def test_uniforms_are_those_of_the_words_one_by_one(parts: list[str]) -> None:
    last = ["", "wide", "größer", "🙂", *map(str, range(500))]
    prefix = "".join(f"{part}\x1f" for part in parts).encode("utf-8", "surrogatepass")
    assert uniforms(prefix, [each.encode() for each in last]) == [uniform(*parts, each) for each in last]


def test_uniforms_of_no_suffix_are_none() -> None:
    assert uniforms(b"a", []) == []


def test_uniform_tells_apart_parts_that_join_to_the_same_text() -> None:
    assert len({uniform("ab", "c"), uniform("a", "bc"), uniform("abc"), uniform("c", "ab")}) == 4


def test_uniform_accepts_a_lone_surrogate() -> None:
    assert 0.0 < uniform("\ud800") < 1.0


def test_uniform_is_uniform_by_a_kolmogorov_smirnov_test() -> None:
    drawn = [uniform("salt", str(k)) for k in range(20_000)]
    assert min(drawn) > 0.0
    assert max(drawn) < 1.0
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4


def test_uniforms_of_neighbouring_salts_do_not_correlate() -> None:
    n = 20_000
    first = [uniform("a", str(k)) for k in range(n)]
    second = [uniform("b", str(k)) for k in range(n)]
    # Under independence the correlation has a standard deviation of 1/√n.
    assert abs(stats.pearsonr(first, second).statistic) < 4.0 / n**0.5
