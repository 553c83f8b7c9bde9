"""What a worker read on its way to the trainer: batches that it read as one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from shards.errors import InputError
from train.batch import Batch
from train.slabs import Slab

_DTYPES = {np.dtype(dtype).str: torch.from_numpy(np.empty(0, dtype)).dtype for dtype in ("u1", "?", "i4", "i8", "f4")}


class Parcel:
    """A batch (of NumPy arrays) that lies on a slab, to be split into `parts`, (samples, `total`) each; after them
    perhaps an error. What found no room on the slab travels as bytes through the queue.

    Left to torch, each of the 12 tensors of an RGB-D batch would be a shared-memory file. The slab's parts travel as
    tuples of numbers, which multiprocessing pickles in a tenth of the time that objects of ours take.
    """

    def __init__(
        self,
        batch: Batch | None,
        slab: Slab | None,
        parts: Sequence[tuple[int, int]],
        error: InputError | None = None,
    ) -> None:
        self._slab = slab and (slab.pool, slab.number)
        self._arrays = [_packed(array, slab) for array in batch.tensors()] if batch else None
        self._rest = batch and (batch.ids, batch.total)
        self._parts = parts
        self._error = error

    def open(self) -> list[Batch | InputError]:
        """In the trainer, once: the batches, of tensors."""
        memory = self._slab and self._slab[0].view(self._slab[1])
        end = [self._error] if self._error else []
        if self._arrays is None:
            return end
        return Batch.of([_unpacked(array, memory) for array in self._arrays], *self._rest).split(self._parts) + end

    def pin_memory(self) -> list[Batch | InputError]:
        """What DataLoader calls with `pin_memory=True`, in a thread of the trainer."""
        return [item if isinstance(item, InputError) else item.pin_memory() for item in self.open()]


def _packed(array: np.ndarray, slab: Slab | None) -> Any:
    """(start, end, dtype, shape) on the slab, where the array is copied to if it is elsewhere; else the array."""
    start = slab and slab.place(array)
    return array if start is None else (start, start + array.nbytes, array.dtype.str, array.shape)


def _unpacked(part: Any, memory: torch.Tensor | None) -> torch.Tensor:
    if isinstance(part, np.ndarray):
        return torch.from_numpy(part)
    start, end, dtype, shape = part
    return memory[start:end].view(_DTYPES[dtype]).reshape(shape)
