"""How good predictions or logits are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.labels import read_labels
from shards.tables import read_classes
from train.evaluate.logits import Logits
from train.evaluate.metrics import per_class_mean, top_k_hits


@dataclass(frozen=True)
class Outcome:
    """N samples, what they are and what they were predicted to be."""

    source: str  # where the predictions come from
    ids: list[str]
    truth: np.ndarray  # int (N,), classes
    predicted: np.ndarray  # int (N,), classes
    logits: np.ndarray | None  # float (N, C), where known
    classes: list[str]  # C names
    unpredicted: list[str]  # ids of labels without a prediction; not among the N

    def hits(self) -> dict[str, np.ndarray]:
        """bool (N,): top1, and top5 where there are logits."""
        hits = {"top1": self.predicted == self.truth}
        if self.logits is not None:
            hits["top5"] = top_k_hits(self.logits, self.truth, 5)
        return hits

    def scores(self) -> dict[str, float]:
        """top1, class_mean, and top5 where there are logits."""
        hits = self.hits()
        scores = {name: float(values.mean()) for name, values in hits.items()}
        return scores | {"class_mean": per_class_mean(hits["top1"], self.truth)}


def evaluate_predictions(predictions: Path, labels: Path, classes: Path | None = None) -> Outcome:
    """Compare two files `id,class`; `classes` names the classes.

    Raises:
        InputError: a file is unreadable, a prediction has no label, or a class has no name.
    """
    predicted, truth = read_classes_of(predictions), read_classes_of(labels)
    expected = expected_classes(str(predictions), list(predicted), labels, truth)
    answers = np.array(list(predicted.values()))
    count = 1 + int(max(expected.max(), answers.max()))
    names = read_classes(classes) if classes else [str(number) for number in range(count)]
    _check_range(f"{predictions} and {labels}", count, names, str(classes))
    absent = [sample_id for sample_id in truth if sample_id not in predicted]
    return Outcome(str(predictions), list(predicted), expected, answers, None, names, absent)


def evaluate_logits(logits: Logits, labels: Path, classes: Path | None = None) -> Outcome:
    """Compare logits with a file `id,class`; without `classes`, the names are those in the logits file.

    Raises:
        InputError: a file is unreadable, a sample has no label, or a label has no logit or no name.
    """
    truth = read_classes_of(labels)
    expected = expected_classes(logits.source, logits.ids, labels, truth)
    _check_range(str(labels), 1 + int(expected.max()), logits.classes, logits.source)
    names = read_classes(classes) if classes else logits.classes
    if len(names) != len(logits.classes):
        raise InputError(f"{classes}: names {len(names)} classes, {logits.source} has {len(logits.classes)}")
    known = set(logits.ids)
    absent = [sample_id for sample_id in truth if sample_id not in known]
    answers = logits.logits.argmax(axis=1)
    return Outcome(logits.source, logits.ids, expected, answers, logits.logits, names, absent)


def read_classes_of(path: Path) -> dict[str, int]:
    """The class of every id in a file `id,class[,split]`.

    Raises:
        InputError: a wrong row, or no row.
    """
    return {sample_id: label for sample_id, (label, _) in read_labels(path).items()}


def expected_classes(source: str, ids: list[str], labels: Path, truth: dict[str, int]) -> np.ndarray:
    """int (N,): the class of every id that `source` predicts; InputError where one has no label."""
    unknown = [sample_id for sample_id in ids if sample_id not in truth]
    if unknown:
        raise InputError(f"{labels}: no label for {len(unknown)} predictions of {source}, e.g. {unknown[0]}")
    return np.array([truth[sample_id] for sample_id in ids])


def _check_range(source: str, count: int, names: list[str], where: str) -> None:
    if count > len(names):
        raise InputError(f"{source}: class {count - 1} occurs, but {where} has only {len(names)} classes")
