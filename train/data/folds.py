"""Training over folds without a copy: which samples of a shard set are in a fold."""

from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.format.assignment import read_assignment
from shards.format.shardset import ShardSet


def in_fold(shards: ShardSet, folds: Path, fold: str) -> ShardSet:
    """The samples of one fold of the CSV `id,fold`.

    Raises:
        InputError: a wrong CSV, none of its samples is in the shards, or none is in the fold.
    """
    return shards.take(np.flatnonzero(_sample_folds(shards, folds, [fold]) == fold))


def training_folds(
    shards: ShardSet, folds: Path, test_fold: str, val_fold: str | None
) -> tuple[ShardSet, ShardSet | None]:
    """The samples of the folds that are neither for testing nor for validation, and those for validation.

    Raises:
        InputError: see `in_fold`; both folds are one; or nothing is left to train on.
    """
    left_out = [test_fold] if val_fold is None else [test_fold, val_fold]
    found = _sample_folds(shards, folds, left_out)
    if test_fold == val_fold:
        raise InputError(f"--val-fold {val_fold}: is the fold to be tested on; choose the model on another one")
    train = np.flatnonzero(~np.isin(found, ["", *left_out]))
    if not len(train):
        raise InputError(f"{folds}: no fold is left to train on")
    return shards.take(train), None if val_fold is None else shards.take(np.flatnonzero(found == val_fold))


def _sample_folds(shards: ShardSet, folds: Path, wanted: list[str]) -> np.ndarray:
    """str (N,): the fold of every sample, "" for one that the CSV does not have; each wanted fold has one."""
    fold_of = {sample_id: fold for sample_id, (_, fold) in read_assignment(folds).items()}
    found = np.array([fold_of.get(sample_id, "") for sample_id in shards.ids.to_pylist()])
    there = sorted(set(found.tolist()) - {""})
    if not there:
        raise InputError(f"{folds}: none of its samples is in {shards.source}")
    for fold in wanted:
        if fold not in there:
            raise InputError(f"{folds}: no sample is in fold {fold or repr(fold)}; there are {', '.join(there[:50])}")
    return found
