"""A batch on its way from a worker to the trainer."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from train.batch import Batch, Pixels
from train.slabs import Slabs


@dataclass(frozen=True)
class _OnSlab:
    """Where a tensor's bytes are."""

    number: int
    shape: tuple[int, ...]


class Parcel:
    """A batch whose pixels stay where they are, and whose small tensors travel as bytes through the queue.

    Left to torch, each of the 11 tensors of an RGB-D batch would be a shared-memory file.
    """

    def __init__(self, batch: Batch, slabs: Slabs) -> None:
        self._slabs = slabs
        self._content = self._packed(batch)

    def open(self) -> Batch:
        """In the trainer: the batch."""
        return self._unpacked(self._content)

    def pin_memory(self) -> Batch:
        """What DataLoader calls with `pin_memory=True`, in a thread of the trainer."""
        return self.open().pin_memory()

    def _packed(self, value: Any) -> Any:
        if isinstance(value, (Batch, Pixels)):
            return type(value), [self._packed(getattr(value, field.name)) for field in fields(value)]
        if not isinstance(value, torch.Tensor):
            return value
        if (number := self._slabs.number(value)) is not None:
            return _OnSlab(number, tuple(value.shape))
        return value if value.is_shared() else value.numpy()

    def _unpacked(self, value: Any) -> Any:
        if isinstance(value, tuple):
            kind, values = value
            return kind(*map(self._unpacked, values))
        if isinstance(value, _OnSlab):
            return self._slabs.view(value.number, value.shape)
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
