"""User ids: kept only as keyed hashes, and claimed only with a signature that the site's server made.

The hash is HMAC-SHA-256 of the raw id by one key that never changes (another key would make every user a new one). The
signature of an `identify` event is HMAC-SHA-256 of the raw id by a key that the site's server shares with the edge,
written `<key id>.<hex>`; any key of the list verifies, so that keys can be rotated. Ids are UTF-8 and taken as they
are: no case folding, no trimming.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from shared.signing import Keys

HASH_LENGTH: Final = 32
_LEAST_KEY: Final = 16


def read_user_key(text: str) -> bytes:
    """Read the key of the hashes from its configured form. Raises ValueError, without repeating it, under 16
    characters."""
    if len(text) < _LEAST_KEY:
        raise ValueError(f"the key must have {_LEAST_KEY} or more characters")
    return text.encode()


def hash_user(key: bytes, user: str) -> str:
    """Return what is kept of a user id: the first 32 hex digits of its HMAC-SHA-256."""
    return _digest(key, user)[:HASH_LENGTH]


def sign_user(keys: Keys, user: str) -> str:
    """Return the signature of a user id by the first key, `<key id>.<64 hex digits>`, as a site's server makes it."""
    name = next(iter(keys))
    return f"{name}.{_digest(keys[name], user)}"


def is_signed(keys: Keys, user: str, signature: str) -> bool:
    """Whether one of the keys signed this user id; the time it takes does not tell how near a forgery came."""
    name, _, claimed = signature.partition(".")
    key = keys.get(name)
    return key is not None and hmac.compare_digest(
        _digest(key, user).encode(), claimed.encode("utf-8", "surrogatepass")
    )


def _digest(key: bytes, user: str) -> str:
    return hmac.digest(key, user.encode("utf-8", "surrogatepass"), sha256).hex()
