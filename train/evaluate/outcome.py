"""How good predictions or logits are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.labels import label_names, read_classes
from train.evaluate.logits import Logits, ModelRecord
from train.evaluate.metrics import macro_precision_and_f1, per_class_mean, top_k_hits
from train.evaluate.truth import Truth, truth_of_file


@dataclass(frozen=True)
class Outcome:
    """N samples, what they are and what they were predicted to be."""

    source: str  # where the predictions come from
    labels: str  # where the truth comes from
    ids: list[str]
    truth: np.ndarray  # int (N,), classes
    predicted: np.ndarray  # int (N,), classes
    logits: np.ndarray | None  # float (N, C), where known
    classes: list[str]  # C names
    unpredicted: list[str]  # ids of labels without a prediction; not among the N
    models: tuple[ModelRecord, ...] = ()  # that gave the logits, where they say it

    def hits(self) -> dict[str, np.ndarray]:
        """bool (N,): top1 and, where there are logits, top5 and top10, each of more classes than that."""
        hits = {"top1": self.predicted == self.truth}
        if self.logits is not None:
            ranks = [k for k in (5, 10) if k < self.logits.shape[1]]
            hits |= {f"top{k}": top_k_hits(self.logits, self.truth, k) for k in ranks}
        return hits

    def measures(self) -> dict[str, float]:
        """The shares of hits, class_mean (the mean of the classes' recall), macro precision and f1."""
        hits = self.hits()
        shares = {name: float(values.mean()) for name, values in hits.items()}
        precision, f1 = macro_precision_and_f1(self.truth, self.predicted)
        return shares | {"class_mean": per_class_mean(hits["top1"], self.truth), "precision": precision, "f1": f1}


def evaluate_predictions(predictions: Path, truth: Truth, classes: Path | None) -> Outcome:
    """Compare a file `id,class` with the labels; `classes` names the classes.

    Predictions that are names are numbered as the labels are.

    Raises:
        InputError: a file is unreadable, a prediction has no label, or a class has no name.
    """
    if truth.names is None and label_names(predictions):
        raise InputError(f"{predictions}: its classes are names, those of {truth.source} numbers; give --classes")
    predicted = truth_of_file(predictions, truth.names).labels
    expected = truth.of(list(predicted), str(predictions))
    answers = np.array(list(predicted.values()))
    count = 1 + int(max(expected.max(), answers.max()))
    names = _named(classes, truth.names, truth.source) or [str(number) for number in range(count)]
    _check_range(f"{predictions} and {truth.source}", count, names, str(classes))
    absent = [sample_id for sample_id in truth.labels if sample_id not in predicted]
    return Outcome(str(predictions), truth.source, list(predicted), expected, answers, None, names, absent)


def evaluate_logits(logits: Logits, truth: Truth, classes: Path | None) -> Outcome:
    """Compare logits with the labels; without `classes`, the names are those in the logits file.

    Raises:
        InputError: a file is unreadable, a sample has no label, or a label has no logit or no name.
    """
    expected = truth.of(logits.ids, logits.source)
    _check_range(truth.source, 1 + int(expected.max()), logits.classes, logits.source)
    names = _named(classes, logits.classes, logits.source) or logits.classes
    if len(names) != len(logits.classes):
        raise InputError(f"{classes}: names {len(names)} classes, {logits.source} has {len(logits.classes)}")
    known, scores = set(logits.ids), logits.logits
    absent = [sample_id for sample_id in truth.labels if sample_id not in known]
    answers = scores.argmax(axis=1)
    return Outcome(logits.source, truth.source, logits.ids, expected, answers, scores, names, absent, logits.models)


def _named(classes: Path | None, known: Sequence[str] | None, source: str) -> list[str] | None:
    """The names in the file `classes`, if there is one."""
    if not classes:
        return None
    names = read_classes(classes)
    check_order(str(classes), names, source, known or ())
    return names


def check_order(source: str, names: Sequence[str], other_source: str, others: Sequence[str]) -> None:
    """InputError for the same classes in another order: a number would name one class here and another there."""
    if sorted(names) == sorted(others) and list(names) != list(others):
        number = next(number for number, name in enumerate(names) if name != others[number])
        raise InputError(
            f"{source}: has the classes of {other_source} in another order: class {number} is {names[number]!r} here "
            f"and {others[number]!r} there; give files of one order"
        )


def _check_range(source: str, count: int, names: list[str], where: str) -> None:
    if count > len(names):
        raise InputError(f"{source}: class {count - 1} occurs, but {where} has only {len(names)} classes")
