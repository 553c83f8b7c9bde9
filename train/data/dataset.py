"""What a loader's processes read: an IterableDataset over the index that yields whole batches of raw pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from shards.errors import InputError
from shards.format.recipe import Recipe
from shards.format.shardset import MemberReader, ShardSet
from train.data.batch import Batch, Pixels
from train.data.batch_group import Parcel
from train.data.clip import Crops, damaged, decode_into, read_clip, read_jpegs, swaps_hands
from train.data.order import epoch_order, evaluation_batches, share, training_batches
from train.data.pose_features import pose_features
from train.data.shared_memory import Slab, Slabs
from train.data.views import EVALUATION, View, draw_view, seen_boxes
from train.data.window import Window


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
        self.together = 1  # batches that a worker reads as one

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
        """Batches, in a worker parcels of them; an error is the last item, and not raised: DataLoader would make a
        traceback of a worker's."""
        order = epoch_order(len(self.shards), self.settings.seed, self.epoch) if self.training else None
        reader, batches = MemberReader(self.shards), self.batches()
        try:
            if self.slabs is not None:
                yield from self._parcels(reader, order, batches)
                return
            for start, end, total in batches:
                yield self.read_batch(reader, _samples(order, start, end), total).map(torch.from_numpy)
        except InputError as error:
            yield error
        finally:
            reader.close()

    def _parcels(
        self, reader: MemberReader, order: np.ndarray | None, batches: list[tuple[int, int, int]]
    ) -> Iterator[Parcel]:
        """What this worker reads, up to an error."""
        # DataLoader takes one parcel from each worker in turn, so worker w of n sends parcels w, w + n, …
        worker = get_worker_info()
        for first in range(worker.id * self.together, len(batches), worker.num_workers * self.together):
            group = batches[first : first + self.together]
            slab, batch, error = self.slabs.take(worker.id), None, None
            while group and batch is None:
                if slab is not None:
                    slab.clear()
                samples = [sample for start, end, _ in group for sample in _samples(order, start, end)]
                try:
                    batch = self.read_batch(reader, samples, 0, slab)
                except InputError as raised:
                    # The batches before the damaged one are read again, without it.
                    error = raised
                    group.pop()
            yield Parcel(batch, slab, [(end - start, total) for start, end, total in group], error)
            if error:
                return

    def view(self, sample: int) -> View:
        """How a sample is seen in this epoch."""
        if not self.training:
            return self.views[sample] if self.views else EVALUATION
        return draw_view(self.settings.seed, self.epoch, self.shards.ids[sample].as_py(), self.settings.recipe)

    def read_batch(self, reader: MemberReader, samples: list[int], total: int, slab: Slab | None = None) -> Batch:
        """The batch of these samples, decoded, in NumPy arrays, its pixels on a slab if there is room; `total` as in
        `Batch`.

        Raises:
            InputError: one of them is damaged, or cannot be read.
        """
        try:
            return self._read_batch(reader, samples, total, slab)
        except OSError as error:
            raise InputError(
                f"{self.shards.source}: cannot be read any more ({error}); are the shards still there?"
            ) from error

    def _read_batch(self, reader: MemberReader, samples: list[int], total: int, slab: Slab | None) -> Batch:
        at = self.settings
        reader.forget()
        views = [self.view(sample) for sample in samples]
        clips = [
            read_clip(self.shards, reader, sample, at.window, view, at.recipe, at.with_depth)
            for sample, view in zip(samples, views, strict=True)
        ]
        swapped = np.array([swaps_hands(view, at.recipe) for view in views])
        frames = np.array([clip.frames for clip in clips])
        pose = pose_features([clip.flow for clip in clips], frames, at.recipe, swapped)
        color, depth = self._pixels(reader, samples, [clip.color for clip in clips], views, 3, slab), None
        if at.with_depth:
            # The reference's quirks put colour into the depth clip, too.
            channels = 3 if at.recipe.mixed_depth else 1
            depth = self._pixels(reader, samples, [clip.depth for clip in clips], views, channels, slab, padded=True)
        return Batch(
            color,
            depth,
            pose,
            self.shards.labels[samples].astype(np.int64),
            np.array([view.mirrored for view in views]),
            np.array([(view.brightness, view.contrast, view.saturation) for view in views], np.float32),
            [clip.id for clip in clips],
            total,
        )

    def _pixels(
        self,
        reader: MemberReader,
        samples: list[int],
        clips: list[Crops],
        views: list[View],
        channels: int,
        slab: Slab | None,
        padded: bool = False,
    ) -> Pixels:
        """Read the crops of a batch and decode them one after another into one piece of memory, without copying.

        Each stretch is read where the one before was and decoded at once, while the processor's cache has it.
        """
        sizes = np.concatenate([clip.sizes for clip in clips])
        end = sizes.prod(axis=1).cumsum()  # in pixels
        begin = end - sizes.prod(axis=1)
        memory = slab.room(int(end[-1]) * channels) if slab else None
        if memory is None:
            memory = np.empty(int(end[-1]) * channels, np.uint8)
        parts = zip(sizes.tolist(), (begin * channels).tolist(), (end * channels).tolist(), strict=True)
        for sample, clip in zip(samples, clips, strict=True):
            try:
                for stretch in clip.stretches:
                    reader.forget()
                    for jpeg in read_jpegs(reader, sample, stretch):
                        (width, height), low, high = next(parts)
                        decode_into(jpeg, width, height, channels, memory[low:high], stretch.as_grey)
            except (ValueError, TypeError) as error:
                raise damaged(self.shards, sample, error) from error
        before = np.cumsum([0] + [len(clip.sizes) for clip in clips[:-1]])
        place = (np.array([clip.place for clip in clips]) + before[:, None]).reshape(-1)
        seen = sizes[place]
        boxes = seen_boxes(seen.reshape(len(clips), -1, 2), views, self.settings.recipe, padded)
        return Pixels(
            memory.reshape(-1, channels),
            begin[place],
            seen.astype(np.int32),
            boxes.reshape(-1, 4),
        )


def _samples(order: np.ndarray | None, start: int, end: int) -> list[int]:
    return list(range(start, end)) if order is None else order[start:end].tolist()
