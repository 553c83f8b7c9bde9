"""The order of an epoch, and who takes what of it. Pure functions: workers, ranks and restarts cannot change it."""

import math

import numpy as np


def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """int64 (N,), a permutation of the samples that depends on seed and epoch only."""
    return np.random.default_rng([seed, epoch]).permutation(samples)


def training_batches(samples: int, batch_size: int, ranks: int, position: int = 0) -> list[tuple[int, int]]:
    """(start, end) in the epoch's order of every global batch from `position` (samples already seen) on.

    A global batch is one batch on every rank. The last one may be smaller, but never so small that a rank would get
    nothing of it: then it is left out (another part of the data in the next epoch).
    """
    step = batch_size * ranks
    batches = [(start, min(start + step, samples)) for start in range(position, samples, step)]
    return [batch for batch in batches if batch[1] - batch[0] >= ranks]


def share(start: int, end: int, rank: int, ranks: int) -> tuple[int, int]:
    """The part of a global batch that a rank takes: contiguous, sizes differ by at most one."""
    count = end - start
    return start + count * rank // ranks, start + count * (rank + 1) // ranks


def evaluation_batches(samples: int, batch_size: int, rank: int, ranks: int) -> list[tuple[int, int]]:
    """(start, end) of a rank's batches over samples in index order: together every sample exactly once."""
    first, last = share(0, samples, rank, ranks)
    return [(start, min(start + batch_size, last)) for start in range(first, last, batch_size)]


def evaluation_rounds(samples: int, batch_size: int, ranks: int) -> int:
    """The largest number of evaluation batches that a rank has."""
    return math.ceil(math.ceil(samples / ranks) / batch_size)
