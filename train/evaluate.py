"""How good predictions are. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from train.labels import read_labels
from train.metrics import per_class_mean


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of predictions."""

    count: int
    hits: int
    class_mean: float

    @property
    def top1(self) -> float:
        """Share of samples whose predicted class is the right one."""
        return self.hits / self.count


def evaluate_predictions(predictions: Path, labels: Path) -> Evaluation:
    """Compare two files `id,class`. Every prediction needs a label; labels without a prediction are not counted.

    Raises:
        InputError: a file is unreadable, or a prediction has no label.
    """
    predicted, truth = read_labels(predictions), read_labels(labels)
    unknown = [sample_id for sample_id in predicted if sample_id not in truth]
    if unknown:
        raise InputError(f"{labels}: no label for {len(unknown)} predictions of {predictions}, e.g. {unknown[0]}")
    expected = np.array([truth[sample_id] for sample_id in predicted])
    hits = np.array(list(predicted.values())) == expected
    return Evaluation(len(hits), int(hits.sum()), per_class_mean(hits, expected))
