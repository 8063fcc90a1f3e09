"""Signatures over text with a list of keys: the first signs, all verify, so that keys can be rotated."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

Keys = Mapping[str, bytes]

# A page asked for with this parameter, signed for this purpose, shows the variant that it names.
PREVIEW_PARAMETER: Final = "usher-preview"
PREVIEW_PURPOSE: Final = "preview"


def read_keys(text: str) -> Keys:
    """Read keys from their configured form, `id:secret,id:secret`; the first one signs.

    Raises ValueError, without repeating the secret, for an empty list, a missing or repeated id, or a secret under 16
    characters.
    """
    keys = {}
    for i, part in enumerate(text.split(",")):
        name, colon, secret = part.strip().partition(":")
        if not colon or not (name.isascii() and name.isalnum()) or len(secret) < 16:
            raise ValueError(
                f"key {i + 1} must read id:secret, the id of ASCII letters and digits, the secret of 16 or more"
            )
        if name in keys:
            raise ValueError(f"key {i + 1} has the id of an earlier one")
        keys[name] = secret.encode()
    return keys


def sign(keys: Keys, purpose: str, text: str) -> str:
    """Return `key id.text.signature`: HMAC-SHA-256 by the first key, bound to the purpose, cut to 128 bits."""
    name = next(iter(keys))
    return f"{name}.{text}.{_signature(keys[name], purpose, text)}"


def verify(keys: Keys, purpose: str, signed: str) -> str | None:
    """Return the text of a signed value, or None where the signature is not by one of the keys for this purpose."""
    name, _, rest = signed.partition(".")
    text, _, signature = rest.rpartition(".")
    key = keys.get(name)
    if key is None or not hmac.compare_digest(
        _signature(key, purpose, text).encode(), signature.encode("utf-8", "surrogatepass")
    ):
        return None
    return text


def _signature(key: bytes, purpose: str, text: str) -> str:
    mac = hmac.digest(key, f"{purpose}\x1f{text}".encode("utf-8", "surrogatepass"), sha256)
    return urlsafe_b64encode(mac[:16]).decode().rstrip("=")
