import numpy as np
import pytest
import torch

from train.evaluate.metrics import per_class_mean, summarise, top_k_hits


def test_figures_of_a_small_example():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2]]))
    labels = np.array([0, 2, 0])
    found = summarise(logits, labels)
    assert found["loss"] == pytest.approx(-np.log([0.7, 0.3, 0.5]).mean())
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["class_mean"] == pytest.approx(0.5)  # class 0: both; class 2: none
    assert found["top5"] == 1.0


def test_figures_agree_with_torch():
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 30, (200, 11)).astype(np.float32), random.integers(0, 11, 200)
    found, tensor = summarise(logits, labels), torch.from_numpy(logits)
    assert found["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(tensor, torch.from_numpy(labels))))
    best = tensor.topk(5).indices.numpy()
    assert found["top1"] == (best[:, 0] == labels).mean()
    assert found["top5"] == (best == labels[:, None]).any(axis=1).mean()
    accuracy = [(best[labels == c, 0] == c).mean() for c in range(11)]
    assert found["class_mean"] == pytest.approx(np.mean(accuracy))


def test_equal_logits_count_from_the_smallest_class():
    assert top_k_hits(np.zeros((3, 7)), np.array([0, 4, 5]), 5).tolist() == [True, True, False]
    assert top_k_hits(np.zeros((3, 7)), np.array([0, 1, 5]), 1).tolist() == [True, False, False]


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    hits = np.array([True] * 9 + [False])
    assert per_class_mean(hits, np.array([3] * 9 + [8])) == 0.5
    assert np.isnan(per_class_mean(np.zeros(0, bool), np.zeros(0, int)))
