import itertools

import numpy as np
import pytest

from shards.errors import InputError
from train.evaluate.fusion import choose_weights, fuse, parse_weights
from train.evaluate.logits import Logits

CLASSES = 6


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def models(*strengths: float, samples: int = 400) -> tuple[list[Logits], np.ndarray]:
    """Models whose right class stands out by `strengths`, with independent noise, and the labels."""
    random = np.random.default_rng(7)
    labels = random.integers(0, CLASSES, samples)
    ids, names = [f"signer1_sample{n}" for n in range(samples)], [f"sign {n}" for n in range(CLASSES)]
    parts = []
    for strength in strengths:
        logits = random.normal(0, 1, (samples, CLASSES))
        logits[np.arange(samples), labels] += strength
        parts.append(Logits(f"model {strength}", ids, logits, names))
    return parts, labels


def loss(parts: list[Logits], weights: np.ndarray, labels: np.ndarray) -> float:
    mixed = sum(weight * softmax(part.logits) for part, weight in zip(parts, weights, strict=True))
    return float(-np.log(mixed[np.arange(len(labels)), labels]).mean())


def test_fused_probabilities_are_the_weighted_mean():
    parts, _ = models(1.0, 2.0)
    fused = fuse(parts, np.array([0.3, 0.7]))
    expected = 0.3 * softmax(parts[0].logits) + 0.7 * softmax(parts[1].logits)
    np.testing.assert_allclose(softmax(fused.logits), expected, atol=1e-12)
    np.testing.assert_allclose(np.exp(fused.logits), expected, atol=1e-12)


def test_weight_one_is_the_model_alone():
    parts, _ = models(1.0, 2.0)
    np.testing.assert_allclose(softmax(fuse(parts, np.array([0.0, 1.0])).logits), softmax(parts[1].logits))
    assert fuse(parts[:1], np.array([1.0])) is parts[0]


def test_a_models_scale_does_not_outvote_the_others():
    parts, labels = models(2.0, 0.0)
    loud = Logits("loud", parts[1].ids, 1000 * parts[1].logits, parts[1].classes)
    fused = fuse([parts[0], loud], np.array([0.9, 0.1]))
    alone = (parts[0].logits.argmax(axis=1) == labels).mean()
    assert (fused.logits.argmax(axis=1) == labels).mean() == pytest.approx(alone, abs=0.03)
    # Summed logits would follow the loud model, which knows nothing.
    summed = 0.9 * parts[0].logits + 0.1 * loud.logits
    assert (summed.argmax(axis=1) == labels).mean() < 0.3 < 0.7 < alone


@pytest.mark.parametrize("strengths", [(1.5, 1.6), (0.5, 2.5), (2.0, 2.0, 1.0)])
def test_no_weights_of_a_grid_are_better_than_the_chosen(strengths):
    parts, labels = models(*strengths)
    chosen = choose_weights(parts, labels)
    assert chosen.sum() == pytest.approx(1)
    best = loss(parts, chosen, labels)
    grid = [np.array(w) / 20 for w in itertools.product(range(21), repeat=len(parts)) if sum(w) == 20]
    assert best <= min(loss(parts, weights, labels) for weights in grid) + 1e-6


def test_the_better_model_gets_more_and_a_useless_one_nothing():
    parts, labels = models(1.0, 3.0)
    assert choose_weights(parts, labels)[1] > 0.8
    parts, labels = models(3.0, -3.0)
    assert choose_weights(parts, labels)[1] < 0.01


def test_models_that_rule_out_every_right_class_break_nothing():
    parts, labels = models(-2000.0, -1500.0)
    assert np.isfinite(choose_weights(parts, labels)).all()


def test_parse_weights():
    assert parse_weights("3,1", 2).tolist() == [0.75, 0.25]
    for text in ("1", "1,2,3", "a,b", "1,-1", "0,0", "nan,1", "inf,1", "1e308,1e308", "1,"):
        with pytest.raises(InputError):
            parse_weights(text, 2)
