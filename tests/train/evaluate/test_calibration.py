import numpy as np
import pytest

from train.evaluate.calibration import BINS, calibrate


def with_confidence(confidence: np.ndarray) -> np.ndarray:
    """Logits of two classes that predict class 1 with the given probabilities."""
    return np.stack([np.zeros(len(confidence)), np.log(confidence / (1 - confidence))], axis=1)


def test_by_hand():
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


def test_agrees_with_a_plain_loop():
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
