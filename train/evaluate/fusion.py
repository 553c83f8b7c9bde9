"""Late fusion: one answer from the logits of several models.

The fused probability of a class is the weighted mean of the models' softmax probabilities (the linear opinion pool), as
in two-stream networks (Simonyan and Zisserman, 2014) and deep ensembles (Lakshminarayanan et al., 2017). Kittler et al.
("On combining classifiers", 1998) found this sum rule to suffer least from errors in the models' probabilities. The
other usual choice, a weighted sum of logits, lets a model with larger logits outvote the others, whatever its weight
says, and its weights have no best value that can be found for certain; here the likelihood is concave in the weights.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

from shards.errors import InputError
from train.evaluate.logits import Logits

MOST_STEPS = 10_000
# In nats per sample: far below what any validation set can resolve.
SMALLEST_GAIN = 1e-10


def fuse(parts: Sequence[Logits], weights: np.ndarray) -> Logits:
    """The models' weighted mean probabilities, as logits: the fused logits are the logarithms of those means.

    Args:
        parts: about the same ids and classes in the same order.
        weights: float (M,), not negative, of sum 1.
    """
    if len(parts) == 1:
        return parts[0]
    used = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight > 0]
    terms = np.stack([log_softmax(part.logits, axis=1) + np.log(weight) for part, weight in used])
    source = " + ".join(f"{weight:.3g}·{part.source}" for part, weight in zip(parts, weights, strict=True))
    return Logits(source, parts[0].ids, np.logaddexp.reduce(terms, axis=0), parts[0].classes)


def choose_weights(parts: Sequence[Logits], labels: np.ndarray) -> np.ndarray:
    """The weights, float (M,), under which the fused probabilities of the right classes have the largest product.

    The mean log-likelihood is concave in the weights of a mixture, so that expectation maximization (Dempster, Laird
    and Rubin, 1977) finds its one maximum, for any number of models and without a grid. Accuracy as the criterion would
    be a staircase: on a few thousand samples, its best step is mostly chance.

    Args:
        parts: about the same ids and classes in the same order.
        labels: int (N,), the right classes.
    """
    rows = np.arange(len(labels))
    log_likelihood = np.stack([log_softmax(part.logits, axis=1)[rows, labels] for part in parts])
    # Relative to each sample's best model: a weight does not change with it, and nothing underflows for all models.
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=0))
    weights = np.full(len(parts), 1 / len(parts))
    before = -np.inf
    for _ in range(MOST_STEPS):
        mixed = weights @ likelihood
        reached = float(np.log(mixed).mean())
        if reached - before < SMALLEST_GAIN:
            break
        before = reached
        weights = weights * (likelihood / mixed).mean(axis=1)
    return weights / weights.sum()


def parse_weights(text: str, models: int) -> np.ndarray:
    """The weights in `0.6,0.4`, divided by their sum.

    Raises:
        InputError: not as many numbers as models, a negative one, or only zeros.
    """
    try:
        weights = np.array([float(part) for part in text.split(",")])
    except ValueError as error:
        raise InputError(f"--weights {text}: expected numbers such as 0.6,0.4") from error
    if len(weights) != models:
        raise InputError(f"--weights {text}: {len(weights)} weights for {models} files of --logits; give one for each")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum():
        raise InputError(f"--weights {text}: weights are 0 or more, and not all 0")
    return weights / weights.sum()
