import numpy as np
import pytest

from train.evaluate.intervals import Interval, over_samples, over_signers, wilson
from train.evaluate.metrics import per_class_mean


@pytest.fixture(scope="module")
def answers():
    """(truth, hits, signers) of 900 samples, 12 classes and 9 signers, who differ a lot."""
    random = np.random.default_rng(5)
    truth, signers = random.integers(0, 12, 900), random.integers(0, 9, 900)
    top1 = random.random(900) < 0.6 + 0.04 * signers - 0.02 * truth
    return truth, {"top1": top1, "top5": top1 | (random.random(900) < 0.5)}, signers


def quantiles(values: list[float]) -> tuple[float, float]:
    return tuple(np.quantile(values, (0.025, 0.975)))


def plain(truth, hits, draw, times=1500):
    """Intervals by drawing indices one resample at a time."""
    measures = {"top1": [], "top5": [], "class_mean": []}
    for _ in range(times):
        chosen = draw()
        for name, values in hits.items():
            measures[name].append(values[chosen].mean())
        measures["class_mean"].append(per_class_mean(hits["top1"][chosen], truth[chosen]))
    return {name: quantiles(values) for name, values in measures.items()}


def test_over_samples_agrees_with_plain_resampling(answers):
    truth, hits, _ = answers
    random = np.random.default_rng(1)
    expected = plain(truth, hits, lambda: random.integers(0, len(truth), len(truth)))
    found = over_samples(truth, hits)
    assert found.keys() == expected.keys()
    for name, (low, high) in expected.items():
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.005)


def test_over_signers_agrees_with_plain_resampling(answers):
    truth, hits, signers = answers
    random = np.random.default_rng(1)
    own = [np.flatnonzero(signers == signer) for signer in range(9)]
    expected = plain(truth, hits, lambda: np.concatenate([own[signer] for signer in random.integers(0, 9, 9)]))
    found = over_signers(truth, hits, signers)
    for name, (low, high) in expected.items():
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.008)
    assert found["top1"].high - found["top1"].low > 1.5 * (
        over_samples(truth, hits)["top1"].high - over_samples(truth, hits)["top1"].low
    )


def test_an_interval_does_not_depend_on_the_order_of_samples(answers):
    truth, hits, signers = answers
    order = np.random.default_rng(2).permutation(len(truth))
    shuffled = {name: values[order] for name, values in hits.items()}
    assert over_samples(truth[order], shuffled) == over_samples(truth, hits)
    assert over_signers(truth[order], shuffled, signers[order]) == over_signers(truth, hits, signers)


def test_one_signer_has_no_interval_over_signers(answers):
    truth, hits, _ = answers
    assert over_signers(truth, hits, np.zeros(len(truth))) == {}


def test_without_a_mistake_there_is_no_doubt():
    truth = np.arange(30) % 4
    assert over_samples(truth, {"top1": np.ones(30, bool)}) == {"top1": Interval(1, 1), "class_mean": Interval(1, 1)}


# From the closed form in Agresti and Coull (1998), by hand.
@pytest.mark.parametrize(
    ("hits", "count", "low", "high"), [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1)]
)
def test_wilson(hits, count, low, high):
    interval = wilson(hits, count)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
