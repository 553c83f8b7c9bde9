"""What a loader's processes read: an IterableDataset over the index that yields whole batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from shards.errors import InputError
from shards.format.recipe import Recipe
from shards.format.shardset import ShardSet
from train.data.batch import Batch
from train.data.batch_group import BatchGroup
from train.data.order import epoch_order, evaluation_batches, share, training_batches
from train.data.shared_memory import SharedBuffer, SharedBuffers
from train.data.views import EVALUATION, View
from train.data.window import Window


@dataclass(frozen=True)
class LoaderSettings:
    """What is read, and how."""

    window: Window
    recipe: Recipe
    with_depth: bool = False
    batch_size: int = 4
    num_workers: int = 2
    seed: int = 42
    rank: int = 0
    ranks: int = 1


class BatchReader(Protocol):
    """Reads what a kind of model sees of samples. One per process."""

    def __init__(self, shards: ShardSet, settings: LoaderSettings) -> None: ...

    def read(self, samples: list[int], views: Sequence[View], total: int, buffer: SharedBuffer | None) -> Batch:
        """The batch of these samples, each under a view, in NumPy arrays; what is large in the buffer, if there is
        room; `total` as in `Batch`.

        Raises:
            InputError: a sample is damaged.
            OSError: one cannot be read.
        """

    def read_augmented(self, samples: list[int], epoch: int, total: int, buffer: SharedBuffer | None) -> Batch:
        """Likewise, each sample augmented as seed, epoch and its id alone have it."""

    def close(self) -> None:
        """Close the shards."""

    @staticmethod
    def check(shards: ShardSet, settings: LoaderSettings) -> None:
        """InputError where a sample lacks what is read."""

    @staticmethod
    def sample_bytes(settings: LoaderSettings) -> int:
        """Room for a sample in a shared buffer; what finds none travels another, slower way."""


class ShardDataset(IterableDataset):
    """Batches of one epoch. Set `epoch` and `position` (samples seen, over all ranks) before iterating.

    With `training` false: every sample once, in index order, unaugmented, or under the view that `views` has for it.
    """

    def __init__(self, shards: ShardSet, settings: LoaderSettings, training: bool, reader: type[BatchReader]) -> None:
        self.shards = shards
        self.settings = settings
        self.training = training
        self.reader = reader
        self.epoch = 0
        self.position = 0
        self.views: Sequence[View] | None = None
        self.buffers: SharedBuffers | None = None  # where workers put pixels
        self.group_size = 1  # batches that a worker reads as one

    def batches(self) -> list[tuple[int, int, int]]:
        """(start, end, samples of the global batch) in the epoch's order, of this rank."""
        size, rank, ranks = self.settings.batch_size, self.settings.rank, self.settings.ranks
        count = len(self.shards)
        if not self.training:
            return [(start, end, end - start) for start, end in evaluation_batches(count, size, rank, ranks)]
        whole = training_batches(count, size, ranks, self.position)
        return [(*share(start, end, rank, ranks), end - start) for start, end in whole]

    def __len__(self) -> int:
        return len(self.batches())

    def __iter__(self) -> Iterator[Batch | BatchGroup | InputError]:
        """Batches, in a worker groups of them; an error is the last item, and not raised: DataLoader would make a
        traceback of a worker's."""
        order = epoch_order(len(self.shards), self.settings.seed, self.epoch) if self.training else None
        reader, batches = self.reader(self.shards, self.settings), self.batches()
        try:
            if self.buffers is not None:
                yield from self._groups(self.buffers, reader, order, batches)
                return
            for start, end, total in batches:
                yield self.read_batch(reader, _samples(order, start, end), total).map(torch.from_numpy)
        except InputError as error:
            yield error
        finally:
            reader.close()

    def _groups(
        self,
        buffers: SharedBuffers,
        reader: BatchReader,
        order: np.ndarray | None,
        batches: list[tuple[int, int, int]],
    ) -> Iterator[BatchGroup]:
        """What this worker reads, up to an error."""
        worker = get_worker_info()
        if worker is None:
            raise RuntimeError("shared buffers are for a loader's workers")
        # DataLoader takes one group from each worker in turn, so worker w of n sends groups w, w + n, …
        for first in range(worker.id * self.group_size, len(batches), worker.num_workers * self.group_size):
            group = batches[first : first + self.group_size]
            buffer, batch, error = buffers.take(worker.id), None, None
            while group and batch is None:
                if buffer is not None:
                    buffer.clear()
                samples = [sample for start, end, _ in group for sample in _samples(order, start, end)]
                try:
                    batch = self.read_batch(reader, samples, 0, buffer)
                except InputError as raised:
                    # The batches before the damaged one are read again, without it.
                    error = raised
                    group.pop()
            yield BatchGroup(batch, buffer, [(end - start, total) for start, end, total in group], error)
            if error:
                return

    def read_batch(
        self, reader: BatchReader, samples: list[int], total: int, buffer: SharedBuffer | None = None
    ) -> Batch:
        """The batch of these samples, as this epoch sees them; the rest as in `BatchReader.read`.

        Raises:
            InputError: one of them is damaged, or cannot be read.
        """
        try:
            if self.training:
                return reader.read_augmented(samples, self.epoch, total, buffer)
            views = [self.views[sample] if self.views else EVALUATION for sample in samples]
            return reader.read(samples, views, total, buffer)
        except OSError as error:
            raise InputError(
                f"{self.shards.source}: cannot be read any more ({error}); are the shards still there?"
            ) from error


def _samples(order: np.ndarray | None, start: int, end: int) -> list[int]:
    return list(range(start, end)) if order is None else order[start:end].tolist()
