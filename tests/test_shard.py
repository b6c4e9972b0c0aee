"""Shares of a plan: every run in one of them, about as long as each other, dealt alike by whoever deals them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gndl.errors import GndlError
from gndl.sweeping.shard import Shard, read_shard, share_of


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(1, 9))
def test_every_run_is_in_exactly_one_share(costs: list[float], count: int) -> None:
    """Whatever runs cost, nothing is left out and nothing trained by two."""
    dealt = [position for number in range(count) for position in share_of(costs, Shard(number + 1, count))]
    assert sorted(dealt) == list(range(len(costs)))


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.integers(1, 9))
def test_no_share_is_longer_than_another_by_more_than_one_run(costs: list[int], count: int) -> None:
    """The longest share exceeds the shortest by the costliest run at most."""
    totals = [sum(costs[position] for position in share_of(costs, Shard(number + 1, count))) for number in range(count)]
    assert max(totals) - min(totals) <= max(costs)


def test_baseline_and_gndl_are_mixed_in_every_share() -> None:
    """By hand: of two folds of costs 2 (GNDL) and 1 (baseline), each of two shares has one of both."""
    assert share_of([2, 1, 2, 1], Shard(1, 2)) == [0, 1]
    assert share_of([2, 1, 2, 1], Shard(2, 2)) == [2, 3]
    assert share_of([3, 1, 1, 1], Shard(1, 2)) == [0]
    assert share_of([3, 1, 1, 1], Shard(2, 2)) == [1, 2, 3]
    assert share_of([1], Shard(2, 2)) == []


def test_a_share_is_read_as_it_is_written() -> None:
    """The first of eight, and the last."""
    assert read_shard("1/8") == Shard(1, 8)
    assert str(read_shard(" 8 / 8 ")) == "8/8"


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "-1/2", "1/0", "1/2/3"])
def test_what_is_no_share_is_answered_with_what_is(text: str) -> None:
    """Shares are counted from 1, and the message says so."""
    with pytest.raises(GndlError, match="counted from 1, such as 1/8 to 8/8"):
        read_shard(text)
