"""Several outcomes together: runs as mean ± standard deviation, and two models on the same samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shards.errors import InputError
from train.evaluate.intervals import LEVEL, RESAMPLES, SEED, Interval
from train.evaluate.outcome import Outcome


@dataclass(frozen=True)
class Spread:
    """A measure over R runs."""

    mean: float
    deviation: float  # of the sample, with R - 1


def spreads(outcomes: Sequence[Outcome]) -> dict[str, Spread]:
    """Mean and standard deviation of the measures that all runs have.

    Raises:
        InputError: fewer than two runs.
    """
    if len(outcomes) < 2:
        raise InputError("--each: a standard deviation needs two runs or more; give several files")
    scores = [outcome.measures() for outcome in outcomes]
    common = [name for name in scores[0] if all(name in score for score in scores)]
    values = {name: np.array([score[name] for score in scores]) for name in common}
    return {name: Spread(float(value.mean()), float(value.std(ddof=1))) for name, value in values.items()}


@dataclass(frozen=True)
class Paired:
    """Model A against model B on the same N samples."""

    against: str  # B's file
    other: float  # B's accuracy
    samples: int
    both_right: int
    difference: float  # accuracy of A minus that of B
    interval: Interval  # of the difference, 95 %, by the paired bootstrap over samples
    only_first: int  # samples that A has right and B wrong
    only_second: int
    p_value: float  # McNemar's


def compare(first: Outcome, second: Outcome) -> Paired:
    """The paired bootstrap (both models are drawn the same samples) and McNemar's exact test.

    McNemar (1947), in its exact form: of the samples that one model alone has right, each is as likely either model's
    if both are equally good, so that their number is binomial with 1/2; two-sided.

    Raises:
        InputError: the two are not about the same samples.
    """
    place = {sample_id: number for number, sample_id in enumerate(second.ids)}
    if unlike := set(first.ids) ^ place.keys():
        raise InputError(
            f"{second.source}: {len(unlike)} samples are not in both this file and {first.source}, e.g. {min(unlike)}; "
            "compare predictions of the same samples"
        )
    from scipy.stats import binom  # half a second, for --against alone

    mine = first.predicted == first.truth
    theirs = (second.predicted == second.truth)[[place[sample_id] for sample_id in first.ids]]
    only_first, only_second, count = int((mine & ~theirs).sum()), int((theirs & ~mine).sum()), len(mine)
    # Drawing N of N samples is one multinomial draw over the three kinds that there are.
    chances = np.array([only_first, only_second, count - only_first - only_second]) / count
    drawn = np.random.default_rng(SEED).multinomial(count, chances, RESAMPLES)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / count, (tail, 1 - tail))
    return Paired(
        against=second.source,
        other=float(theirs.mean()),
        samples=count,
        difference=(only_first - only_second) / count,
        interval=Interval(float(low), float(high)),
        both_right=int((mine & theirs).sum()),
        only_first=only_first,
        only_second=only_second,
        p_value=min(1.0, 2 * float(binom.cdf(min(only_first, only_second), only_first + only_second, 0.5))),
    )


def mixed(outcomes: Sequence[Outcome]) -> bool:
    """Whether runs are about neither the same samples, as seeds are, nor samples of their own, as folds are."""
    samples = [frozenset(outcome.ids) for outcome in outcomes]
    return len(set(samples)) > 1 and len(frozenset().union(*samples)) < sum(map(len, samples))


def pooled(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The samples of all folds as one outcome of predicted classes; None where a sample is in several runs."""
    ids = [sample_id for outcome in outcomes for sample_id in outcome.ids]
    if len(set(ids)) < len(ids):
        return None
    truth, predicted = (np.concatenate([getattr(one, name) for one in outcomes]) for name in ("truth", "predicted"))
    source = " ".join(outcome.source for outcome in outcomes)
    return replace(outcomes[0], source=source, ids=ids, truth=truth, predicted=predicted, logits=None)
