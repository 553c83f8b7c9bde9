"""Predictions and the files they are written to: `id,class`, the likeliest classes, and logits as `.npz`.

Ids are written as they are. One that begins with =, +, - or @ is a formula to a spreadsheet that opens the CSV.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from shards.csv_files import write_rows
from shards.files import whole_file
from train.evaluate.logits import ModelRecord

HEADER = ("id", "rank", "class", "name", "probability")
SLIDING_HEADER = ("id", "start", "end", *HEADER[1:])


@dataclass(frozen=True, repr=False)
class Prediction:
    """Logits of some samples or, with `times`, of windows of samples, whose ids are then repeated."""

    ids: list[str]
    logits: np.ndarray  # float32 (N, C)
    classes: list[str]  # C names
    times: np.ndarray | None = None  # float64 (N, 2): start and end of each window, in seconds
    models: tuple[ModelRecord, ...] = ()  # that gave the logits

    def best(self, count: int = 1) -> list[list[tuple[str, float]]]:
        """Of each sample or window the `count` most likely classes: name and probability."""
        return [[(self.classes[label], share) for label, share in likeliest(row, count)] for row in self.logits]

    def ordered(self, template: Sequence[str] | None) -> "Prediction":
        """The rows of a template's ids that were predicted, in its order; without one all by id, a clip's windows as
        they come."""
        if template is None:
            rows = np.argsort(np.array(self.ids), kind="stable")
        else:
            place = {sample_id: number for number, sample_id in enumerate(self.ids)}
            rows = np.array([place[sample_id] for sample_id in template if sample_id in place], int)
        times = None if self.times is None else self.times[rows]
        return replace(self, ids=[self.ids[row] for row in rows.tolist()], logits=self.logits[rows], times=times)

    def __repr__(self) -> str:
        first = f"{self.ids[0]}: {self.best()[0][0][0]}" if self.ids else "none"
        return f"<Prediction of {len(self.ids)}, {len(self.classes)} classes; {first}{', …' * (len(self.ids) > 1)}>"


def likeliest(logits: np.ndarray, count: int) -> list[tuple[int, float]]:
    """The `count` most likely classes (all, where there are fewer) of logits (C,), with their softmax probabilities."""
    probability = softmax(logits.astype(np.float64))
    # Stable: of two equally likely classes the first, as argmax has it.
    best = np.argsort(-probability, kind="stable")[:count]
    return [(int(label), float(probability[label])) for label in best]


def write_classes(path: Path, prediction: Prediction) -> None:
    """Write `id,class` for every id.

    Raises:
        OSError: the file cannot be written.
    """
    write_rows(path, zip(prediction.ids, prediction.logits.argmax(axis=1), strict=True))


def write_likeliest(path: Path, prediction: Prediction, count: int) -> None:
    """Write a header and, for every id or every window, a line for each of the `count` most likely classes.

    Raises:
        OSError: the file cannot be written.
    """
    rows: list[Sequence[object]] = [HEADER if prediction.times is None else SLIDING_HEADER]
    for number, (sample_id, logits) in enumerate(zip(prediction.ids, prediction.logits, strict=True)):
        times = [] if prediction.times is None else [f"{second:.3f}" for second in prediction.times[number]]
        for rank, (label, probability) in enumerate(likeliest(logits, count), 1):
            rows.append([sample_id, *times, rank, label, prediction.classes[label], f"{probability:.6f}"])
    write_rows(path, rows)


def write_logits(path: Path, prediction: Prediction) -> None:
    """Write `ids`, `logits` (N, C), `classes` and `models`, a line of JSON each, as a `.npz` file that loads without
    unpickling.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        ids, classes = np.array(prediction.ids), np.array(prediction.classes)
        models = np.array([model.to_json() for model in prediction.models], dtype=np.str_)
        np.savez(file, ids=ids, logits=prediction.logits, classes=classes, models=models)
