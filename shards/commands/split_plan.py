"""Dividing samples into splits: pure functions of ids, classes, signers and a seed.

Not by scikit-learn: its StratifiedGroupKFold makes folds of one size and its GroupShuffleSplit looks at no classes, so
neither divides by shares. On AUTSL's 28,142 labels and fifths, over five seeds, their misfit (see `_misfit`) was 14 to
171 and 30 to 1,241, that of `by_signer` 7. People also have splits from seeds of ours, which must stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shards.errors import InputError
from shards.names import signer_order


@dataclass(frozen=True)
class LabeledSamples:
    """N samples to be divided."""

    ids: list[str]
    labels: list[int | None]  # class
    signers: list[str]  # "" where unknown

    def take(self, places: Sequence[int]) -> "LabeledSamples":
        """The samples at these places."""
        columns = ([column[place] for place in places] for column in (self.ids, self.labels, self.signers))
        return LabeledSamples(*columns)  # type: ignore[arg-type]  # zip and map lose the columns' types


def hold_out(samples: LabeledSamples, signers: list[str], names: tuple[str, str]) -> list[str]:
    """The split of every sample: `names[1]` for those signers, `names[0]` for the others.

    Raises:
        InputError: a signer that has no sample, nobody left over, or samples without a signer.
    """
    need_signers(samples)
    known = set(samples.signers)
    if unknown := [signer for signer in signers if signer not in known]:
        listed = _listed(sorted(known, key=signer_order), 50)
        raise InputError(f"--holdout-signers: no sample of signer {', '.join(unknown)}; there are {listed}")
    if not known - set(signers):
        raise InputError("--holdout-signers: these are all the signers; somebody must be left to train on")
    return [names[signer in signers] for signer in samples.signers]


def by_signer(samples: LabeledSamples, fractions: list[float], names: list[str], seed: int) -> list[str]:
    """The split of every sample: no signer on two sides, and every class divided about as `fractions` say.

    Signers, in an order drawn from the seed, go one by one where they make the least misfit (see `_misfit`); then one
    moves, or two change places, as long as that makes it less. So a split is good, not always the best there is.

    Raises:
        InputError: fewer signers than splits, or samples without a signer.
    """
    need_signers(samples)
    signers, signer = np.unique(samples.signers, return_inverse=True)
    if len(signers) < len(fractions):
        raise InputError(f"{len(signers)} signers cannot make {len(fractions)} splits of whole signers")
    _, classes = np.unique([-1 if label is None else label for label in samples.labels], return_inverse=True)
    counts = np.zeros((len(signers), classes.max() + 1))
    np.add.at(counts, (signer, classes), 1)
    side = _greedy(counts, np.array(fractions), np.random.default_rng(seed).permutation(len(signers)))
    side = _improve(counts, np.array(fractions), side)
    return [names[split] for split in side[signer].tolist()]


def by_sample(samples: LabeledSamples, fractions: list[float], names: list[str], seed: int) -> list[str]:
    """The split of every sample: every class divided as `fractions`, whoever signs.

    Class by class, in an order within it that is drawn from the seed, every sample goes to the split that is furthest
    behind its share; so all shares, of every class and in all, are met to about a sample.

    Raises:
        InputError: a split would be empty.
    """
    order = np.random.default_rng(seed).permutation(len(samples.ids))
    order = order[np.argsort([-1 if samples.labels[i] is None else samples.labels[i] for i in order], kind="stable")]
    counts, result = np.zeros(len(fractions)), [""] * len(order)
    for done, sample in enumerate(order.tolist(), 1):
        split = int(np.argmax(np.array(fractions) * done - counts))
        counts[split] += 1
        result[sample] = names[split]
    if not counts.all():
        empty = names[int(np.argmin(counts))]
        raise InputError(f"--fractions: {empty} would have none of the {len(order)} samples; give it a larger share")
    return result


def leaking_signers(signers: list[str], splits: list[str]) -> dict[str, list[str]]:
    """The signers who are in more than one split, and in which."""
    found: dict[str, set[str]] = {}
    for signer, split in zip(signers, splits, strict=True):
        found.setdefault(signer, set()).add(split)
    leaks = {signer: sorted(names) for signer, names in found.items() if signer and len(names) > 1}
    return dict(sorted(leaks.items(), key=lambda item: signer_order(item[0])))


def describe(samples: LabeledSamples, splits: list[str], kind: str = "") -> list[str]:
    """A line per split: samples, classes, signers; then what is wrong with the division, if anything is.

    Args:
        samples: N samples.
        splits: the split of each.
        kind: what stands before a split's name, such as "fold ".
    """
    lines = []
    classes = {label for label in samples.labels if label is not None}
    places: dict[str, list[int]] = {}
    for i, split in enumerate(splits):
        places.setdefault(split, []).append(i)
    for name in sorted(places, key=signer_order):
        inside = places[name]
        here = {samples.labels[i] for i in inside} - {None}
        signers = sorted({samples.signers[i] for i in inside} - {""}, key=signer_order)
        lines.append(
            f"{kind}{name}: {len(inside)} samples ({len(inside) / len(splits):.1%}), "
            f"{len(here)} of {len(classes)} classes, {len(signers)} signers ({_listed(signers, 12)})"
        )
        if absent := sorted(classes - here):
            lines.append(f"warning: {kind}{name} has no sample of class {_listed(absent, 20)}")
    if leaks := leaking_signers(samples.signers, splits):
        signer, names = next(iter(leaks.items()))
        lines.append(
            f"warning: {len(leaks)} signers are in several {kind.strip() or 'split'}s "
            f"(signer {signer} in {' and '.join(names)}): "
            "accuracy will say nothing about people who were not seen in training"
        )
    return lines


def _listed(values: Sequence[Any], most: int) -> str:
    return ", ".join(map(str, values[:most])) + (", …" if len(values) > most else "")


def need_signers(samples: LabeledSamples) -> None:
    """InputError where a sample's signer is not known."""
    if "" in samples.signers:
        sample_id = samples.ids[samples.signers.index("")]
        raise InputError(
            f"no signer is known of {sample_id}: ids must be signer<S>_sample<N>, or give --labels a clip list with a "
            "column signer, or --shards whose clip list had one"
        )


def _misfit(counts: np.ndarray, fractions: np.ndarray, side: np.ndarray) -> float:
    """Chi-square distance of the splits' class counts from their shares; `counts` is (signers, classes), `side` the
    split of each signer (-1: none yet). An empty split counts as infinitely bad."""
    found = np.stack([counts[side == split].sum(axis=0) for split in range(len(fractions))])
    if (side >= 0).all() and not found.any(axis=1).all():
        return np.inf
    wanted = fractions[:, None] * counts.sum(axis=0)
    return float(((found - wanted) ** 2 / wanted).sum())


def _greedy(counts: np.ndarray, fractions: np.ndarray, order: np.ndarray) -> np.ndarray:
    side = np.full(len(counts), -1)
    for place, signer in enumerate(order.tolist()):
        left = len(order) - place
        empty = [split for split in range(len(fractions)) if split not in side]
        costs = {}
        for split in empty if len(empty) >= left else range(len(fractions)):
            side[signer] = split
            costs[split] = _misfit(counts, fractions, side)
        side[signer] = min(costs, key=costs.__getitem__)
    return side


def _improve(counts: np.ndarray, fractions: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The nearest division that no move of a signer, and no exchange of two, makes better."""
    best = _misfit(counts, fractions, side)
    while True:
        moves, exchanges = _changes(counts, fractions, side)
        candidate = side.copy()
        if moves.min() <= exchanges.min():
            signer, split = np.unravel_index(moves.argmin(), moves.shape)
            candidate[signer] = split
        else:
            one, other = np.unravel_index(exchanges.argmin(), exchanges.shape)
            candidate[[one, other]] = side[[other, one]]
        cost = _misfit(counts, fractions, candidate)
        if not cost < best - 1e-9:
            return side
        best, side = cost, candidate


def _changes(counts: np.ndarray, fractions: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the misfit changes: (signers, splits) when a signer moves, (signers, signers) when two change places;
    infinity for what is no change, and for a move that leaves a split empty.

    A split of share f whose counts are r off grows by d samples per class: (2 r·d + d·d) / (f × all of the class).
    """
    signers, splits = np.arange(len(side)), np.arange(len(fractions))
    found = np.stack([counts[side == split].sum(axis=0) for split in splits])
    shares = counts / counts.sum(axis=0)
    # What each split's error, and each signer, has to do with each signer.
    pull = 2 * shares @ (found / fractions[:, None] - counts.sum(axis=0)).T
    gram = shares @ counts.T
    square = np.diag(gram)[:, None]
    joining, leaving = square / fractions + pull, square / fractions - pull
    moves = joining + leaving[signers, side][:, None]
    moves[side[:, None] == splits] = np.inf
    moves[np.bincount(side, minlength=len(splits))[side] == 1] = np.inf
    # Where one leaves and the other joins, it is their difference that does: square + square - 2 gram.
    inverse = 1 / fractions[side]
    one_way = leaving[signers, side][:, None] + joining[:, side]
    exchanges = one_way + one_way.T - 2 * gram * (inverse[:, None] + inverse)
    exchanges[side[:, None] == side] = np.inf
    return moves, exchanges
