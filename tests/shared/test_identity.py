from __future__ import annotations

import hashlib
import hmac

import pytest

from shared.identity import hash_user, is_signed, read_user_key, sign_user
from shared.signing import read_keys

OLD = "old:0123456789abcdef"
NEW = "new:fedcba9876543210"
KEYS = read_keys(OLD)
KEY = b"a-key-for-user-ids"


@pytest.mark.parametrize("user", ["", "42", "anna@example.com", "grüße 🙂", "a\x1fb", "x" * 4_000])
def test_a_hash_is_the_first_128_bits_of_the_hmac_in_hex(user: str) -> None:
    assert hash_user(KEY, user) == hmac.new(KEY, user.encode(), hashlib.sha256).hexdigest()[:32]


def test_another_key_another_hash() -> None:
    assert hash_user(KEY, "42") != hash_user(KEY + b"x", "42")


def test_ids_are_taken_as_they_are() -> None:
    assert len({hash_user(KEY, user) for user in ("anna", "Anna", " anna", "anna ")}) == 4


def test_a_lone_surrogate_is_hashed_and_not_an_error() -> None:
    assert len(hash_user(KEY, "\ud800")) == 32


def test_a_signature_is_the_key_id_and_the_hmac_of_the_user_id_in_hex() -> None:
    mac = hmac.new(b"0123456789abcdef", b"42", hashlib.sha256).hexdigest()
    assert sign_user(KEYS, "42") == f"old.{mac}"
    assert is_signed(KEYS, "42", f"old.{mac}")


def test_a_signature_is_good_for_its_user_only() -> None:
    assert not is_signed(KEYS, "43", sign_user(KEYS, "42"))


def test_a_signature_by_the_old_key_is_good_after_rotation_and_new_ones_use_the_new_key() -> None:
    rotated = read_keys(f"{NEW},{OLD}")
    assert is_signed(rotated, "42", sign_user(KEYS, "42"))
    assert sign_user(rotated, "42").startswith("new.")


def test_a_signature_by_a_key_that_was_dropped_is_no_longer_good() -> None:
    assert not is_signed(read_keys(NEW), "42", sign_user(KEYS, "42"))


def test_a_key_of_the_same_id_and_another_secret_does_not_verify() -> None:
    assert not is_signed(read_keys("old:another-secret-16"), "42", sign_user(KEYS, "42"))


def test_changing_any_single_character_breaks_the_signature() -> None:
    signature = sign_user(KEYS, "42")
    for at, character in enumerate(signature):
        changed = signature[:at] + ("0" if character != "0" else "1") + signature[at + 1 :]
        assert not is_signed(KEYS, "42", changed), changed


@pytest.mark.parametrize("signature", ["", ".", "old", "old.", "none.00", "old.ü", "old.\ud800", "0" * 64])
def test_what_is_not_of_the_form_is_no_signature(signature: str) -> None:
    assert not is_signed(KEYS, "42", signature)


def test_a_user_key_is_read_as_it_stands() -> None:
    assert read_user_key("0123456789abcdef") == b"0123456789abcdef"


def test_a_short_user_key_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="^the key must have 16 or more characters$"):
        read_user_key("0123456789abcde")
