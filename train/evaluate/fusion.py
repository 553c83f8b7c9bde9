"""Late fusion: one answer from the logits of several models.

The fused probability of a class is the weighted mean of the models' softmax probabilities (the linear opinion pool), as
in two-stream networks (Simonyan and Zisserman, 2014) and deep ensembles (Lakshminarayanan et al., 2017). Kittler et al.
("On combining classifiers", 1998) found this sum rule to suffer least from errors in the models' probabilities. The
other usual choice, a weighted sum of logits, lets a model with larger logits outvote the others, whatever its weight
says, and its weights have no best value that can be found for certain; here the likelihood is concave in the weights.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from shards.errors import InputError
from shards.files import write_whole
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
    models = tuple(replace(model, weight=model.weight * weight) for part, weight in used for model in part.models)
    return Logits(source, parts[0].ids, np.logaddexp.reduce(terms, axis=0), parts[0].classes, models)


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


def parse_weights(text: str | None, models: int) -> np.ndarray:
    """The weights in `0.6,0.4`, or in a file of `write_weights`, divided by their sum; None: equal ones.

    Raises:
        InputError: not as many numbers as models, a negative one, only zeros, or not such a file.
    """
    if text is None:
        return np.full(models, 1 / models)
    try:
        numbers = _read_weights(Path(text)) if text.endswith(".json") else text.split(",")
        weights = [float(number) for number in numbers]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"--weights {text}: expected numbers such as 0.6,0.4, or a .json file of `evaluate --save-weights`"
        ) from error
    return model_weights(weights, models, f"--weights {text}")


def model_weights(numbers: Sequence[float], models: int, source: str) -> np.ndarray:
    """Weights of models, divided by their sum; `source` is named in errors.

    Raises:
        InputError: not as many numbers as models, a negative one, or only zeros.
    """
    weights = np.array(numbers, float)
    if len(weights) != models:
        raise InputError(f"{source}: {len(weights)} weights for {models} models; give one for each")
    if (weights < 0).any() or not 0 < sum(numbers) < np.inf:
        raise InputError(f"{source}: weights are 0 or more, and not all 0")
    return weights / weights.sum()


def write_weights(path: Path, weights: np.ndarray, sources: Sequence[str]) -> None:
    """Write weights as JSON, and, for people to read, which logits they were chosen on.

    Raises:
        OSError: the file cannot be written.
    """
    value = {"weights": weights.tolist(), "chosen_on": list(sources)}
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _read_weights(path: Path) -> list[float]:
    """ValueError, TypeError or KeyError where it is not such a file."""
    try:
        return json.loads(path.read_bytes())["weights"]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `evaluate --save-weights` writes it") from error
