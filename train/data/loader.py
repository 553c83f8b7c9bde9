"""From shards to batches: the workers that read an epoch, and what they share with the trainer."""

import atexit
import gc
import signal
import weakref
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from types import FrameType
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.data.batch import Batch
from train.data.batch_group import Parcel
from train.data.dataset import LoaderSettings, ShardDataset
from train.data.shared_memory import Slabs
from train.fit.stopping import SIGNALS

# Of a worker's parcels, DataLoader asks for two ahead; one is trained on, one is on its way to the GPU.
_AHEAD = 4
_running: "weakref.WeakSet[Any]" = weakref.WeakSet()  # iterators that have workers
_CROP = 256 * 256 * 3  # bytes that a crop may have on average to fit on a slab; AUTSL's have 140 × 140
# A worker reads small batches together: what a batch costs besides its samples is 0.2 ms a sample in batches of 4.
_TOGETHER = 16  # samples


class _Loader(DataLoader):
    """A DataLoader whose workers put pixels on slabs, which it keeps for the next epoch's workers."""

    _kept: Slabs | None = None
    _last: "weakref.ref[Any] | None" = None  # the iterator whose workers have them

    def __iter__(self) -> Iterator[Batch | InputError]:
        """Start an epoch's workers.

        Raises:
            InputError: there is no memory for what they read.
        """
        dataset = self.dataset
        if not self.num_workers:
            return super().__iter__()
        at = dataset.settings
        # Not so many that a worker would have nothing to do.
        dataset.together = max(1, min(_TOGETHER // at.batch_size, len(dataset) // self.num_workers))
        crops = dataset.together * at.batch_size * at.window.length * 2 * (2 if at.with_depth else 1)
        dataset.slabs = slabs = self._slabs(crops * _CROP)
        try:
            parcels = super().__iter__()
        finally:
            dataset.slabs = None
        _running.add(parcels)
        self._last = weakref.ref(parcels)
        # Not a generator: the workers are forked here and now.
        return chain.from_iterable(map(partial(_opened, slabs), parcels))

    def _slabs(self, size: int) -> Slabs:
        """The last epoch's again, unless a worker of it may still write there, or they are too small: touching 45 MB
        of new pages took 30 ms and more, of used ones 14 ms."""
        kept, self._kept = self._kept, None
        going_on = self._last is not None and self._last() is not None
        if kept is None or going_on or kept.with_workers() or kept.size < size:
            del kept  # its memory is given back before more is asked for
            try:
                kept = Slabs(self.num_workers, _AHEAD, size)
            except OSError as error:
                raise InputError(
                    f"{self.dataset.shards.source}: no memory for the batches of {self.num_workers} workers ({error}): "
                    "lower --num-workers"
                ) from error
        self._kept = kept
        return kept


@atexit.register
def _end_workers() -> None:
    """At exit, multiprocessing would send the workers that are left SIGTERM, which they survive, and wait for ever."""
    for parcels in list(_running):
        parcels._shutdown_workers()


def _opened(slabs: Slabs, parcel: Parcel | list[Batch | InputError]) -> list[Batch | InputError]:
    """What a worker sent (where memory is pinned, DataLoader has opened it); `slabs` must live as long as parcels may
    come."""
    return parcel.open() if isinstance(parcel, Parcel) else parcel


def make_loader(shards: ShardSet, settings: LoaderSettings, training: bool, pin: bool = False) -> DataLoader:
    """A DataLoader of whole batches; `loader.dataset` is the ShardDataset.

    Raises:
        InputError: depth is asked for and missing.
    """
    if settings.with_depth:
        _check_depth(shards)
    settings = replace(settings, workers=min(settings.workers, len(ShardDataset(shards, settings, training))))
    return _Loader(
        ShardDataset(shards, settings, training),
        batch_size=None,
        num_workers=settings.workers,
        pin_memory=pin,
        prefetch_factor=2 if settings.workers else None,
        # Python 3.14's default, forkserver, would import torch in every worker of every epoch (5 s).
        multiprocessing_context="fork" if settings.workers else None,
        worker_init_fn=_begin_worker,
    )


def _check_depth(shards: ShardSet) -> None:
    has = shards.has("left_depth.mjpg")
    if not has.all():
        lacking = shards.ids[int(np.argmin(has))]
        raise InputError(f"{shards.source}: sample {lacking} has no depth; use VTN_HCPF, or make shards with depth")


def _begin_worker(worker: int) -> None:
    # The garbage collector would write on, and so copy, 45 MB of the trainer's objects in every worker.
    gc.freeze()
    _leave_signals_to_the_trainer()


def _leave_signals_to_the_trainer() -> None:
    """Slurm sends SIGTERM to every process of a job: a worker that dies of it would take the last steps with it.

    Only the first SIGTERM is survived: at the end, multiprocessing may send one and then wait for the worker.
    """

    def survive(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, survive)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
