"""Who may send events: what is decided of a request before its body is read.

Browsers are known by the signed cookie of a page that Usher answered, servers by a bearer token. Pages of another
origin may send events where the site's configuration names it (`[site] origins`), and are told so as browsers expect it
(CORS).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from shared.events import BROWSER, SERVER
from shared.signing import Keys
from shared.snapshot import Snapshot
from worker.answers import DONE, Answer, Refusal
from worker.asked import AskedPage
from worker.consent import is_allowed
from worker.context import LONGEST
from worker.visitor import read_visitor

METHODS: Final = "POST, OPTIONS"
CONTENT_TYPES: Final = ("application/json", "text/plain")
# The headers that the intake reads, as `describe` takes them.
HEADERS: Final = "\n".join(
    (
        "authorization", "cf-connecting-ip", "content-encoding", "content-length", "content-type", "cookie", "origin",
        "sec-gpc", "user-agent",
    )
)  # fmt: skip
# How long a browser may go on without asking again whether it may send: the longest that Chromium knows.
PREFLIGHT_S: Final = 7_200
# The rate limiters by the names of their bindings, and how many seconds their counters run (wrangler.toml).
VISITOR_LIMIT: Final = "VISITOR_LIMIT"
ADDRESS_LIMIT: Final = "ADDRESS_LIMIT"
LIMIT_PERIOD_S: Final = 10
_BEARER: Final = "bearer "
# An IPv6 address has eight groups of 16 bits; the first four name its network.
_IPV6_GROUPS: Final = 8
_NETWORK_GROUPS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much one request may hold."""

    bytes: int
    events: int


ALLOWANCES: Final[Mapping[str, Allowance]] = {
    BROWSER: Allowance(bytes=64 * 1024, events=100),
    SERVER: Allowance(bytes=512 * 1024, events=1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends: a browser, with the visitor and session of its cookie, or a server; what it may send at once; and the
    rate limits it is under: the key of each by the name of its binding."""

    source: str
    visitor: str
    session_ms: int
    user_agent: str
    allowance: Allowance
    limits: Mapping[str, str]


def admit(asked: AskedPage, snapshot: Snapshot | None, keys: Keys | None, tokens: Keys) -> Sender | Answer:
    """Return who sends, or the answer of a request that is not to be read any further.

    `keys` are those of the cookies (None: not configured), `tokens` those of servers. `snapshot` is None where nothing
    was published, or could be read, yet.
    """
    refusal = _check_origin(asked, snapshot)
    if refusal is not None:
        return refusal.to_answer()
    if asked.method == "OPTIONS":
        return Answer(status=204, body=None, headers=(("allow", METHODS),))
    sender = _read_sender(asked, snapshot, keys, tokens) if asked.method == "POST" else _NO_POST
    if isinstance(sender, Sender):
        refusal = _check_body(asked, sender.allowance)
        return sender if refusal is None else refusal.to_answer()
    return sender.to_answer() if isinstance(sender, Refusal) else sender


def cors_headers(asked: AskedPage, snapshot: Snapshot | None) -> tuple[tuple[str, str], ...]:
    """The headers by which a browser lets a page of a configured origin send events and read the answer."""
    vary = ("vary", "Origin")
    origin = asked.header("origin")
    if snapshot is None or origin not in snapshot.header.origins:
        return (vary,)
    allowed = (("access-control-allow-origin", origin), ("access-control-allow-credentials", "true"))
    if asked.method != "OPTIONS":
        return (vary, *allowed, ("access-control-expose-headers", "Retry-After, Usher"))
    return (
        vary,
        *allowed,
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "Content-Type"),
        ("access-control-max-age", str(PREFLIGHT_S)),
    )


def too_large(allowance: Allowance) -> Refusal:
    """The refusal of a body over the limit."""
    remedy = f"send at most {allowance.bytes} bytes a request"
    return Refusal(status=413, code="too_large", remedy=remedy, is_final=True)


def limited(binding: str) -> Refusal:
    """The refusal of a request that a rate limiter did not let through."""
    code, whose = ("visitor_limit", "visitor") if binding == VISITOR_LIMIT else ("address_limit", "address")
    remedy = f"too many requests of this {whose}; keep the events and send them together, later"
    return Refusal(status=429, code=code, remedy=remedy, retry_after_s=LIMIT_PERIOD_S)


def network_of(address: str) -> str:
    """The network that counts as one sender: of an IPv6 address its first 64 bits, within which a host may take any
    address it likes; an IPv4 address, also where it is written within an IPv6 one, is its own."""
    if ":" not in address or "." in address:
        return address.rpartition(":")[2]
    head, gap, tail = address.lower().partition("::")
    groups = head.split(":") if head else []
    if gap:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (_IPV6_GROUPS - len(groups) - len(behind)) + behind
    return ":".join([group.lstrip("0") or "0" for group in groups[:_NETWORK_GROUPS]]) + "::/64"


_NO_POST: Final = Refusal(status=405, code="method", remedy="send a POST request", headers=(("allow", METHODS),))
_NO_KEYS: Final = Refusal(status=503, code="no_keys", remedy="keep the events and send them later", retry_after_s=60)
_NOT_READY: Final = Refusal(status=503, code="not_ready", remedy="keep the events and send them later", retry_after_s=1)
_NO_TOKEN: Final = Refusal(
    status=401,
    code="token",
    remedy="send one of the tokens of the Worker's secret USHER_SERVER_TOKENS as Authorization: Bearer <token>",
    headers=(("www-authenticate", "Bearer"),),
)
_NO_VISITOR: Final = Refusal(
    status=401,
    code="no_visitor",
    remedy="send the cookie of a page that Usher answered, or, as a server, Authorization: Bearer <token>",
)


def _check_origin(asked: AskedPage, snapshot: Snapshot | None) -> Refusal | None:
    """Refuse what a page of a foreign origin sends; what comes without an origin, no page of another has sent."""
    origin = asked.header("origin")
    if not origin or asked.url.startswith(f"{origin}/"):
        return None
    if snapshot is None:
        return _NOT_READY
    if origin in snapshot.header.origins:
        return None
    remedy = "send events from pages of this host, or name the origin in [site] origins of usher.toml and publish"
    return Refusal(status=403, code="origin", remedy=remedy)


def _read_sender(
    asked: AskedPage, snapshot: Snapshot | None, keys: Keys | None, tokens: Keys
) -> Sender | Refusal | Answer:
    authorization = asked.header("authorization")
    if authorization[: len(_BEARER)].lower() == _BEARER:  # a site behind a password sends another scheme
        if not _is_known(authorization[len(_BEARER) :].strip(), tokens):
            return _NO_TOKEN
        return Sender(source=SERVER, visitor="", session_ms=0, user_agent="", allowance=ALLOWANCES[SERVER], limits={})
    if keys is None:
        return _NO_KEYS
    header = snapshot.header if snapshot is not None else None
    if not is_allowed(header, asked.header("sec-gpc"), asked.header("cookie")):
        return Answer(status=204, body=None, headers=(DONE,))
    visitor, problem = read_visitor(asked.header("cookie"), keys)
    if visitor is None:
        return replace(_NO_VISITOR.to_answer(), problem=problem)
    address = asked.header("cf-connecting-ip")
    return Sender(
        source=BROWSER,
        visitor=visitor.id,
        session_ms=visitor.session_ms,
        user_agent=asked.header("user-agent")[:LONGEST],
        allowance=ALLOWANCES[BROWSER],
        limits={VISITOR_LIMIT: visitor.id, **({ADDRESS_LIMIT: network_of(address)} if address else {})},
    )


def _is_known(token: str, tokens: Keys) -> bool:
    """Whether it is one of the tokens; the time it takes tells neither which, nor how near it came."""
    asked = sha256(token.encode("utf-8", "surrogatepass")).digest()
    found = False
    for known in tokens.values():
        found |= hmac.compare_digest(asked, sha256(known).digest())
    return found


def _check_body(asked: AskedPage, allowance: Allowance) -> Refusal | None:
    """Refuse a body that need not be read at all."""
    kind = asked.header("content-type").partition(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        return Refusal(status=415, code="content_type", remedy=f"send {' or '.join(CONTENT_TYPES)}", is_final=True)
    if (asked.header("content-encoding") or "identity").strip().lower() != "identity":
        remedy = "send the body without Content-Encoding"
        return Refusal(status=415, code="content_encoding", remedy=remedy, is_final=True)
    length = asked.header("content-length")
    if length.isdecimal() and int(length[:20]) > allowance.bytes:
        return too_large(allowance)
    return None
