"""Regular expressions mean here what they mean to JavaScript, and take a bounded time."""

from __future__ import annotations

import re

import pytest

from shared.patterns import MAX_PATTERN_LENGTH, MAX_SUBJECT_LENGTH, compile_pattern
from shared.patterns.tree import NoPattern, UnsupportedPattern

# Pattern, texts in which it occurs, texts in which it does not; tried in V8.
MEANINGS: list[tuple[str, list[str], list[str]]] = [
    ("a$", ["a", "ba"], ["a\n", "a\nb"]),
    ("^a", ["ab"], ["\na", "ba"]),
    ("^.$", ["a", "\x85", "é"], ["", "\n", "\r", "\u2028", "\u2029", "😀"]),
    ("^..$", ["😀"], ["a"]),
    ("^[😀]{2}$", ["😀"], ["a"]),
    ("^[^]$", ["\n", "a"], [""]),
    ("[]", [], ["", "a", "]"]),
    ("^[]|b$", ["b"], ["a"]),
    (r"^\d\w$", ["1a", "2_"], ["٣a", "1é"]),
    (r"^\D\W$", ["٣é"], ["1a"]),
    (r"^\s+$", [" \t\n\v\f\r\xa0\u1680\u2003\u2028\u3000\ufeff"], ["\x1c", "\x85", "\u180e"]),
    (r"^\S$", ["\x85", "a"], [" "]),
    (r"^[\s\d-]+$", ["1 -\ufeff2"], ["a"]),
    (r"^[a-\d]+$", ["a-9"], ["b"]),
    (r"^[\d-a]+$", ["9-a"], ["b"]),
    (r"^[^\d]$", ["a"], ["1"]),
    ("^[[a]$", ["[", "a"], ["b"]),
    ("^[a-]$", ["a", "-"], ["b"]),
    ("^[$^.]$", ["$", "^", "."], ["a"]),
    (r"^[\b]$", ["\b"], ["b", ""]),
    (r"^[\]\-\\]+$", ["]-\\"], ["a"]),
    (r"^[\c_\cA\c]+$", ["\x1f\x01c\\"], ["_"]),
    (r"^[\1\60]+$", ["\x010"], ["1"]),
    (r"\bb\B", ["a bc"], ["ab", "a b"]),
    (r"^\B$", [""], ["a"]),
    (r"^(?<year>\d{4})-\d\d$", ["2026-11"], ["26-11"]),
    (r"^\/a/b[/]$", ["/a/b/"], ["a/b/"]),
    (r"^\u0041\x42\t$", ["AB\t"], ["AB"]),
    (r"^\u{3}\x4$", ["uuux4"], ["\x03"]),
    (r"^\cJ\c!$", ["\n\\c!"], ["J"]),
    (r"^\0\12\8\377$", ["\x00\n8\xff"], ["0"]),
    (r"^\Z\A\z\e\p{L}$", ["ZAzep{L}"], [""]),
    (r"^\k<n>$", ["k<n>"], [""]),
    ("^a{,3}$", ["a{,3}"], ["", "aaa"]),
    ("^a{2$", ["a{2"], ["aa"]),
    ("^}]$", ["}]"], [""]),
    ("^a{2}b{1,}c{0,2}?$", ["aab", "aabbcc"], ["ab", "aabccc"]),
    ("^(?:a?){3}$", ["", "aaa"], ["b"]),
    ("^(?:a?){1,}b$", ["b", "aaaab"], ["a"]),
    ("^(?:^|a){3}b$", ["aaab", "b"], ["aaaab"]),
    ("^a{1,99999999999999}$", ["aaa"], [""]),
    ("^a{99999999999999}$", [], ["aaa"]),
    ("^a{0}$", [""], ["a"]),
    ("^(?:ab){0}c$", ["c"], ["abc"]),
    ("^(ab){2,20}$", ["abab"], ["ab"]),
    ("^(a{2},?)+$", ["aa,aa"], ["aaa"]),
    ("^(ab|c)*?d$", ["abcd", "d"], ["abd "]),
    ("^(|a)b$", ["b", "ab"], ["aab"]),
    ("^(?:a?|b?){2}c$", ["abc", "c"], ["aaac"]),
    ("a(?=b)", ["ab"], ["ac"]),
    ("a(?!b)", ["ac", "a"], ["ab"]),
    ("(?=a)*b", ["b"], ["a"]),
    (r"^(?:\b)*(?:^)?(?:$){2}$", [""], ["a"]),
    (r"^[^\0-a]+$", ["b"], ["a"]),
    (r"^.*a[^\0]*b", ["xab"], ["xa\0b", "a"]),
    (r"^[^\uffff]*a[^\uffff]*b", ["xa\nb"], ["a\uffffb"]),
    ("(?<=a|b)c", ["ac"], ["c"]),
    (r"(?<!un)subscribe$", ["subscribe"], ["unsubscribe"]),
    ("^(?!.*bot).*chrome", ["a chrome"], ["a chrome bot"]),
    ("(?=^a)a|^b", ["a", "ba"], ["ca", "cb"]),
    ("(?=a)", ["a"], ["b"]),
    ("^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)k$", ["abcdefghijk"], [""]),
    (r"^\11$", ["\t"], ["11"]),
    ("", ["", "a"], []),
    ("a|", ["b"], []),
    # What is settled early must not lose a match.
    ("^.*a.*b$", ["xaxab", "ab"], ["a\nb", "ba"]),
    ("^[ab]*ab[^c]*d", ["ababcd"[:4] + "d", "abd"], ["abcd"]),
    ("^x.*a[^c]*d", ["xacad", "xad"], ["xacd", "ad"]),
    ("^.*a.{2,}b", ["aaxxb", "axab"], ["axb"]),
    ("^.*a$.*b?", ["xa"], ["ab"]),
    (r"^.*\bto\b.*go", ["auto to go"], ["auto go"]),
    ("^.{2}a.*b", ["xxab"], ["xab"]),
    (r"^\d*a\w*b", ["1ab"], ["1b"]),
    (".*sale.*", ["on sale now", "sale"], ["sa le"]),
    ("(a+)+", ["ba"], ["b"]),
    ("(a|a){1,3}(b*)*", ["a"], ["b"]),
    ("(.*)(x|y)(.*)", ["ax"], ["a"]),
]


@pytest.mark.parametrize(("pattern", "found", "missed"), MEANINGS)
def test_a_pattern_means_what_it_means_to_javascript(pattern: str, found: list[str], missed: list[str]) -> None:
    search = compile_pattern(pattern)
    assert [text for text in found if not search(text)] == []
    assert [text for text in missed if search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("^straße$", ["STRAßE"], ["STRASSE", "STRAẞE"]),
        ("^[a-z]k$", ["AK", "ak"], ["a\u212a", "\u212ak"]),
        ("^[^a]$", ["é", "b"], ["a", "A"]),
        (r"^É\W$", ["É!"], ["é!", "Éa"]),
        ("^[@-^]$", ["a", "^", "@"], ["_", "`"]),
        ("^[Kx]*x[^k]*y", ["xKxy", "xy"], ["xKy"]),
        ("^[a-c]*b[A-C]*d", ["abCbaD"], ["bed"]),
    ],
)
def test_case_is_a_matter_of_ascii(pattern: str, found: list[str], missed: list[str]) -> None:
    search = compile_pattern(pattern, insensitive=True)
    assert [text for text in found if not search(text)] == []
    assert [text for text in missed if search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "unterminated group"),
        (")", "unmatched ')'"),
        ("*a", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("a++", "nothing to repeat"),
        ("{2}", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        (r"\b+", "nothing to repeat"),
        ("(?<=a)+", "nothing to repeat"),
        ("a{3,2}", "numbers of a quantifier out of order"),
        ("[z-a]", "range out of order in a class"),
        ("[a", "unterminated class"),
        ("[a\\", r"\ at the end"),
        ("a\\", r"\ at the end"),
        ("(?P<n>a)", "there is no group (?P"),
        ("(?i)a", "there is no group (?i; for any case write $regexi"),
        ("(?>a)", "there is no group (?>"),
        ("(?", "there is no group (?"),
        ("(?<1>a)", "invalid or duplicate group name"),
        ("(?<n>a)(?<n>b)", "invalid or duplicate group name"),
        (r"(?<n>a)\k", "invalid reference to a named group"),
        (r"(?<n>a)\k<m>", "invalid reference to a named group"),
        (r"(?<n>a)[\k]", r"invalid escape \k"),
        (r"(a)\1(", "unterminated group"),
    ],
)
def test_what_javascript_would_not_take_is_no_pattern(pattern: str, problem: str) -> None:
    with pytest.raises(NoPattern, match=f"^{re.escape(problem)}$"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^/blog/.*$",
        r"^/blog",
        r"(iPhone|iPad)",
        r"(Mobile|Tablet).*Safari",
        r"\b(utm|gclid)=",
        r"^[^@]+@example\.com$",
        r"^[\w.+-]+@[\w-]+\.[\w.-]+$",
        r"^\d{3}-\d{4}$",
        r"-12-25$",
        r".*sale.*",
        r"shoes.*black.*sale",
        r"^https?://([a-z0-9-]+\.)+example\.com",
        r"^https?://.*\.example\.com/.*\?.*utm=",
        r"utm_source=.*&utm_medium=.*&utm_campaign=.*",
        r"Mozilla/5\.0 \(.*(iPhone|Android).*\) .*Safari",
        r"Chrome/(\d+)\.(\d+)\.\d+\.\d+",
        r"^(\d{1,3}\.){3}\d{1,3}$",
        r"[?&]ref=[^&]*newsletter",
        r"^/([a-z]{2}/)?blog/\d{4}/\d{2}/[\w-]+/?$",
        r"/products/\d+(/reviews)?$",
        r"^(www\.)?[a-z]+\.(com|net|org)(/.*)?$",
        r"^\+?[\d\s()-]{7,20}$",
        r"^(\w+\s)*\w+$",
        r"^([A-Z][a-z]+ ?)+$",
        r"^(de|en|fr)(-[A-Z]{2})?$",
        r"\.(jpe?g|png|gif)$",
        r"^.{0,50}foo",
        r"^(?!/admin)(?!/api).*\.html$",
        r"^(([a-z]+|\d+)-)*x$",
        r"^(foo|fob|bar)+$",
        r"^(abc){1,400}d$",
        r"^.{1,1000}x",
        r"^\w{2,9}\d$",
        r"^\w{2,9}@$",
        r"^[а-я]+ [а-я]+$",
    ],
)
def test_what_sites_write_is_taken(pattern: str) -> None:
    compile_pattern(pattern)


def test_a_pattern_may_have_one_way_by_case_and_several_without() -> None:
    compile_pattern("^([A-Z][a-z]+)+$")
    with pytest.raises(UnsupportedPattern):
        compile_pattern("^([A-Z][a-z]+)+$", insensitive=True)
    compile_pattern("(iphone|android).*mobile", insensitive=True)


EXPONENTIAL = [
    "^(a+)+$",
    "x(a*)*$",
    "^(a|a)*$",
    "^(a|aa)+$",
    "^(a|b|ab)*c$",
    "^(.*a){20}",
    "^(.*.*)+x",
    r"^(\w+\s?)+$",
    r"^([a-z]+)*\d",
    r"^(\d+)*-",
    "^(x+x+)+y",
    "^(a|a){20}b",
    "^(?:a?b?)*c",
    "^((ab)*|(ab)*)*c",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "x(?=(a+)+$)",
    "^(a{1,3})+$",
    "^(a|A)+$",
    "^([a-z]|[^\\d])*1",
    "^(é|[à-ü])+$",
]


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_pattern_that_can_take_exponentially_long_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern, match="can take exponentially long, since .*; write it so that"):
        compile_pattern(pattern, insensitive=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "^.*.*.*.*x",
        r"x\d*\w*[a-z]*!",
        r"^(.{1,9}){1,12}x",
        "^(.*,){10}x",
        "^(a?){12}a?a?a?a?a?a?a?a?a?a?b",
        "^(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)b",
        "^(?!.*a.*b.*[^c]*d).*.*x",
        "^" + "(a|a|a|a)" * 50,
        "^" + "(a|a|a|a|a|a|a|a)" * 20 + "b",
    ],
)
def test_a_pattern_with_too_many_ways_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern, match="^too many of its repetitions can share the same text"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(a)\1", r"`\1` refers back to what a group matched, which can take exponentially long; write the text out"),
        (
            r"(?<n>a)\k<n>",
            r"`\k<n>` refers back to what a group matched, which can take exponentially long; write the text out",
        ),
        ("(?<=a+)b", "`(?<=a+)` looks behind over a varying length; give each of its branches one length"),
        ("x((?=a)a)*y", "`(?=a)` looks around within a repetition; move it out of the repetition"),
        (r"^(?:\b|a){30}x", r"`(?:\b|a){30}` repeats what may be empty; write `*` or `+` for the count"),
        ("(" * 50 + ")" * 50, "its groups nest deeper than 40 levels; write it flatter"),
        ("^" + "(?:(?:abcdefgh){12}x){12}y", "more than 500 characters with its counts written out; shorten it"),
        ("x" * (MAX_PATTERN_LENGTH + 1), "501 characters; at most 500 are allowed"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_a_remedy(pattern: str, problem: str) -> None:
    with pytest.raises(UnsupportedPattern, match=f"^{re.escape(problem)}$"):
        compile_pattern(pattern)


def test_two_ways_that_never_meet_again_are_no_danger_however_many() -> None:
    words = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    search = compile_pattern(f"^({'|'.join(words)})+$")
    assert search("akblcm")
    assert not search("akblcx")


def test_the_more_ways_a_pattern_has_the_less_of_a_text_it_sees() -> None:
    def seen(pattern: str) -> int:
        search = compile_pattern(pattern)
        return max(length for length in (200, 500, 1_000, MAX_SUBJECT_LENGTH) if search("a" * (length - 1) + "z"))

    patterns = ["z", "^[^z]+z", "^.*z", "^a.*.z", "[ab]+[a-y]z", "[ab]+[^b]+.?z"]
    lengths = [seen(pattern) for pattern in patterns]
    assert lengths == sorted(lengths, reverse=True)
    assert (lengths[0], lengths[-1]) == (MAX_SUBJECT_LENGTH, 200)
    assert not compile_pattern("z")("a" * MAX_SUBJECT_LENGTH + "z")
