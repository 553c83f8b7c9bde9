"""Protocols beside one split: folds, one signer left out at a time, a few samples of each class."""

import numpy as np

from shards.commands.split_plan import LabeledSamples, by_sample, by_signer, need_signers
from shards.errors import InputError
from shards.names import is_split_name


def folds(samples: LabeledSamples, count: int, by: str, seed: int) -> list[str]:
    """The fold of every sample, "1" to `count`: about equal shares of every class, and no signer in two of them.

    Args:
        samples: what is divided.
        count: how many folds.
        by: "signer", or "sample" for folds that do not care who signs.
        seed: of the order in which signers or samples are dealt out.

    Raises:
        InputError: fewer signers (or samples) than folds, or samples without a signer.
    """
    divide = by_signer if by == "signer" else by_sample
    return divide(samples, [1 / count] * count, [str(number + 1) for number in range(count)], seed)


def one_signer_each(samples: LabeledSamples) -> list[str]:
    """The fold of every sample where each signer is one: it is named as the signer.

    Raises:
        InputError: one signer only, samples without a signer, or a signer whose name can be none of a fold.
    """
    need_signers(samples)
    if len(set(samples.signers)) < 2:
        raise InputError(f"--leave-one-signer-out: signer {samples.signers[0]} is the only one")
    for signer in samples.signers:
        if not is_split_name(signer):
            raise InputError(f"--leave-one-signer-out: {signer!r} cannot name a fold; rename this signer")
    return samples.signers


def few_per_class(samples: LabeledSamples, count: int, seed: int) -> list[int]:
    """The places of `count` samples of every class, in order; which ones depends on the seed alone.

    With the same seed, the samples for a smaller count are among those for a larger one.

    Raises:
        InputError: a class has fewer samples.
    """
    order = np.random.default_rng(seed).permutation(len(samples.ids)).tolist()
    chosen: dict[int | None, list[int]] = {}
    for place in order:
        of_class = chosen.setdefault(samples.labels[place], [])
        if len(of_class) < count:
            of_class.append(place)
    for label, places in chosen.items():
        if len(places) < count:
            raise InputError(f"--per-class {count}: class {label} has only {len(places)} samples to choose from")
    return sorted(place for places in chosen.values() for place in places)
