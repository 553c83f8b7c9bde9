"""Accuracy, loss and calibration, from logits or from predictions."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

BINS = 15  # of confidence


def top_k_hits(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """bool (N,): whether the label is among the k largest of (N, C) logits; of equal logits the smaller class counts
    first, as argmax has it.

    Not scikit-learn's `top_k_accuracy_score`: it counts the larger of equal classes first, and gives one number.
    """
    # Counting those before the label takes a fraction of the time of sorting. Not `>`: a NaN is before every label.
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    first_of_equals = (logits == own) & (np.arange(logits.shape[1]) < labels[:, None])
    return (~(logits <= own) | first_of_equals).sum(axis=1) < k


def per_class_mean(hits: np.ndarray, labels: np.ndarray) -> float:
    """The mean over classes of the share of hits among the class's samples: every class counts the same.

    It is scikit-learn's `balanced_accuracy_score`, whose import takes 1 s: `evaluate` without a report takes 0.4 s.
    """
    classes, place = np.unique(labels, return_inverse=True)
    if not len(classes):
        return float("nan")
    return float((np.bincount(place, hits) / np.bincount(place)).mean())


def macro_precision_and_f1(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The means of precision and of F1 over the classes that have samples; the mean of recall is `per_class_mean`.

    A class that is never predicted has precision 0.

    Args:
        truth: int (N,), classes.
        predicted: int (N,).
    """
    classes = np.unique(truth)
    count = 1 + max(int(truth.max()), int(predicted.max()))
    right = np.bincount(truth[truth == predicted], minlength=count)[classes]
    samples = np.bincount(truth, minlength=count)[classes]
    answers = np.bincount(predicted, minlength=count)[classes]
    return float((right / np.maximum(answers, 1)).mean()), float((2 * right / (samples + answers)).mean())


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,): the loss of every sample in nats, for (N, C) logits."""
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def summarize(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1, top-5, per-class mean of top-1, and cross entropy in nats, of float (N, C) logits."""
    top1 = top_k_hits(logits, labels, 1)
    return {
        "loss": float(cross_entropy(logits, labels).mean()),
        "top1": float(top1.mean()),
        "top5": float(top_k_hits(logits, labels, 5).mean()),
        "class_mean": per_class_mean(top1, labels),
    }


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say: of the answers given with 70 % confidence, 70 % should be right.

    Answers are grouped by their confidence, the probability of the predicted class, in bins of equal width.
    """

    ece: float  # expected calibration error
    edges: list[float]  # BINS + 1, from 0 to 1
    right: list[int]  # right answers per bin
    wrong: list[int]
    confidence: list[float]  # mean confidence per bin; 0 in an empty one
    accuracy: list[float]  # share of right answers per bin; 0 in an empty one


def calibrate(logits: np.ndarray, truth: np.ndarray) -> Calibration:
    """The calibration of (N, C) logits against classes int (N,).

    ECE as Guo et al. ("On calibration of modern neural networks", 2017) have it: the mean of |accuracy - confidence|
    over 15 bins, weighted by their samples. scikit-learn's `calibration_curve` has the same bins and means, but neither
    the samples in each, which the error and the page need, nor the empty ones.
    """
    probability = softmax(logits, axis=1)
    confidence, hits = probability.max(axis=1), probability.argmax(axis=1) == truth
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(edges[1:-1], confidence)  # bins include their upper edge
    count = np.bincount(place, minlength=BINS)
    right = np.bincount(place, hits, minlength=BINS)
    some = np.maximum(count, 1)
    mean = np.bincount(place, confidence, minlength=BINS) / some
    return Calibration(
        ece=float((count * abs(right / some - mean)).sum() / len(truth)),
        edges=edges.tolist(),
        right=right.astype(int).tolist(),
        wrong=(count - right).astype(int).tolist(),
        confidence=mean.tolist(),
        accuracy=(right / some).tolist(),
    )
