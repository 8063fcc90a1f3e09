"""The kill switch: what the pointer says afterwards, and what is refused."""

from __future__ import annotations

import pytest

from origin.config import Config
from origin.errors import PublishError
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import publish, read_pointer
from origin.status import read_status
from origin.switch import switch_off, switch_on
from origin.train import train
from tests.origin.shop import NOON_MS


@pytest.fixture
def live(config: Config, lake: Lake, kv: KvClient) -> KvClient:
    """A KV in which the shop is published."""
    publish(config, train(config, lake, NOON_MS, NOON_MS), lake, kv, NOON_MS)
    return kv


def test_a_touchpoint_is_switched_off_and_on_again_and_nothing_else_changes(live: KvClient) -> None:
    before = read_pointer(live)
    assert before is not None
    assert switch_off(live, ["hero"]).off == ("hero",)
    pointer, status = read_pointer(live), read_status(live)
    assert pointer is not None
    assert status is not None
    assert (pointer.off, status.off) == (("hero",), ("hero",))
    assert (pointer.version, pointer.published_ms) == (before.version, before.published_ms)
    assert switch_off(live, ["hero"]).off == ("hero",)
    assert switch_on(live, ["hero"]) == before
    assert read_pointer(live) == before


def test_the_whole_site_and_single_touchpoints_are_switched_apart(live: KvClient) -> None:
    assert switch_off(live).off == ("*",)
    assert switch_off(live, ["hero"]).off == ("*", "hero")
    assert switch_on(live, ["hero"]).off == ("*",)
    with pytest.raises(PublishError) as caught:
        switch_on(live, ["hero"])
    assert str(caught.value) == "hero is not switched off by its name; usher on, without a name, switches it on"
    assert switch_on(live).off == ()
    with pytest.raises(PublishError) as caught:
        switch_on(live, ["hero"])
    assert str(caught.value) == "hero is not switched off by its name; nothing is"


def test_a_name_that_is_none_is_refused_and_nothing_is_written(live: KvClient) -> None:
    with pytest.raises(PublishError) as caught:
        switch_off(live, ["hero", "heero"])
    assert str(caught.value) == 'heero is no touchpoint of the live snapshot; write "hero"'
    pointer = read_pointer(live)
    assert pointer is not None
    assert pointer.off == ()


def test_the_whole_site_goes_off_even_where_the_live_snapshot_is_damaged(live: KvClient) -> None:
    pointer = read_pointer(live)
    assert pointer is not None
    live.put({f"snapshot:{pointer.version}": "damaged"})
    with pytest.raises(PublishError, match=r"switch the whole site off with usher off$"):
        switch_off(live, ["hero"])
    assert switch_off(live).off == ("*",)


def test_where_nothing_is_published_there_is_nothing_to_switch(kv: KvClient) -> None:
    for switch in (switch_off, switch_on):
        with pytest.raises(PublishError, match=r"^nothing is published, so nothing is personalised"):
            switch(kv)
