import itertools

import numpy as np
import pytest

from train.data.order import epoch_order, evaluation_batches, evaluation_rounds, share, training_batches

CASES = list(itertools.product((1, 2, 7, 16, 33), (1, 4, 5), (1, 2, 3, 8)))


def test_an_epoch_is_a_permutation_of_its_own():
    orders = [epoch_order(100, seed, epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert (epoch_order(100, 1, 1) == orders[1]).all()


@pytest.mark.parametrize(("samples", "batch", "ranks"), CASES)
def test_training_batches_cover_the_epoch_with_equal_steps(samples, batch, ranks):
    whole = training_batches(samples, batch, ranks)
    seen = [sample for start, end in whole for sample in range(start, end)]
    assert seen == list(range(len(seen)))
    assert samples - len(seen) < ranks  # what cannot give every rank a sample is left out
    for start, end in whole:
        parts = [share(start, end, rank, ranks) for rank in range(ranks)]
        assert all(1 <= last - first <= batch for first, last in parts)
        assert [sample for part in parts for sample in range(*part)] == list(range(start, end))


@pytest.mark.parametrize(("samples", "batch", "ranks"), CASES)
def test_what_follows_a_position_is_what_would_have_followed(samples, batch, ranks):
    whole = training_batches(samples, batch, ranks)
    for number, (start, _) in enumerate(whole):
        assert training_batches(samples, batch, ranks, start) == whole[number:]
    if whole:
        assert training_batches(samples, batch, ranks, whole[-1][1]) == []


@pytest.mark.parametrize(("samples", "batch", "ranks"), CASES)
def test_evaluation_sees_every_sample_once(samples, batch, ranks):
    lists = [evaluation_batches(samples, batch, rank, ranks) for rank in range(ranks)]
    seen = [sample for batches in lists for part in batches for sample in range(*part)]
    assert seen == list(range(samples))
    assert all(1 <= end - start <= batch for batches in lists for start, end in batches)
    assert max(map(len, lists)) == evaluation_rounds(samples, batch, ranks)


def test_shares_differ_by_at_most_one():
    sizes = [np.diff(share(5, 16, rank, 4))[0] for rank in range(4)]
    assert sorted(sizes) == [2, 3, 3, 3]
