"""Whether probabilities mean what they say: of the answers given with 70 % confidence, 70 % should be right."""

from dataclasses import dataclass

import numpy as np

from train.evaluate.metrics import softmax

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Answers grouped by their confidence, the probability of the predicted class, in bins of equal width."""

    ece: float  # expected calibration error
    edges: list[float]  # BINS + 1, from 0 to 1
    right: list[int]  # right answers per bin
    wrong: list[int]
    confidence: list[float]  # mean confidence per bin; 0 in an empty one
    accuracy: list[float]  # share of right answers per bin; 0 in an empty one


def calibrate(logits: np.ndarray, truth: np.ndarray) -> Calibration:
    """The calibration of (N, C) logits against classes int (N,).

    ECE as Guo et al. ("On calibration of modern neural networks", 2017) have it: the mean of |accuracy - confidence|
    over 15 bins, weighted by their samples.
    """
    probability = softmax(logits)
    confidence, hits = probability.max(axis=1), probability.argmax(axis=1) == truth
    # Bins include their upper edge; 1.0 falls into the last.
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    right = np.bincount(place, hits, minlength=BINS)
    some = np.maximum(count, 1)
    mean = np.bincount(place, confidence, minlength=BINS) / some
    ece = float((count * abs(right / some - mean)).sum() / len(truth))
    return Calibration(
        ece,
        np.linspace(0, 1, BINS + 1).tolist(),
        right.astype(int).tolist(),
        (count - right).astype(int).tolist(),
        mean.tolist(),
        (right / some).tolist(),
    )
