"""Visitors that a Worker knows: their cookies, as it gave them, and their profiles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import httpx

from origin.kv import KvClient
from scripts.benchmarks.profiles import BEST, profile_of
from scripts.benchmarks.sites import Site
from scripts.runtime.edge import LOCAL_KEYS
from shared.profile import PROFILE_KEY
from shared.signing import read_keys
from worker.visitor import Visitor, read_visitor, write_visitor

HEADERS: Final = {"accept": "text/html", "accept-language": "en-GB,en;q=0.9", "user-agent": "bench"}
VISITS: Final = 100
AWAY_MS: Final = 3_600_000


class Earned(NamedTuple):
    """The cookie of a visitor, and the variant that was decided for each slot of the page."""

    cookie: str
    shown: Mapping[str, str]


def earn_cookie(client: httpx.Client, site: Site, path: str) -> Earned | None:
    """Visit as new visitors until one of them finds every slot written, one of them with another variant than the
    default; returns that one, or None where there was none."""
    for _ in range(VISITS):
        response = client.get(path)
        client.cookies.clear()
        found = site.shown(path, response.text)
        shown = {name: variant for name, variant in found.items() if variant is not None}
        defaults = {name: site.config.touchpoints[name].default for name in found}
        if shown.keys() == found.keys() and shown != defaults:
            return Earned(str(response.headers["set-cookie"].partition(";")[0]), shown)
    return None


def end_session(cookie: str) -> str:
    """The cookie as if its visitor had been away for an hour: the next view starts a session, and decides anew."""
    visitor = _read(cookie)
    before_ms = visitor.session.seen_ms - AWAY_MS
    aged = replace(visitor, session=replace(visitor.session, started_ms=before_ms, seen_ms=before_ms), frozen=())
    return write_visitor(aged, read_keys(LOCAL_KEYS))[0].partition(";")[0]


def publish_profile(kv: KvClient, site: Site, cookie: str) -> None:
    """Put the visitor's profile into KV, as large as the others there."""
    unit = _read(cookie).unit
    names = list(site.config.touchpoints)[: site.profile_touchpoints]
    kv.put({PROFILE_KEY + unit: profile_of(unit, names, time.time_ns() // 1_000_000)})


def reads_profiles(client: httpx.Client, site: Site, path: str, cookie: str) -> bool:
    """Whether the Worker decides by the visitor's profile: the variant that is best there is then shown most often."""
    names = [name for name in site.names_on(path) if name in site.individual]
    hits = 0
    for _ in range(VISITS):
        shown = site.shown(path, client.get(path, headers={"cookie": cookie}).text)
        client.cookies.clear()
        hits += sum(shown[name] == BEST for name in names)
    return hits > 0.6 * VISITS * len(names)


def _read(cookie: str) -> Visitor:
    visitor, problem = read_visitor(cookie, read_keys(LOCAL_KEYS))
    if visitor is None:
        raise ValueError(f"the Worker gave a cookie that cannot be read: {problem}")
    return visitor
