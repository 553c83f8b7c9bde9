"""How good predictions or logits are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.labels import read_classes
from train.evaluate.logits import Logits, ModelRecord
from train.evaluate.metrics import macro_precision_and_f1, per_class_mean, top_k_hits
from train.evaluate.truth import Truth, truth_of_file


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
    models: tuple[ModelRecord, ...] = ()  # that gave the logits, where they say it

    def hits(self) -> dict[str, np.ndarray]:
        """bool (N,): top1 and, where there are logits, top5 and top10, each of more classes than that."""
        hits = {"top1": self.predicted == self.truth}
        if self.logits is not None:
            ranks = [k for k in (5, 10) if k < self.logits.shape[1]]
            hits |= {f"top{k}": top_k_hits(self.logits, self.truth, k) for k in ranks}
        return hits

    def scores(self) -> dict[str, float]:
        """The shares of hits, and class_mean, the mean of the classes' recall."""
        hits = self.hits()
        scores = {name: float(values.mean()) for name, values in hits.items()}
        return scores | {"class_mean": per_class_mean(hits["top1"], self.truth)}

    def measures(self) -> dict[str, float]:
        """The scores, macro precision and macro F1."""
        precision, f1 = macro_precision_and_f1(self.truth, self.predicted)
        return self.scores() | {"precision": precision, "f1": f1}


def evaluate_predictions(predictions: Path, truth: Truth, classes: Path | None = None) -> Outcome:
    """Compare a file `id,class` with the labels; `classes` names the classes.

    Raises:
        InputError: a file is unreadable, a prediction has no label, or a class has no name.
    """
    predicted = truth_of_file(predictions).labels
    expected = truth.of(list(predicted), str(predictions))
    answers = np.array(list(predicted.values()))
    count = 1 + int(max(expected.max(), answers.max()))
    names = read_classes(classes) if classes else [str(number) for number in range(count)]
    _check_range(f"{predictions} and {truth.source}", count, names, str(classes))
    absent = [sample_id for sample_id in truth.labels if sample_id not in predicted]
    return Outcome(str(predictions), list(predicted), expected, answers, None, names, absent)


def evaluate_logits(logits: Logits, truth: Truth, classes: Path | None = None) -> Outcome:
    """Compare logits with the labels; without `classes`, the names are those in the logits file.

    Raises:
        InputError: a file is unreadable, a sample has no label, or a label has no logit or no name.
    """
    expected = truth.of(logits.ids, logits.source)
    _check_range(truth.source, 1 + int(expected.max()), logits.classes, logits.source)
    names = read_classes(classes) if classes else logits.classes
    if len(names) != len(logits.classes):
        raise InputError(f"{classes}: names {len(names)} classes, {logits.source} has {len(logits.classes)}")
    known = set(logits.ids)
    absent = [sample_id for sample_id in truth.labels if sample_id not in known]
    answers = logits.logits.argmax(axis=1)
    return Outcome(logits.source, logits.ids, expected, answers, logits.logits, names, absent, logits.models)


def _check_range(source: str, count: int, names: list[str], where: str) -> None:
    if count > len(names):
        raise InputError(f"{source}: class {count - 1} occurs, but {where} has only {len(names)} classes")
