"""The guard: which links are joined, by what came before them."""

from __future__ import annotations

import numpy as np
import pytest

from origin.config import IdentityConfig
from origin.identity.guard import (
    DAY_MS,
    JOINED,
    OUTCOMES,
    SHARED,
    TOO_LARGE,
    UNDONE,
    USER_SHARED,
    USER_UNDONE,
    judge,
    label_components,
)

Link = tuple[str, str, float]


def outcomes_of(links: list[Link], **numbers: int) -> dict[tuple[str, str], str]:
    """The outcomes of links (two nodes, those of users beginning with `u`, and the day), by both nodes."""
    ordered = sorted(links, key=lambda link: (link[2], link[0], link[1]))
    nodes = sorted({node for a, b, _ in links for node in (a, b)})
    number = {node: i for i, node in enumerate(nodes)}
    found = judge(
        np.array([number[a] for a, _, _ in ordered], dtype=np.int64),
        np.array([number[b] for _, b, _ in ordered], dtype=np.int64),
        np.array([round(day * DAY_MS) for _, _, day in ordered], dtype=np.int64),
        np.array([not node.startswith("u") for node in nodes], dtype=np.bool_),
        IdentityConfig(**numbers),
    )
    return {(a, b): OUTCOMES[outcome] for (a, b, _), outcome in zip(ordered, found.tolist(), strict=True)}


def test_no_links_have_no_outcomes() -> None:
    assert outcomes_of([]) == {}
    assert label_components(np.zeros(0, np.int64), np.zeros(0, np.int64), 0).tolist() == []


def test_three_users_may_share_a_device_and_a_fourth_shows_that_it_is_shared() -> None:
    three: list[Link] = [("u1", "kiosk", 0), ("u2", "kiosk", 1), ("u3", "kiosk", 2)]
    assert set(outcomes_of(three).values()) == {JOINED}
    assert outcomes_of([*three, ("u4", "kiosk", 3), ("u5", "kiosk", 300), ("u1", "phone", 4)]) == {
        ("u1", "kiosk"): UNDONE,
        ("u2", "kiosk"): UNDONE,
        ("u3", "kiosk"): UNDONE,
        ("u4", "kiosk"): SHARED,
        ("u5", "kiosk"): SHARED,
        ("u1", "phone"): JOINED,
    }


@pytest.mark.parametrize(("day", "outcome"), [(30, SHARED), (30.001, JOINED)])
def test_users_are_counted_within_the_window(day: float, outcome: str) -> None:
    links: list[Link] = [("u1", "v", 0), ("u2", "v", 1), ("u3", "v", 2), ("u4", "v", day)]
    assert outcomes_of(links)["u4", "v"] == outcome


def test_a_user_with_several_devices_and_a_private_window_a_day_shares_none_of_them() -> None:
    links: list[Link] = [("u1", f"v{i}", i) for i in range(20)] + [("u1", f"w{i}", 8 + i / 10) for i in range(6)]
    assert set(outcomes_of(links, visitors_per_person=100).values()) == {JOINED}


def test_an_id_that_a_site_gives_to_many_joins_nobody() -> None:
    guests: list[Link] = [("u-guest", f"v{i:02}", i / 2_400) for i in range(100)]
    found = outcomes_of([*guests, ("u-anna", "v00", 2), ("u-anna", "phone", 3), ("u-berta", "v01", 4)])
    assert [found["u-guest", f"v{i:02}"] for i in range(100)] == [USER_UNDONE] * 15 + [USER_SHARED] * 85
    assert found["u-anna", "v00"] == found["u-anna", "phone"] == found["u-berta", "v01"] == JOINED


@pytest.mark.parametrize(("day", "outcome"), [(7, USER_SHARED), (7.001, JOINED)])
def test_the_visitors_of_a_user_are_counted_within_a_window(day: float, outcome: str) -> None:
    links: list[Link] = [("u1", f"v{i}", i / 10) for i in range(15)]
    assert outcomes_of([*links, ("u1", "w", day)])["u1", "w"] == outcome


def test_of_two_faults_the_one_found_first_is_told_and_in_one_link_the_visitors() -> None:
    guard = {"users_per_visitor": 1, "visitors_per_user": 1}
    first: list[Link] = [("u1", "v", 0), ("u2", "v", 1), ("u1", "w", 2), ("u2", "w", 3)]
    assert outcomes_of(first, **guard) == {
        ("u1", "v"): UNDONE,
        ("u2", "v"): SHARED,
        ("u1", "w"): USER_SHARED,
        ("u2", "w"): SHARED,
    }
    assert outcomes_of([("u1", "v", 0), ("u2", "w", 1), ("u2", "v", 2)], **guard) == {
        ("u1", "v"): UNDONE,
        ("u2", "w"): USER_UNDONE,
        ("u2", "v"): SHARED,
    }


def test_visitors_linked_to_each_other_do_not_count_as_users() -> None:
    links: list[Link] = [("a", f"b{i}", i) for i in range(10)]
    assert set(outcomes_of(links).values()) == {JOINED}


def test_the_link_that_would_make_a_person_too_large_is_refused() -> None:
    found = outcomes_of([("u1", f"v{i:02}", i) for i in range(25)])
    assert list(found.values()) == [JOINED] * 20 + [TOO_LARGE] * 5


def test_cookies_that_were_cleared_long_ago_leave_room_for_a_new_device() -> None:
    cleared: list[Link] = [("u1", f"v{i:02}", i) for i in range(20)]
    found = outcomes_of(
        [*cleared, ("u1", "laptop", 89), ("u1", "phone", 90.001), ("u1", "tablet", 91.5), ("u1", "w", 91.6)]
    )
    assert (found["u1", "laptop"], found["u1", "phone"]) == (TOO_LARGE, JOINED)
    assert (found["u1", "tablet"], found["u1", "w"]) == (JOINED, TOO_LARGE)


def test_persons_are_not_joined_to_a_larger_one_however_old_they_are() -> None:
    links: list[Link] = [(f"u{person}", f"{person}{i:02}", i) for person in "ab" for i in range(11)]
    found = outcomes_of([*links, ("ua", "b05", 999), ("uc", "b05", 1_000)])
    assert found["ua", "b05"] == TOO_LARGE
    assert found["uc", "b05"] == JOINED


def test_whom_a_full_person_refuses_may_be_linked_to_others() -> None:
    links: list[Link] = [("u1", "a", 0), ("u1", "b", 1), ("u1", "c", 2), ("u2", "c", 3), ("u2", "d", 4)]
    found = outcomes_of(links, visitors_per_person=2)
    assert found["u1", "c"] == TOO_LARGE
    assert found["u2", "c"] == found["u2", "d"] == JOINED


def test_two_large_persons_are_not_joined_by_one_link_and_links_inside_stay() -> None:
    links: list[Link] = [(f"u{person}", f"{person}{i}", i / 10) for person in "ab" for i in range(3)]
    found = outcomes_of([*links, ("ua", "b0", 5), ("a0", "a1", 6), ("ua", "a2", 0.2)], visitors_per_person=5)
    assert found["ua", "b0"] == TOO_LARGE
    assert found["a0", "a1"] == JOINED


def test_room_that_a_shared_device_leaves_is_room_for_others() -> None:
    """The kiosk joined two persons of two devices; once it is found to be shared, each has room again."""
    links: list[Link] = [
        ("u1", "a1", 0), ("u1", "a2", 0.1), ("u2", "b1", 0.2), ("u1", "k", 1), ("u2", "k", 1.1),
        ("u2", "b2", 1.2), ("u3", "k", 1.3), ("u1", "a3", 2), ("u2", "b3", 2.1), ("u2", "b2", 2.2),
    ]  # fmt: skip
    found = outcomes_of(links[:-1], users_per_visitor=2, visitors_per_person=4)
    assert found["u2", "b2"] == TOO_LARGE
    assert (found["u1", "k"], found["u2", "k"], found["u3", "k"]) == (UNDONE, UNDONE, SHARED)
    assert found["u1", "a3"] == found["u2", "b3"] == JOINED


def test_a_link_is_judged_by_what_came_before_it_wherever_it_stands() -> None:
    links: list[Link] = [("u1", "a", 3), ("u1", "b", 1), ("u1", "c", 2)]
    assert outcomes_of(links, visitors_per_person=2)["u1", "a"] == TOO_LARGE
