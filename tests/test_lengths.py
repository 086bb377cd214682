"""Few lengths for training batches: no other choice of as many pads less."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frostline.data.lengths import few_lengths


def padded(longest: list[int], lengths: tuple[int, ...]) -> int:
    """Tokens of batches that are each padded to the next of `lengths`."""
    return sum(min(length for length in lengths if length >= own) for own in longest)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 3))
def test_no_choice_of_as_many_lengths_pads_less(longest: list[int], count: int, multiple: int) -> None:
    found = few_lengths(np.array(longest), count, multiple)

    every = range(multiple, 12 + multiple, multiple)
    others = [kept for size in range(1, count + 1) for kept in combinations(every, size) if kept[-1] >= max(longest)]
    assert len(found) <= count
    assert list(found) == sorted(set(found))
    assert all(length % multiple == 0 for length in found)
    assert padded(longest, found) == min(padded(longest, other) for other in others)


def test_where_there_are_enough_each_batch_keeps_its_own() -> None:
    assert few_lengths(np.array([5, 9, 7, 5]), 16) == (5, 7, 9)


def test_thousands_of_tokens_come_in_coarser_steps() -> None:
    longest = np.random.default_rng(0).integers(10, 8193, 20_000)
    found = few_lengths(longest, 16)
    assert len(found) == 16
    assert all(length % 16 == 0 for length in found)
    assert found[-1] >= longest.max()
