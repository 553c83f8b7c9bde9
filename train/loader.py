"""From shards to batches: an IterableDataset over the index whose workers yield whole batches of raw pixels."""

import atexit
import signal
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from shards.errors import InputError
from shards.recipe import Recipe
from shards.shardset import MemberReader, ShardSet
from train.batch import Batch, Pixels
from train.clip import Crops, damaged, decode_into, read_clip
from train.order import epoch_order, evaluation_batches, share, training_batches
from train.parcel import Parcel
from train.slabs import Slabs
from train.stopping import SIGNALS
from train.views import EVALUATION, View, draw_view
from train.window import Window

# Of a worker's batches, DataLoader asks for two ahead; one is trained on, one is on its way to the GPU.
_AHEAD = 4
_running: "weakref.WeakSet[Any]" = weakref.WeakSet()  # iterators that have workers
_CROP = 256 * 256 * 3  # bytes that a crop may have on average to fit on a slab; AUTSL's have 140 × 140


@dataclass(frozen=True)
class LoaderSettings:
    """What is read, and how."""

    window: Window
    recipe: Recipe
    with_depth: bool = False
    batch_size: int = 4
    workers: int = 2
    seed: int = 42
    rank: int = 0
    ranks: int = 1


class ShardDataset(IterableDataset):
    """Batches of one epoch. Set `epoch` and `position` (samples seen, over all ranks) before iterating.

    With `training` false: every sample once, in index order, unaugmented, or under the view that `views` has for it.
    """

    def __init__(self, shards: ShardSet, settings: LoaderSettings, training: bool) -> None:
        self.shards = shards
        self.settings = settings
        self.training = training
        self.epoch = 0
        self.position = 0
        self.views: Sequence[View] | None = None
        self.slabs: Slabs | None = None  # where workers put pixels

    def batches(self) -> list[tuple[int, int, int]]:
        """(start, end, samples of the global batch) in the epoch's order, of this rank."""
        at, count = self.settings, len(self.shards)
        if not self.training:
            return [(*part, part[1] - part[0]) for part in evaluation_batches(count, at.batch_size, at.rank, at.ranks)]
        whole = training_batches(count, at.batch_size, at.ranks, self.position)
        return [(*share(start, end, at.rank, at.ranks), end - start) for start, end in whole]

    def __len__(self) -> int:
        return len(self.batches())

    def __iter__(self) -> Iterator[Batch | Parcel | InputError]:
        """Batches, packed in a worker; an error is the last item, and not raised: DataLoader would make a traceback of
        a worker's."""
        # DataLoader takes one batch from each worker in turn, so worker w of n yields batches w, w + n, …
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        order = epoch_order(len(self.shards), self.settings.seed, self.epoch) if self.training else None
        reader = MemberReader(self.shards)
        try:
            for start, end, total in self.batches()[first::step]:
                samples = np.arange(start, end) if order is None else order[start:end]
                batch = self._batch(reader, samples.tolist(), total)
                yield Parcel(batch, self.slabs) if self.slabs else batch
        except InputError as error:
            yield error
        except OSError as error:
            yield InputError(f"{self.shards.source}: cannot be read any more ({error}); are the shards still there?")
        finally:
            reader.close()

    def view(self, sample: int) -> View:
        """How a sample is seen in this epoch."""
        if not self.training:
            return self.views[sample] if self.views else EVALUATION
        return draw_view(self.settings.seed, self.epoch, self.shards.ids[sample].as_py(), self.settings.recipe)

    def _batch(self, reader: MemberReader, samples: list[int], total: int) -> Batch:
        at = self.settings
        reader.forget()
        views = [self.view(sample) for sample in samples]
        clips = [
            read_clip(self.shards, reader, sample, at.window, view, at.recipe, at.with_depth)
            for sample, view in zip(samples, views, strict=True)
        ]
        depth = None
        if at.with_depth:
            # The reference's quirks put colour into the depth clip, too.
            channels = 3 if at.recipe.mixed_depth else 1
            depth = self._pixels(samples, [clip.depth for clip in clips], channels)
        return Batch(
            self._pixels(samples, [clip.color for clip in clips], 3),
            depth,
            torch.from_numpy(np.stack([clip.pose for clip in clips])),
            torch.from_numpy(self.shards.labels[samples].astype(np.int64)),
            torch.from_numpy(np.array([view.mirrored for view in views])),
            torch.from_numpy(
                np.array([(view.brightness, view.contrast, view.saturation) for view in views], np.float32)
            ),
            [self.shards.ids[sample].as_py() for sample in samples],
            total,
        )

    def _pixels(self, samples: list[int], clips: list[Crops], channels: int) -> Pixels:
        """Decode the crops of a batch one after another into one piece of memory, without copying."""
        memory = self._memory(channels * sum(jpeg.width * jpeg.height for clip in clips for jpeg in clip.jpegs))
        buffer, end = memory.numpy(), 0
        sizes, begins, places = [], [], []
        for sample, clip in zip(samples, clips, strict=True):
            places.append(len(sizes) + clip.place)
            for jpeg in clip.jpegs:
                sizes.append((jpeg.width, jpeg.height))
                begins.append(end // channels)
                begin, end = end, end + channels * jpeg.width * jpeg.height
                try:
                    decode_into(jpeg, channels, buffer[begin:end])
                except ValueError as error:
                    raise damaged(self.shards, sample, error) from error
        place = np.concatenate(places)
        return Pixels(
            memory.reshape(-1, channels),
            torch.from_numpy(np.array(begins)[place]),
            torch.from_numpy(np.array(sizes, np.int32)[place]),
            torch.from_numpy(np.concatenate([clip.boxes for clip in clips])),
        )

    def _memory(self, size: int) -> torch.Tensor:
        """uint8 (size,), not set; in a worker, memory that the trainer sees, too, or all pixels would be copied."""
        if self.slabs is None:
            return torch.empty(size, dtype=torch.uint8)
        on_slab = self.slabs.take(get_worker_info().id, size)
        # Without a free slab, as torch's own default_collate does it.
        return (
            torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(size))
            if on_slab is None
            else on_slab
        )


class _Loader(DataLoader):
    """A DataLoader whose workers put pixels on slabs, new ones for every epoch's workers."""

    def __iter__(self) -> Iterator[Batch | InputError]:
        dataset = self.dataset
        if not self.num_workers:
            return super().__iter__()
        at = dataset.settings
        clips = 2 if at.with_depth else 1
        dataset.slabs = Slabs(self.num_workers, _AHEAD * clips, at.batch_size * at.window.length * 2 * _CROP)
        try:
            batches = super().__iter__()
            _running.add(batches)
            # Not a generator: the workers are forked here and now.
            return map(partial(_opened, dataset.slabs), batches)
        finally:
            dataset.slabs = None


@atexit.register
def _end_workers() -> None:
    """At exit, multiprocessing would send the workers that are left SIGTERM, which they survive, and wait for ever."""
    for batches in list(_running):
        batches._shutdown_workers()


def _opened(slabs: Slabs, item: Parcel | Batch | InputError) -> Batch | InputError:
    """What a worker sent; `slabs` must live as long as parcels may come."""
    return item.open() if isinstance(item, Parcel) else item


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
        worker_init_fn=_leave_signals_to_the_trainer,
    )


def _check_depth(shards: ShardSet) -> None:
    has = shards.has("left_depth.mjpg")
    if not has.all():
        lacking = shards.ids[int(np.argmin(has))]
        raise InputError(f"{shards.source}: sample {lacking} has no depth; use VTN_HCPF, or make shards with depth")


def _leave_signals_to_the_trainer(worker: int) -> None:
    """Slurm sends SIGTERM to every process of a job: a worker that dies of it would take the last steps with it.

    Only the first SIGTERM is survived: at the end, multiprocessing may send one and then wait for the worker.
    """

    def survive(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, survive)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
