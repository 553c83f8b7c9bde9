"""From shards to batches: the workers that read an epoch, and what they share with the trainer."""

import atexit
import gc
import signal
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch.utils.data import DataLoader

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.data.batch import Batch
from train.data.batch_group import BatchGroup
from train.data.shard_dataset import BatchReader, LoaderSettings, ShardDataset
from train.data.shared_memory import SharedBuffers

# They ask training to stop; workers leave them to the trainer.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Of a worker's groups, DataLoader asks for two ahead; one is trained on, one is on its way to the GPU.
_AHEAD = 4
# A worker reads small batches together: what a batch costs besides its samples is 0.2 ms a sample in batches of 4.
_GROUP_SAMPLES = 16
_running: "weakref.WeakSet[Any]" = weakref.WeakSet()  # iterators that have workers


class Loader:
    """The batches of a dataset's epoch, read by workers who put pixels into shared buffers; those are kept for the next
    epoch's workers."""

    def __init__(self, dataset: ShardDataset, pin: bool) -> None:
        self.dataset = dataset
        self._workers = min(dataset.settings.num_workers, len(dataset))
        self._loader: DataLoader = DataLoader(
            dataset,
            batch_size=None,
            num_workers=self._workers,
            pin_memory=pin,
            prefetch_factor=2 if self._workers else None,
            # Python 3.14's default, forkserver, would import torch in every worker of every epoch (5 s).
            multiprocessing_context="fork" if self._workers else None,
            worker_init_fn=_begin_worker,
        )
        self._kept: SharedBuffers | None = None
        self._last: weakref.ref[Any] | None = None  # the iterator whose workers have them

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Batch]:
        """Start an epoch's workers. The batches end with an InputError where a sample cannot be read.

        Raises:
            InputError: there is no memory for what they read.
        """
        if not self._workers:
            return _batches(self._loader, None)
        dataset, settings = self.dataset, self.dataset.settings
        # Not so many that a worker would have nothing to do.
        dataset.group_size = max(1, min(_GROUP_SAMPLES // settings.batch_size, len(dataset) // self._workers))
        samples = dataset.group_size * settings.batch_size
        dataset.buffers = buffers = self._buffers(samples * dataset.reader.sample_bytes(settings))
        # Workers are born with the signals blocked, and let them in when they know what to do with them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            groups = iter(self._loader)
        except OSError as error:  # their queues have semaphores
            what = f"/dev/shm: no room for what {self._workers} loader processes share"  # noqa: S108
            raise InputError(f"{what} ({error.strerror or error}): make room there, or give --num-workers 0") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            dataset.buffers = None
        _running.add(groups)
        self._last = weakref.ref(groups)
        # Not a generator itself: the workers are forked here and now.
        return _batches(groups, buffers)

    def _buffers(self, size: int) -> SharedBuffers:
        """The last epoch's again, unless a worker of it may still write there, or they are too small: touching 45 MB
        of new pages took 30 ms and more, of used ones 14 ms."""
        kept, self._kept = self._kept, None
        going_on = self._last is not None and self._last() is not None
        if kept is None or going_on or kept.with_workers() or kept.size < size:
            del kept  # its memory is given back before more is asked for
            try:
                kept = SharedBuffers(self._workers, _AHEAD, size)
            except OSError as error:
                raise InputError(
                    f"{self.dataset.shards.source}: no memory for the batches of {self._workers} workers ({error}): "
                    "lower --num-workers"
                ) from error
        self._kept = kept
        return kept


@atexit.register
def _end_workers() -> None:
    """At exit, multiprocessing would send the workers that are left SIGTERM, which they survive, and wait for ever."""
    for groups in list(_running):
        groups._shutdown_workers()


def _batches(groups: Any, buffers: SharedBuffers | None) -> Iterator[Batch]:
    """The batches that workers sent; `buffers` must live as long as groups may come.

    The workers end with it, also where an error or `close` ends it: those of an iterator that is left to the garbage
    collector, as by an error that somebody keeps, never hear of their end, and it waits 10 s for each.
    """
    try:
        for group in groups:
            # Where memory is pinned, DataLoader has opened it; without workers it is a batch.
            opened = group.open() if isinstance(group, BatchGroup) else group
            for item in opened if isinstance(opened, list) else [opened]:
                if isinstance(item, InputError):
                    raise item
                yield item
    finally:
        if buffers is not None:
            groups._shutdown_workers()


def make_loader(
    shards: ShardSet,
    settings: LoaderSettings,
    reader: type[BatchReader],
    training: bool,
    pin: bool = False,
) -> Loader:
    """Loads whole batches of what `reader` reads; `loader.dataset` says which epoch.

    Raises:
        InputError: the samples lack what is to be read.
    """
    reader.check(shards, settings)
    return Loader(ShardDataset(shards, settings, training, reader), pin)


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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
