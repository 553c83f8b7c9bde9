"""Confidence intervals of accuracies: the percentile bootstrap, over samples and over signers.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Samples of one signer fail together, so an
interval over samples says how well *these signers'* accuracy is known; the interval over signers, which draws whole
signers, says what other signers may expect. With few signers it is rough and rather too narrow.

Not `scipy.stats.bootstrap`: it draws sample by sample, in another order of random numbers, and one measure at a time.
The tests compare with it.
"""

from dataclasses import dataclass

import numpy as np

from shards.progress import progress

RESAMPLES = 2000
LEVEL = 0.95
SEED = 2021
_PART = 100  # resamples


@dataclass(frozen=True)
class Interval:
    """Where a value lies with 95 % confidence."""

    low: float
    high: float


def over_samples(truth: np.ndarray, hits: dict[str, np.ndarray]) -> dict[str, Interval]:
    """Intervals of the measures and, with top1, of the mean of the classes' top-1 accuracies ("class_mean"), drawing N
    samples of N with replacement.

    Args:
        truth: int (N,), the classes.
        hits: bool (N,) by measure, such as top1 and top5.
    """
    # Samples of the same class and the same hits are alike: drawing N of N is one multinomial draw over these kinds
    # (at most 3 per class for top1 and top5), not N numbers per resample.
    columns = np.stack([truth, *(values.astype(np.int64) for values in hits.values())], axis=1)
    kinds, counts = np.unique(columns, axis=0, return_counts=True)
    classes, place = np.unique(kinds[:, 0], return_inverse=True)
    samples = np.zeros((len(kinds), len(classes)))
    samples[np.arange(len(kinds)), place] = 1
    tables = {name: samples * kinds[:, [number]] for number, name in enumerate(hits, 1)}
    return _intervals(counts / len(truth), len(truth), samples, tables)


def over_signers(truth: np.ndarray, hits: dict[str, np.ndarray], signers: np.ndarray) -> dict[str, Interval]:
    """The same, drawing S signers of S with all their samples; {} with fewer than two signers.

    Args:
        truth: int (N,), the classes.
        hits: bool (N,) by measure.
        signers: (N,), whose sample it is.
    """
    names, signer = np.unique(signers, return_inverse=True)
    if len(names) < 2:
        return {}
    classes, place = np.unique(truth, return_inverse=True)
    cell, shape = signer * len(classes) + place, (len(names), len(classes))
    samples = np.bincount(cell, minlength=len(names) * len(classes)).reshape(shape).astype(float)
    tables = {
        name: np.bincount(cell, values, minlength=len(names) * len(classes)).reshape(shape)
        for name, values in hits.items()
    }
    return _intervals(np.full(len(names), 1 / len(names)), len(names), samples, tables)


def _intervals(
    chances: np.ndarray, draws: int, samples: np.ndarray, hits: dict[str, np.ndarray]
) -> dict[str, Interval]:
    """Intervals from RESAMPLES times `draws` units; unit u is drawn with chances[u], and has samples[u, c] samples of
    class c with hits[name][u, c] hits."""
    random = np.random.default_rng(SEED)
    parts = []
    # A part at a time: with 5000 classes all resamples at once would take gigabytes, and show no progress.
    for size in progress([_PART] * (RESAMPLES // _PART), RESAMPLES, "resampling", "draw", int, may_be_short=True):
        drawn = random.multinomial(draws, chances, size).astype(float)
        parts.append(_measures(drawn @ samples, {name: drawn @ table for name, table in hits.items()}))
    tail = (1 - LEVEL) / 2
    return {
        name: Interval(*np.quantile(np.concatenate([part[name] for part in parts]), (tail, 1 - tail)).tolist())
        for name in parts[0]
    }


def _measures(count: np.ndarray, right: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The measures, float (R,), of R resamples: of every class float (R, C) the samples, and by measure the hits."""
    values = {}
    for name, table in right.items():
        values[name] = table.sum(axis=1) / count.sum(axis=1)
        if name == "top1":
            # A class that a resample does not contain has no accuracy in it.
            share = np.divide(table, count, out=np.full_like(table, np.nan), where=count > 0)
            values["class_mean"] = np.nanmean(share, axis=1)
    return values


def wilson(hits: int, count: int) -> Interval:
    """The 95 % interval of a share of `count` independent trials (Wilson, 1927); good for few trials, too."""
    from scipy.stats import binomtest  # half a second, for the report alone

    found = binomtest(hits, count).proportion_ci(LEVEL, method="wilson")
    return Interval(float(found.low), float(found.high))
