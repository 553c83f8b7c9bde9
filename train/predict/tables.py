"""CSV of the k most likely classes: per clip, or per window of a clip."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shards.files import whole_file
from train.evaluate.metrics import softmax

HEADER = ("id", "rank", "class", "name", "probability")
SLIDING_HEADER = ("id", "start", "end", *HEADER[1:])


def likeliest(logits: np.ndarray, count: int) -> list[tuple[int, float]]:
    """The `count` most likely classes (all, where there are fewer) of logits (C,), with their softmax probabilities."""
    probability = softmax(logits[None].astype(np.float64))[0]
    # Stable: of two equally likely classes the first, as argmax has it.
    best = np.argsort(-probability, kind="stable")[:count]
    return [(int(label), float(probability[label])) for label in best]


def write_ranked(
    path: Path,
    rows: Sequence[tuple[str, np.ndarray]],
    classes: Sequence[str],
    count: int,
    times: np.ndarray | None = None,
) -> None:
    """Write a header and `count` lines for each of N rows, the likeliest class first.

    Args:
        path: of the CSV.
        rows: N ids, each with its logits (C,).
        classes: names.
        count: lines per row.
        times: float (N, 2), start and end of each row's window in seconds; None: without these two columns.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER if times is None else SLIDING_HEADER)
        for number, (sample_id, logits) in enumerate(rows):
            when = [] if times is None else [f"{second:.3f}" for second in times[number]]
            for rank, (label, probability) in enumerate(likeliest(logits, count), 1):
                table.writerow([sample_id, *when, rank, label, classes[label], f"{probability:.6f}"])
