from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from shared.signing import read_keys, sign, verify

OLD = "old:0123456789abcdef"
NEW = "new:fedcba9876543210"
KEYS = read_keys(OLD)


@pytest.mark.parametrize("text", ["", "plain", "with.dots.inside", "grüße 🙂", "a\x1fb", "x" * 4_000])
def test_what_was_signed_verifies_to_its_text(text: str) -> None:
    assert verify(KEYS, "visitor", sign(KEYS, "visitor", text)) == text


def test_the_signature_is_the_first_128_bits_of_the_hmac_over_purpose_and_text() -> None:
    mac = hmac.new(b"0123456789abcdef", b"visitor\x1fhello", hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(mac[:16]).decode().rstrip("=")
    assert sign(KEYS, "visitor", "hello") == f"old.hello.{expected}"


def test_a_value_signed_by_the_old_key_verifies_after_rotation_and_new_ones_use_the_new_key() -> None:
    rotated = read_keys(f"{NEW},{OLD}")
    assert verify(rotated, "visitor", sign(KEYS, "visitor", "hello")) == "hello"
    assert sign(rotated, "visitor", "hello").startswith("new.")


def test_a_value_signed_by_a_key_that_was_dropped_no_longer_verifies() -> None:
    assert verify(read_keys(NEW), "visitor", sign(KEYS, "visitor", "hello")) is None


def test_a_key_of_the_same_id_and_another_secret_does_not_verify() -> None:
    assert verify(read_keys("old:another-secret-16"), "visitor", sign(KEYS, "visitor", "hello")) is None


def test_a_signature_is_bound_to_its_purpose() -> None:
    assert verify(KEYS, "preview", sign(KEYS, "visitor", "hello")) is None


def test_changing_any_single_character_breaks_the_signature() -> None:
    signed = sign(KEYS, "visitor", "1!abc!def!5!6")
    for at, character in enumerate(signed):
        changed = signed[:at] + ("A" if character != "A" else "B") + signed[at + 1 :]
        assert verify(KEYS, "visitor", changed) is None, changed


@pytest.mark.parametrize(
    "value", ["", ".", "..", "old", "old.", "old.hello", "old.hello.", "old..", ".hello.x", "none.hello.x", "old.a.ü"]
)
def test_what_is_not_of_the_form_does_not_verify(value: str) -> None:
    assert verify(KEYS, "visitor", value) is None


def test_keys_are_read_in_order_with_spaces_around_them_ignored() -> None:
    keys = read_keys(f" {NEW} , {OLD} ")
    assert dict(keys) == {"new": b"fedcba9876543210", "old": b"0123456789abcdef"}
    assert list(keys) == ["new", "old"]


def test_a_secret_may_hold_colons() -> None:
    assert read_keys("k:0123:5678:abcd:ef")["k"] == b"0123:5678:abcd:ef"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("secret-without-an-id", 1),
        (":0123456789abcdef", 1),
        ("k:too-short", 1),
        ("bad-id:0123456789abcdef", 1),
        ("schlüssel:0123456789abcdef", 1),
        (f"{OLD},", 2),
        (f"{OLD},k:short", 2),
    ],
)
def test_keys_of_another_form_are_refused_without_repeating_the_secret(text: str, position: int) -> None:
    with pytest.raises(ValueError) as raised:
        read_keys(text)
    expected = f"key {position} must read id:secret, the id of ASCII letters and digits, the secret of 16 or more"
    assert str(raised.value) == expected


def test_two_keys_of_one_id_are_refused_before_one_shadows_the_other() -> None:
    with pytest.raises(ValueError, match="^key 2 has the id of an earlier one$"):
        read_keys("a:0123456789abcdef,a:fedcba9876543210")
