"""Accuracy, from logits or from predictions."""

import numpy as np


def top_k_hits(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """bool (N,): whether the label is among the k largest of (N, C) logits; of equal logits the smaller class counts
    first."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return (order == labels[:, None]).any(axis=1)


def per_class_mean(hits: np.ndarray, labels: np.ndarray) -> float:
    """The mean over classes of the share of hits among the class's samples: every class counts the same."""
    classes, place = np.unique(labels, return_inverse=True)
    if not len(classes):
        return float("nan")
    return float((np.bincount(place, hits) / np.bincount(place)).mean())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the probabilities that (N, C) logits stand for."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities that (N, C) logits stand for."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,): the loss of every sample in nats, for (N, C) logits."""
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def summarise(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1, top-5, per-class mean of top-1, and cross entropy in nats, of float (N, C) logits."""
    top1 = top_k_hits(logits, labels, 1)
    return {
        "loss": float(cross_entropy(logits, labels).mean()),
        "top1": float(top1.mean()),
        "top5": float(top_k_hits(logits, labels, 5).mean()),
        "class_mean": per_class_mean(top1, labels),
    }
