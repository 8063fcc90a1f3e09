from __future__ import annotations

import pytest

from shared.records import AttributeSource
from shared.session import REFERRALS
from worker.context import LONGEST, read_context, referral_of

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148 Safari"
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/124.0 Mobile Safari/537.36"
GALAXY_TAB = "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/124.0 Safari/537.36"
IPAD = "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Version/12.1 Mobile/15E148 Safari"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"


def read(
    url: str = "https://shop.test/", sources: list[AttributeSource] | None = None, **headers: str
) -> dict[str, str]:
    by_name = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_context(url, by_name.get, sources or [])


def source(attribute: str, kind: str, name: str) -> AttributeSource:
    return AttributeSource(attribute=attribute, source=kind, name=name)


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (IPHONE, "mobile"),
        (ANDROID, "mobile"),
        (GALAXY_TAB, "tablet"),
        (IPAD, "tablet"),
        (LINUX, "desktop"),
        ("Opera/9.80 (S60; SymbOS; Opera Mobi/23.348; U; en)", "mobile"),
        ("curl/8.7.1", "desktop"),
        ("", "desktop"),
    ],
)
def test_the_device_is_what_the_user_agent_claims(user_agent: str, device: str) -> None:
    assert read(user_agent=user_agent)["device"] == device


def test_a_bare_request_has_a_path_and_a_device_only() -> None:
    assert read("https://shop.test") == {"path": "/", "device": "desktop"}


def test_the_path_is_that_of_the_url_without_its_query() -> None:
    assert read("https://shop.test/men/shoes?x=1#top")["path"] == "/men/shoes"


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de-ch"),
        ("en", "en"),
        (" fr ;q=1", "fr"),
        ("*", "*"),
        ("", None),
        (",de", None),
    ],
)
def test_the_language_is_the_first_preference(accept_language: str, language: str | None) -> None:
    assert read(accept_language=accept_language).get("language") == language


@pytest.mark.parametrize(
    ("referer", "referrer"),
    [
        ("https://www.Example.com/a?b=c", "www.example.com"),
        ("https://user:secret@example.com:8443/", "example.com"),
        ("about:blank", None),
        ("not a url", None),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_the_referrer_is_a_host_name_and_nothing_more(referer: str, referrer: str | None) -> None:
    assert read(referer=referer).get("referrer") == referrer


def test_configured_attributes_come_from_query_and_headers() -> None:
    sources = [source("plan", "query", "p"), source("country", "header", "cf-ipcountry"), source("gone", "query", "g")]
    attributes = read("https://shop.test/?p=gold%20card&p=second", sources, cf_ipcountry="DE")
    assert (attributes["plan"], attributes["country"]) == ("gold card", "DE")
    assert "gone" not in attributes


@pytest.mark.parametrize("query", ["?p=", "?p", "?", ""])
def test_an_empty_parameter_is_an_absent_attribute(query: str) -> None:
    assert "plan" not in read(f"https://shop.test/{query}", [source("plan", "query", "p")])


def test_long_values_are_cut() -> None:
    attributes = read(f"https://shop.test/?p={'x' * 5_000}", [source("plan", "query", "p")])
    assert attributes["plan"] == "x" * LONGEST


@pytest.mark.parametrize(("fields", "is_read"), [(100, True), (101, False), (50_000, False)])
def test_a_query_of_very_many_fields_is_left_alone(fields: int, is_read: bool) -> None:
    url = "https://shop.test/?p=gold" + "&a=1" * (fields - 1)
    assert ("plan" in read(url, [source("plan", "query", "p")])) is is_read


@pytest.mark.parametrize("query", ["?p=%ff%fe", "?p=%", "?p=%zz", "?p=%ud800", "?%00=p", "?&&&=&="])
def test_a_query_of_odd_bytes_gives_text_or_nothing(query: str) -> None:
    attributes = read(f"https://shop.test/{query}", [source("plan", "query", "p")])
    assert attributes.get("plan", "").encode("utf-8").decode("utf-8") == attributes.get("plan", "")


PAGE = "https://shop.test/men"


@pytest.mark.parametrize(
    ("url", "referrer", "referral"),
    [
        (PAGE, None, "direct"),
        (PAGE, "", "direct"),
        (PAGE, "https://shop.test/", "direct"),
        (PAGE, "not a url", "direct"),
        (PAGE, "http://[broken", "direct"),
        (PAGE, "https://www.google.com/", "search"),
        (PAGE, "https://www.google.co.uk/search?q=coats", "search"),
        (PAGE, "https://duckduckgo.com/", "search"),
        (PAGE, "https://search.yahoo.com/", "search"),
        (PAGE, "https://m.facebook.com/", "social"),
        (PAGE, "https://out.reddit.com/t3", "social"),
        (PAGE, "https://t.co/abc", "social"),
        (PAGE, "https://x.com/", "social"),
        (PAGE, "https://youtu.be/", "social"),
        (PAGE, "https://notgoogle.com/", "other"),
        (PAGE, "https://news.example.org/", "other"),
        (PAGE, "https://www.shop.test/", "other"),
        (PAGE, "https://netflix.com/", "other"),
        (f"{PAGE}?utm_source=news", "https://www.google.com/", "campaign"),
        (f"{PAGE}?utm_campaign=spring", None, "campaign"),
        (f"{PAGE}?gclid=abc", "https://www.google.com/", "campaign"),
        (f"{PAGE}?utm_source=", None, "direct"),
        (f"{PAGE}?utm_source=x&utm_medium=email", None, "email"),
        (f"{PAGE}?utm_medium=E-Mail", None, "email"),
        (f"{PAGE}?utm_medium=newsletter", "https://t.co/", "email"),
        (f"{PAGE}?utm_medium=cpc", None, "direct"),
        (f"{PAGE}?q=utm_source", None, "direct"),
        (f"{PAGE}?utm_source=x{'&a=1' * 99}", None, "campaign"),
        (f"{PAGE}?utm_source=x{'&a=1' * 100}", None, "direct"),
        (f"{PAGE}?utm_source=%ff", None, "campaign"),
    ],
)
def test_where_a_session_came_from(url: str, referrer: str | None, referral: str) -> None:
    assert referral_of(url, referrer) == referral
    assert referral in REFERRALS
