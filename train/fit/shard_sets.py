"""The shards of a run, opened by every rank: fetched into the cache where they lie elsewhere, and the same on all."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from shards.errors import InputError
from shards.format.shardset import ShardSet
from shards.remote.localize import open_patterns
from shards.remote.urls import without_credentials
from train.data.folds import training_folds
from train.fit.settings import SessionSettings
from train.ranks.distributed import Ranks

# One node may have its shards while another still fetches: not 30 minutes, which gloo would give it.
_FETCH_LIMIT = timedelta(days=7)


def open_sets(settings: SessionSettings, ranks: Ranks) -> tuple[SessionSettings, ShardSet, ShardSet | None]:
    """The samples to train on, those to validate on, if any, and the settings with their PATTERNs as they may be shown.

    To be called in the main process, ahead of the loader's workers, and kept open until they end: the locks of the
    cache are not inherited.

    Raises:
        InputError: a set or folds cannot be read or fetched; options of folds do not go together; or on every rank:
            ranks read different sets, as they do where nodes have unlike copies, or a server's dataset.json changed
            while the ranks started.
    """
    _check_folds(settings)
    val = None
    with ranks.patient(_FETCH_LIMIT) as gather:
        train = open_patterns(settings.shards, settings.cache)
        if settings.val_shards:
            val = open_patterns(settings.val_shards, settings.cache)
        if settings.fold_file is not None and settings.test_fold is not None:
            train, val_samples = training_folds(train, settings.fold_file, settings.test_fold, settings.val_fold)
            val = val or val_samples
        for shards in (train, val):
            if shards is not None:
                _check_same(shards.source, gather(_digest(shards)))
    shown, val_shown = (tuple(map(without_credentials, names)) for names in (settings.shards, settings.val_shards))
    return replace(settings, shards=shown, val_shards=val_shown), train, val


def _check_folds(settings: SessionSettings) -> None:
    """InputError for options of folds that do not go together."""
    if (settings.fold_file is None) != (settings.test_fold is None):
        raise InputError("--fold-file and --test-fold go together")
    if settings.val_fold is not None and (settings.fold_file is None or settings.val_shards):
        raise InputError("--val-fold goes with --fold-file, and not with --val-shards")


def _digest(shards: ShardSet) -> str:
    """Of what training takes from a set: the bytes of its shards, the ids and labels of its index, its classes."""
    dataset = shards.dataset
    digest = hashlib.sha256(repr((shards.shard_sums, shards.ids.to_pylist(), dataset.classes)).encode())
    digest.update(repr(dataset.recipe.to_json()).encode() + shards.labels.tobytes() + shards.offsets.tobytes())
    return digest.hexdigest()


def _check_same(source: str, digests: list[str]) -> None:
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            raise InputError(
                f"{source}: process {rank} reads other shards there than process 0; give every node the same copy, or "
                "start again once the shards are no longer being changed"
            )
