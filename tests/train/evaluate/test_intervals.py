import numpy as np
import pytest
from scipy.stats import bootstrap

from train.evaluate.intervals import Interval, over_samples, over_signers, wilson
from train.evaluate.metrics import per_class_mean


@pytest.fixture(scope="module")
def answers():
    """(truth, hits, signers) of 900 samples, 12 classes and 9 signers, who differ a lot."""
    random = np.random.default_rng(5)
    truth, signers = random.integers(0, 12, 900), random.integers(0, 9, 900)
    top1 = random.random(900) < 0.6 + 0.04 * signers - 0.02 * truth
    return truth, {"top1": top1, "top5": top1 | (random.random(900) < 0.5)}, signers


def measures(truth, hits) -> list[float]:
    """top1, top5 and class_mean."""
    return [hits["top1"].mean(), hits["top5"].mean(), per_class_mean(hits["top1"], truth)]


def by_scipy(units: list[np.ndarray], truth, hits) -> list[tuple[float, float]]:
    """Percentile intervals of the measures, drawing units (places of samples) with replacement."""

    def statistic(drawn):
        chosen = np.concatenate([units[unit] for unit in drawn.astype(int)])
        return np.array(measures(truth[chosen], {name: values[chosen] for name, values in hits.items()}))

    found = bootstrap(
        (np.arange(len(units)),), statistic, n_resamples=1500, vectorized=False, method="percentile", rng=1
    ).confidence_interval
    return list(zip(found.low, found.high, strict=True))


def test_over_samples_agrees_with_scipy(answers):
    truth, hits, _ = answers
    expected = by_scipy([np.array([place]) for place in range(len(truth))], truth, hits)
    found = over_samples(truth, hits)
    assert found.keys() == {"top1", "top5", "class_mean"}
    for name, interval in zip(("top1", "top5", "class_mean"), expected, strict=True):
        assert (found[name].low, found[name].high) == pytest.approx(interval, abs=0.005)


def test_over_signers_agrees_with_scipy(answers):
    truth, hits, signers = answers
    expected = by_scipy([np.flatnonzero(signers == signer) for signer in range(9)], truth, hits)
    found = over_signers(truth, hits, signers)
    for name, interval in zip(("top1", "top5", "class_mean"), expected, strict=True):
        assert (found[name].low, found[name].high) == pytest.approx(interval, abs=0.008)
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
