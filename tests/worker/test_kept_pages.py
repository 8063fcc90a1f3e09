from __future__ import annotations

from worker.pages import Pages


def test_a_page_is_kept_by_its_number_until_it_is_removed() -> None:
    pages: Pages[str] = Pages(most=3, most_ms=1_000)
    pages.add(1, "one", 0)
    pages.add(2, "two", 0)
    assert (pages.get(1), pages.get(2), pages.get(3), len(pages)) == ("one", "two", None, 2)
    pages.remove(1)
    pages.remove(1)
    assert (pages.get(1), pages.get(2), len(pages)) == (None, "two", 1)


def test_the_oldest_pages_go_where_they_are_too_many() -> None:
    pages: Pages[int] = Pages(most=3, most_ms=1_000)
    for number in range(10):
        pages.add(number, number, 0)
        assert len(pages) <= 3
    assert [number for number in range(10) if pages.get(number) is not None] == [7, 8, 9]


def test_pages_that_are_too_old_go_with_the_next_one() -> None:
    pages: Pages[int] = Pages(most=100, most_ms=1_000)
    for number, at_ms in enumerate([0, 500, 1_000, 1_500]):
        pages.add(number, number, at_ms)
    assert [pages.get(number) for number in range(4)] == [None, 1, 2, 3]
    pages.add(4, 4, 10_000)
    assert (len(pages), pages.get(4)) == (1, 4)
