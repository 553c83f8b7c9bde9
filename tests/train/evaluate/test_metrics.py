import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from train.evaluate.metrics import BINS, calibrate, per_class_mean, summarize, top_k_hits


def test_figures_of_a_small_example():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2]]))
    labels = np.array([0, 2, 0])
    found = summarize(logits, labels)
    assert found["loss"] == pytest.approx(-np.log([0.7, 0.3, 0.5]).mean())
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["class_mean"] == pytest.approx(0.5)  # class 0: both; class 2: none
    assert found["top5"] == 1.0


def test_figures_agree_with_torch():
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 30, (200, 11)).astype(np.float32), random.integers(0, 11, 200)
    found, tensor = summarize(logits, labels), torch.from_numpy(logits)
    assert found["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(tensor, torch.from_numpy(labels))))
    best = tensor.topk(5).indices.numpy()
    assert found["top1"] == (best[:, 0] == labels).mean()
    assert found["top5"] == (best == labels[:, None]).any(axis=1).mean()
    accuracy = [(best[labels == c, 0] == c).mean() for c in range(11)]
    assert found["class_mean"] == pytest.approx(np.mean(accuracy))


def test_equal_logits_count_from_the_smallest_class():
    assert top_k_hits(np.zeros((3, 7)), np.array([0, 4, 5]), 5).tolist() == [True, True, False]
    assert top_k_hits(np.zeros((3, 7)), np.array([0, 1, 5]), 1).tolist() == [True, False, False]
    assert not top_k_hits(np.full((3, 7), np.nan), np.array([0, 1, 5]), 5).any()


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    hits = np.array([True] * 9 + [False])
    assert per_class_mean(hits, np.array([3] * 9 + [8])) == 0.5
    assert np.isnan(per_class_mean(np.zeros(0, bool), np.zeros(0, int)))


def test_figures_agree_with_scikit_learn():
    random = np.random.default_rng(4)
    logits, labels = random.normal(0, 1, (500, 9)), random.integers(0, 9, 500)
    answers = logits.argmax(axis=1)
    assert per_class_mean(answers == labels, labels) == pytest.approx(balanced_accuracy_score(labels, answers))
    hits = top_k_hits(logits, labels, 5).mean()
    assert hits == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=range(9)))


def with_confidence(confidence: np.ndarray) -> np.ndarray:
    """Logits of two classes that predict class 1 with the given probabilities."""
    return np.stack([np.zeros(len(confidence)), np.log(confidence / (1 - confidence))], axis=1)


def test_calibration_by_hand():
    logits = with_confidence(np.array([0.9, 0.92, 0.6, 0.6]))
    found = calibrate(logits, np.array([1, 0, 1, 1]))
    # 0.9 and 0.92 share the bin (0.867, 0.933], of accuracy 1/2 and confidence 0.91; 0.6 is in (0.533, 0.6].
    assert found.ece == pytest.approx((2 * (0.91 - 0.5) + 2 * (1 - 0.6)) / 4)
    assert sum(found.right) == 3
    assert found.wrong == [0] * 13 + [1] + [0]
    assert len(found.edges) == BINS + 1


def test_honest_probabilities_have_almost_no_error():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 50_000)
    truth = (random.random(50_000) < confidence).astype(int)
    assert calibrate(with_confidence(confidence), truth).ece < 0.01


def test_sure_and_half_wrong():
    logits = np.tile([0.0, 60.0], (10, 1))
    assert calibrate(logits, np.arange(10) % 2).ece == pytest.approx(0.5)


def test_calibration_agrees_with_a_plain_loop():
    random = np.random.default_rng(1)
    logits, truth = random.normal(0, 2, (500, 7)), random.integers(0, 7, 500)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = 0.0
    for number in range(BINS):
        inside = [n for n, row in enumerate(probability) if number / BINS < row.max() <= (number + 1) / BINS]
        if inside:
            accuracy = np.mean([logits[n].argmax() == truth[n] for n in inside])
            error += len(inside) / 500 * abs(accuracy - np.mean([probability[n].max() for n in inside]))
    assert calibrate(logits, truth).ece == pytest.approx(error)


def test_bins_of_confidence_agree_with_scikit_learn():
    random = np.random.default_rng(2)
    confidence = random.uniform(0.5, 1, 3000)
    truth = (random.random(3000) < confidence).astype(int)
    found = calibrate(with_confidence(confidence), truth)
    accuracy, mean = calibration_curve(truth, confidence, n_bins=BINS)
    filled = [number for number in range(BINS) if found.right[number] + found.wrong[number]]
    assert [found.accuracy[number] for number in filled] == pytest.approx(accuracy)
    assert [found.confidence[number] for number in filled] == pytest.approx(mean)
