"""Few lengths for training batches, for kernels that are prepared once for each shape."""

import numpy as np

FINEST = 512  # steps into which the longest length is cut: what is longer than so many tokens is rounded up first


def few_lengths(longest: np.ndarray, count: int, multiple: int = 1) -> tuple[int, ...]:
    """At most `count` lengths, rising, such that padding each batch to the next of them adds the fewest tokens in all.

    `longest` has each batch's longest text, in tokens; the last of the lengths takes every batch. All are multiples of
    `multiple`, and of longest / 512 for texts of more than 512 tokens. Exact, by dynamic programming over the sorted
    lengths, as optimal one-dimensional clustering is done (Wang and Song, Ckmeans.1d.dp, 2011); it takes
    O(count × lengths²) time.
    """
    multiple *= -(-int(longest.max()) // (FINEST * multiple))
    lengths, batches = np.unique(-(-longest // multiple) * multiple, return_counts=True)
    before = np.concatenate([[0], np.cumsum(batches)])
    # cheapest[i]: tokens of the first i lengths' batches; first[k][i]: where the last of k + 1 groups begins.
    cheapest = np.concatenate([[0.0], np.full(len(lengths), np.inf)])
    first = np.zeros((min(count, len(lengths)), len(lengths) + 1), dtype=int)
    for starts in first:
        shorter = cheapest.copy()
        for i in range(1, len(lengths) + 1):
            costs = shorter[:i] + lengths[i - 1] * (before[i] - before[:i])
            starts[i] = costs.argmin()
            cheapest[i] = costs[starts[i]]
    chosen, end = [], len(lengths)
    for starts in first[::-1]:
        if end > 0:
            chosen.append(int(lengths[end - 1]))
            end = starts[end]
    return tuple(chosen[::-1])
