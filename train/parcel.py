"""A batch on its way from a worker to the trainer."""

from typing import Any

import numpy as np
import torch

from train.batch import Batch
from train.slabs import Slab

_DTYPES = {np.dtype(dtype).str: torch.from_numpy(np.empty(0, dtype)).dtype for dtype in ("u1", "?", "i4", "i8", "f4")}


class Parcel:
    """A batch (of NumPy arrays) that lies on a slab; what found no room there travels as bytes through the queue.

    Left to torch, each of the 12 tensors of an RGB-D batch would be a shared-memory file. The slab's parts travel as
    tuples of numbers, which multiprocessing pickles in a tenth of the time that objects of ours take.
    """

    def __init__(self, batch: Batch, slab: Slab | None) -> None:
        self._slab = slab and (slab.pool, slab.number)
        self._parts = [_packed(array, slab) for array in batch.tensors()]
        self._rest = batch.ids, batch.total

    def open(self) -> Batch:
        """In the trainer, once: the batch, of tensors."""
        memory = self._slab and self._slab[0].view(self._slab[1])
        return Batch.of([_unpacked(part, memory) for part in self._parts], *self._rest)

    def pin_memory(self) -> Batch:
        """What DataLoader calls with `pin_memory=True`, in a thread of the trainer."""
        return self.open().pin_memory()


def _packed(array: np.ndarray, slab: Slab | None) -> Any:
    """(start, end, dtype, shape) on the slab, where the array is copied to if it is elsewhere; else the array."""
    start = slab and slab.place(array)
    return array if start is None else (start, start + array.nbytes, array.dtype.str, array.shape)


def _unpacked(part: Any, memory: torch.Tensor | None) -> torch.Tensor:
    if isinstance(part, np.ndarray):
        return torch.from_numpy(part)
    start, end, dtype, shape = part
    return memory[start:end].view(_DTYPES[dtype]).reshape(shape)
