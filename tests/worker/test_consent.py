"""Who may be told apart, and what is removed from the browsers of those who may not."""

from __future__ import annotations

import pytest

from tests.asking import place, publish_hero
from worker.consent import forget_cookies, is_allowed

AGREED = {"cookie": "CookieConsent", "granted": "preferences:true"}


@pytest.mark.parametrize(
    ("gpc", "cookies", "allowed"),
    [
        ("", "", True),
        ("", "usher-optout=1", False),
        ("", "a=1; usher-optout=1; b=2", False),
        ("", "usher-optout=0", True),
        ("", "usher-optout=", True),
        ("", "not-usher-optout=1", True),
        ("1", "", False),
        ("0", "", True),
        ("1", "usher-optout=1", False),
    ],
)
def test_a_visitor_is_personalised_until_the_browser_or_its_owner_objects(
    gpc: str, cookies: str, allowed: bool
) -> None:
    header = publish_hero(place("a", "b")).header
    assert is_allowed(header, gpc, cookies) is allowed
    assert is_allowed(None, gpc, cookies) is allowed


def test_a_site_need_not_honour_global_privacy_control_but_an_opt_out() -> None:
    header = publish_hero(place("a", "b"), honour_gpc=False).header
    assert is_allowed(header, "1", "")
    assert not is_allowed(header, "1", "usher-optout=1")


@pytest.mark.parametrize(
    ("gpc", "cookies", "allowed"),
    [
        ("", "", False),
        ("", "CookieConsent=", False),
        ("", "CookieConsent={necessary:true,preferences:false}", False),
        ("", "CookieConsent={necessary:true,preferences:true}", True),
        ("", "a=1; CookieConsent=%7Bnecessary%3Atrue%2Cpreferences%3Atrue%7D", True),
        ("", "Other=preferences:true", False),
        ("", "CookieConsent=preferences:true; usher-optout=1", False),
        ("1", "CookieConsent=preferences:true", False),
    ],
)
def test_where_consent_is_required_nothing_happens_before_it_is_given(gpc: str, cookies: str, allowed: bool) -> None:
    header = publish_hero(place("a", "b"), consent=AGREED).header
    assert is_allowed(header, gpc, cookies) is allowed


def test_what_is_removed_is_what_the_browser_has_of_ours() -> None:
    assert forget_cookies("cart=7; theme=dark") is None
    removal = "; Path=/; Max-Age=0; Secure; SameSite=Lax"
    assert forget_cookies("cart=7; usher-left=x; __Host-usher=abc") == (f"__Host-usher={removal}\nusher-left={removal}")
    assert forget_cookies("usher-said=topic:coats") == f"usher-said={removal}"
