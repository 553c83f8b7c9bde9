"""Training over folds without a copy: which samples of a shard set are in a fold."""

from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.format.assignment import read_assignment
from shards.format.shardset import ShardSet


def sample_folds(shards: ShardSet, folds: Path) -> np.ndarray:
    """str (N,): the fold of every sample; "" for one that the CSV `id,fold` does not have.

    Raises:
        InputError: a wrong CSV, or none of its samples is in the shards.
    """
    fold_of = {sample_id: fold for sample_id, (_, fold) in read_assignment(folds).items()}
    found = np.array([fold_of.get(sample_id, "") for sample_id in shards.ids.to_pylist()])
    if not (found != "").any():
        raise InputError(f"{folds}: none of its samples is in {shards.source}")
    return found


def in_fold(shards: ShardSet, folds: Path, fold: str) -> ShardSet:
    """The samples of one fold.

    Raises:
        InputError: see `sample_folds`; or no sample is in the fold.
    """
    found = sample_folds(shards, folds)
    _check_fold(folds, fold, found)
    return shards.take(np.flatnonzero(found == fold))


def training_folds(
    shards: ShardSet, folds: Path, test_fold: str, val_fold: str | None
) -> tuple[ShardSet, ShardSet | None]:
    """The samples of the folds that are neither for testing nor for validation, and those for validation.

    Raises:
        InputError: see `sample_folds`; no sample is in a fold; both are one; or nothing is left to train on.
    """
    found = sample_folds(shards, folds)
    for fold in filter(None, (test_fold, val_fold)):
        _check_fold(folds, fold, found)
    if test_fold == val_fold:
        raise InputError(f"--val-fold {val_fold}: is the fold to be tested on; choose the model on another one")
    train = np.flatnonzero((found != "") & (found != test_fold) & (found != (val_fold or "")))
    if not len(train):
        raise InputError(f"{folds}: no fold is left to train on")
    return shards.take(train), None if val_fold is None else shards.take(np.flatnonzero(found == val_fold))


def _check_fold(folds: Path, fold: str, found: np.ndarray) -> None:
    if fold not in found:
        raise InputError(f"{folds}: no sample is in fold {fold}; there are {', '.join(sorted(set(found) - {''})[:50])}")
