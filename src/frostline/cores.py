"""Work in many parts on a CPU: a part a core, in place of all cores on one part."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part, Result = TypeVar("Part"), TypeVar("Result")


def part_a_core(work: Callable[[Part], Result], parts: Iterable[Part], cores: int) -> Iterator[Result]:
    """What `work` gives for each part, in their order, computed in `cores` threads: as many as torch has, or one.

    torch computes with one thread in each of several. A core then waits for no other within a part, nor fetches what
    another wrote. An error in a part is raised in its place, and the parts that have not begun are dropped, as they are
    when the iterator is closed.
    """
    if cores == 1:
        yield from map(work, parts)
        return
    try:
        with ThreadPoolExecutor(cores, "core", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, parts)
    finally:
        torch.set_num_threads(cores)  # it is also what threads to come begin with
