"""What the report of an evaluation says: figures only. Files and the page are made of it elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from train.evaluate.comparison import Paired
from train.evaluate.intervals import Interval, over_samples, over_signers, wilson
from train.evaluate.metrics import Calibration, calibrate, cross_entropy
from train.evaluate.outcome import Outcome
from train.evaluate.report.confusion import ConfusedPair, confused_pairs

WORST = 24


@dataclass(frozen=True)
class Score:
    """A measure over all samples, with 95 % intervals."""

    value: float
    over_signers: Interval | None  # None where there is one signer, or signers are not known
    over_samples: Interval


@dataclass(frozen=True)
class Group:
    """The samples of one signer, or of one class."""

    name: str
    samples: int
    hits: int
    interval: Interval | None  # Wilson's; None without samples

    @property
    def accuracy(self) -> float:
        """Share of hits; 0 without samples."""
        return self.hits / max(self.samples, 1)


@dataclass(frozen=True)
class ClassGroup(Group):
    """The samples of a class; its accuracy is its recall."""

    predicted: int  # samples of any class that were predicted as this one
    precision: float | None  # None where it was never predicted; it counts as 0 in the mean
    f1: float | None  # None where it has neither samples nor predictions


@dataclass(frozen=True)
class Macro:
    """Means over the classes that have samples."""

    precision: float
    recall: float  # the per-class mean
    f1: float


@dataclass(frozen=True)
class Worst:
    """A wrong answer. Confidences are None where only the classes are known."""

    id: str
    truth: int
    predicted: int
    loss: float | None  # nats
    confidence: float | None  # probability of the predicted class
    right: float | None  # probability of the right one


@dataclass(frozen=True)
class Report:
    """What the page and the JSON say; classes are numbers, `outcome.classes` has their names."""

    scores: dict[str, Score]
    macro: Macro
    against: Paired | None  # another model's answers to the same samples
    signers: list[Group]  # most accurate first; [] where signers are not known
    classes: list[ClassGroup]  # in class order, those without samples too
    pairs: list[ConfusedPair]
    worst: list[Worst]
    calibration: Calibration | None


def make_report(outcome: Outcome, signers: Sequence[str], against: Paired | None) -> Report:
    """The figures of an outcome.

    Args:
        outcome: N samples.
        signers: whose they are, N names; "" where not known, which leaves signers out.
        against: the comparison with another model.
    """
    hits, names = outcome.hits(), np.array(signers)
    known = bool((names != "").all())
    samples = over_samples(outcome.truth, hits)
    people = over_signers(outcome.truth, hits, names) if known else {}
    matrix = confusions(outcome)
    pairs = confused_pairs(matrix)
    measures = outcome.measures()
    by_signer = [_group(str(name), hits["top1"][names == name]) for name in np.unique(names)] if known else []
    return Report(
        {name: Score(measures[name], people.get(name), samples[name]) for name in (*hits, "class_mean")},
        Macro(measures["precision"], measures["class_mean"], measures["f1"]),
        against,
        sorted(by_signer, key=lambda group: (-group.accuracy, group.name)),
        [_class_group(name, number, matrix) for number, name in enumerate(outcome.classes)],
        pairs,
        _worst(outcome, pairs),
        None if outcome.logits is None else calibrate(outcome.logits, outcome.truth),
    )


def confusions(outcome: Outcome) -> np.ndarray:
    """int (C, C): samples of class `row` that were predicted as class `column`."""
    # Not scikit-learn's `confusion_matrix`, whose import takes a second, and which warns of a single class.
    count = len(outcome.classes)
    return np.bincount(outcome.truth * count + outcome.predicted, minlength=count**2).reshape(count, count)


def _group(name: str, hits: np.ndarray) -> Group:
    right, count = int(hits.sum()), len(hits)
    return Group(name, count, right, wilson(right, count))


def _class_group(name: str, number: int, matrix: np.ndarray) -> ClassGroup:
    right, samples, predicted = (
        int(n) for n in (matrix[number, number], matrix[number].sum(), matrix[:, number].sum())
    )
    precision = right / predicted if predicted else None
    f1 = 2 * right / (samples + predicted) if samples + predicted else None
    return ClassGroup(name, samples, right, wilson(right, samples) if samples else None, predicted, precision, f1)


def _worst(outcome: Outcome, pairs: list[ConfusedPair]) -> list[Worst]:
    """Wrong answers: those with the largest loss, or, where only classes are known, of the most confused pairs."""
    truth, predicted = outcome.truth, outcome.predicted
    wrong = np.flatnonzero(truth != predicted)
    if outcome.logits is None:
        count = {(pair.truth, pair.predicted): pair.count for pair in pairs}
        rank = sorted(wrong.tolist(), key=lambda n: -count[int(truth[n]), int(predicted[n])])[:WORST]
        return [Worst(outcome.ids[n], int(truth[n]), int(predicted[n]), None, None, None) for n in rank]
    loss = cross_entropy(outcome.logits, truth)
    worst = []
    for n in wrong[np.argsort(-loss[wrong], kind="stable")][:WORST].tolist():
        probability = softmax(outcome.logits[n])
        confidence, right = float(probability[predicted[n]]), float(probability[truth[n]])
        worst.append(Worst(outcome.ids[n], int(truth[n]), int(predicted[n]), float(loss[n]), confidence, right))
    return worst
