"""Regular expressions mean here what they mean to JavaScript, and take a bounded time."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from shared.javascript import to_utf16
from shared.patterns import MAX_PATTERN_LENGTH, MAX_SUBJECT_LENGTH, compile_pattern
from shared.patterns.compiled import MAX_STEPS
from shared.patterns.cost import bound_steps
from shared.patterns.rewriting import is_anchored, rewrite
from shared.patterns.simulation import MAX_KEPT, Simulation
from shared.patterns.syntax import read_pattern
from shared.patterns.tree import NoPattern, UnsupportedPattern

Engine = Callable[..., Callable[[str], bool]]


def simulate(pattern: str, *, insensitive: bool = False) -> Callable[[str], bool]:
    """A pattern by simulation alone, which compile_pattern chooses where `re` might take long."""
    tree = rewrite(read_pattern(to_utf16(pattern)), insensitive=insensitive)
    simulation = Simulation(tree, anchored=is_anchored(tree))
    return lambda text: simulation.finds(to_utf16(text))


# A millisecond is some ten thousand lines; the worst pattern that a search found takes 300,000.
MAX_LINES = 400_000

both = pytest.mark.parametrize("compile_one", [compile_pattern, simulate], ids=["compiled", "simulated"])

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
    # Counts are written out for the simulation.
    ("^(?:a|bc){2,4}$", ["abc", "bcbcbcbc"], ["a", "aaaaa"]),
    ("^(?:a{2}|b){3,}$", ["aabaa", "bbbb"], ["aab", "aba"]),
    ("^(?:(?:ab){1,2}c){2}$", ["ababcabc"], ["abcababab", "abc"]),
    ("(?:[ab][cd]){3}e", ["acbdace"], ["acbdae"]),
    # A place may be tested any number of times, in a row and within repetitions.
    (r"^(?:\bno\b ?)+$", ["no no"], ["nono"]),
    (r"^(?:\b|x)+y$", ["xxy", "y"], ["ay"]),
    (r"^(?:^|,|$)*$", ["", ",,"], ["a"]),
    (r"a\b\B", [], ["a", "a b"]),
    (r"(?=\bgo)(?!got)go", ["to go"], ["ago", "got"]),
    ("^((?!foo).)*$", ["", "fob", "fofo"], ["foo", "a foo b"]),
    ("^(?:(?=a|b)[^b])+$", ["aa"], ["ab", "c"]),
    ("x((?=a)a)*y", ["xaay", "xy"], ["xay b"[:2]]),
    ("(?<=a+)b", ["aab"], ["b"]),
    ("(?<!a+|c)b", ["b", "xb"], ["ab", "cb"]),
    ("(?<=^(?:ab)*)c", ["c", "ababc"], ["abac"]),
    ("(?<=a(?=bc)b)c", ["abc"], ["bc"]),
    ("a(?=b(?!c$))", ["abd", "abcd"], ["abc", "ac"]),
    ("(?=(?:ab)*c$)a", ["ababc"], ["abab"]),
]


@both
@pytest.mark.parametrize(("pattern", "found", "missed"), MEANINGS)
def test_a_pattern_means_what_it_means_to_javascript(
    compile_one: Engine, pattern: str, found: list[str], missed: list[str]
) -> None:
    search = compile_one(pattern)
    assert [text for text in found if not search(text)] == []
    assert [text for text in missed if search(text)] == []


@both
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
def test_case_is_a_matter_of_ascii(compile_one: Engine, pattern: str, found: list[str], missed: list[str]) -> None:
    search = compile_one(pattern, insensitive=True)
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


# Patterns as sites write them, or may come to.
TAKEN = [
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
    r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$",
    r"^(([a-z]+|\d+)-)*x$",
    r"^(foo|fob|bar)+$",
    r"^(abc){1,400}d$",
    r"^.{1,1000}x",
    r"^\w{2,9}\d$",
    r"^[а-я]+ [а-я]+$",
    "^.*.*.*.*x",
    r"x\d*\w*[a-z]*!",
    r"^(.{1,9}){1,12}x",
    "^(.*,){10}x",
    "^(a?){12}a?a?a?a?a?a?a?a?a?a?b",
    "^(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)(|a|)b",
    "^(?!.*a.*b.*[^c]*d).*.*x",
    "^" + "(a|a|a|a)" * 50,
    "^" + "(a|a|a|a|a|a|a|a)" * 20 + "b",
    # Each takes a backtracking matcher exponentially long.
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
    "^([a-z]|[^\\d])*1",
    "^(é|[à-ü])+$",
    r"^(?:\b|a){8}x",
]
# Texts that such patterns nearly match, again and again.
HOSTILE = ["a", "ab", "ab ", "aA1", "1.", "x", "/a", "a@b.", "https://a.", "utm_source=&", "iPhone ", "é", "\n", "a,"]


@pytest.mark.parametrize("pattern", TAKEN)
def test_what_is_taken_answers_alike_for_a_text_of_any_length(pattern: str) -> None:
    compiled, simulated = compile_pattern(pattern), simulate(pattern)
    for piece in HOSTILE:
        for length in (40, 251, 1_100, MAX_SUBJECT_LENGTH):
            text = (piece * length)[:length]
            for last in ("", "!", "x", "b", "1"):
                whole = text[: length - len(last)] + last
                assert compiled(whole) is simulated(whole), (piece, length, last)


def count_lines(function: Callable[[], object]) -> int:
    """The lines of Python that a call runs: its time, in a unit that no machine changes."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("pattern", TAKEN)
def test_a_search_takes_time_in_proportion_to_the_text_where_no_bound_is_known(pattern: str) -> None:
    tree = rewrite(read_pattern(pattern), insensitive=False)
    is_bounded = bound_steps(tree, MAX_SUBJECT_LENGTH, anchored=is_anchored(tree)) <= MAX_STEPS
    search, text = compile_pattern(pattern), "a" * (MAX_SUBJECT_LENGTH - 1) + "!"
    # Python's `re` runs no line of Python.
    assert count_lines(partial(search, text)) <= (20 if is_bounded else 30 * MAX_SUBJECT_LENGTH)


def test_what_backtracking_would_never_end_is_answered() -> None:
    assert compile_pattern("^(a+)+$")("a" * MAX_SUBJECT_LENGTH)
    assert not compile_pattern("^(a+)+$")("a" * 1_999 + "!")
    assert compile_pattern(r"^(\w+\s?)+$")("some words " * 150)
    assert not compile_pattern("(x+x+)+y")("x" * MAX_SUBJECT_LENGTH)


@pytest.mark.parametrize("pattern", ["z", "^[^z]+z", "^.*z", "^a.*.z", "[ab]+[a-y]z", "[ab]+[^b]+.?z", "^(a+)+z"])
def test_every_pattern_sees_the_same_two_thousand_characters(pattern: str) -> None:
    search = compile_pattern(pattern)
    for length in (2, 199, 200, 201, 499, 500, 501, 1_000, 1_001, MAX_SUBJECT_LENGTH - 1):
        assert search("a" * length + "z"), length
    assert not search("a" * MAX_SUBJECT_LENGTH + "z")
    assert compile_pattern("a$")("a" * MAX_SUBJECT_LENGTH + "z")


USER_AGENT = (
    "Mozilla/5.0 (Linux; Android 14; sdk_gphone64 Build/UE1A.230829.050; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/126.0.6478.71 Shop/8.1.2 (channel=play; locale=de_DE; network=wifi; dark=1; tablet=0; "
    "notifications=granted; scale=2.75; density=440) Mobile Safari/537.36"
)
ADDRESS = (
    "https://shop.example/coats?utm_source=newsletter&utm_medium=email&utm_campaign=autumn-2026-returning-customers"
    "&utm_content=hero-variant-b&utm_term=wool%20coats%20for%20tall%20people&session=8f14e45fceea167a5a36dedd4bea2543"
    "&referrer=https%3A%2F%2Fmail.example%2Finbox%2F4711&id=42"
)


@pytest.mark.parametrize(
    ("pattern", "text", "needed"),
    [
        ("(iPhone|iPad|Android).*Safari", USER_AGENT, "Safari"),
        (r"Mozilla/5\.0 \(.*Android.*\) .*Safari", USER_AGENT, "Android"),
        (r"Chrome/(\d+)\.(\d+).*Mobile.*Safari/\d+\.\d+$", USER_AGENT, "Mobile"),
        (r"\?.*&id=\d+", ADDRESS, "42"),
        (r"^https?://([a-z0-9-]+\.)+[a-z]+/.*[?&]id=\d+$", ADDRESS, "&id"),
        (r"[?&]utm_source=.*&utm_medium=.*&id=", ADDRESS, "medium"),
        (r"^[^@]+@[^@]+\.[a-z]+$", "x" * 400 + "@mail.example." + "y" * 400, "@"),
        (".*foo.*bar.*baz.*", "foo" + "." * 600 + "bar" + "." * 600 + "baz", "bar"),
    ],
)
def test_user_agents_and_addresses_are_seen_whole(pattern: str, text: str, needed: str) -> None:
    search = compile_pattern(pattern)
    assert len(text) > 250
    assert search(text)
    assert not search(text.replace(needed, ""))


def test_a_simulation_that_forgets_what_it_knew_goes_on() -> None:
    search = simulate("^(?:[^!]{2})*!")
    letters = "".join(chr(0x4E00 + i) for i in range(MAX_KEPT + 300))
    assert search(letters + "!")
    assert not search(letters + "?!")
    # Marks of a look around, too.
    assert simulate("^(?:(?!.!)[^!])*.!")(letters + "!")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(a)\1", r"`\1` refers back to what a group matched, which can take exponentially long; write the text out"),
        (
            r"(?<n>a)\k<n>",
            r"`\k<n>` refers back to what a group matched, which can take exponentially long; write the text out",
        ),
        ("(" * 50 + ")" * 50, "its groups nest deeper than 40 levels; write it flatter"),
        (
            "^(?:(?:abcdefgh|ab){12}x){30}y",
            "3632 characters with its counts written out, at most 2100 are allowed; lower the counts, or write `*` or "
            "`+` for them",
        ),
        (
            "^((a?){0,40}){0,40}b",
            "so many alternatives, counts and looks around can apply to the same character that it takes too long; "
            "use fewer",
        ),
        ("x" * (MAX_PATTERN_LENGTH + 1), "501 characters; at most 500 are allowed"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_a_remedy(pattern: str, problem: str) -> None:
    with pytest.raises(UnsupportedPattern, match=f"^{re.escape(problem)}$"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^((a?){0,12}){0,12}b",
        r"^((\d?\w?){0,12}){0,12}x",
        r"^(?:(?:.?|\s){0,8}.?){0,8}x",
        "^((a|b|c?){0,12}a{0,300}){0,12}b",
        r"^(?:(?:.{0,300}|\s){0,12}.{0,300}){0,12}\w",
        "^" + "(?:" * 12 + r"\b" + "){12}" * 12 + "x",
        "^" + "(?:" * 12 + "a||||||||||||||||" + "){12}" * 12 + "x",
        "^(?:" + "(?:" * 20 + "a" + ")+" * 20 + "){1900}b",
        r"\W" * 250,
        "[ÿ-翿]" * 100,
        "." * 500,
        "a?" * 250,
        "|a" * 250,
        "(?=a)" * 100,
        "(?=.{0,999})" * 40 + "b",
    ],
)
def test_the_time_to_compile_a_pattern_is_bounded(pattern: str) -> None:
    def compile_or_refuse() -> None:
        try:
            compile_pattern.__wrapped__(pattern, insensitive=True)
        except UnsupportedPattern:
            return

    re.purge()
    assert count_lines(compile_or_refuse) <= MAX_LINES


def test_classes_that_take_long_to_compile_are_simulated() -> None:
    search = compile_pattern("^" + "[ÿ-翿]" * 4 + "$")
    assert search("ÿ一翿ł")
    assert not search("ÿ一翿é")


def test_many_words_are_no_danger() -> None:
    words = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    search = compile_pattern(f"^({'|'.join(words)})+$")
    assert search("akblcm")
    assert not search("akblcx")
