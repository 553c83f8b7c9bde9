"""A batch on its way from a loader's worker to the training device: what the batches of all kinds of models share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import torch

B = TypeVar("B", bound="Batch")


class Batch(ABC):
    """B samples: NumPy arrays where a worker fills them, tensors in the trainer."""

    ids: list[str]
    labels: torch.Tensor  # int64 (B,): class; -1 where there is none
    total: int  # samples of the global batch that this is a part of

    @abstractmethod
    def tensors(self) -> list[Any]:
        """All its tensors."""

    @abstractmethod
    def map(self: B, change: Callable[[Any], Any]) -> B:
        """The batch with every tensor changed."""

    @abstractmethod
    def part(self: B, first: int, last: int, total: int) -> B:
        """The samples from `first` to before `last`, on the same memory, as a batch that has another `total`."""

    def split(self: B, parts: Sequence[tuple[int, int]]) -> list[B]:
        """Smaller batches on the same memory, of (samples, `total`) each."""
        ends = accumulate(count for count, _ in parts)
        return [self.part(end - count, end, total) for (count, total), end in zip(parts, ends, strict=True)]

    @abstractmethod
    def inputs(self, image_size: int, training: bool) -> tuple[torch.Tensor, ...]:
        """What the model is called with, made on the batch's device; `training`: as the drawn augmentation has it."""

    def pin_memory(self: B) -> B:
        """What DataLoader calls with `pin_memory=True`."""
        return self.map(torch.Tensor.pin_memory)

    def to(self: B, device: torch.device) -> B:
        """The batch on a device; from pinned memory the copy does not block."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Tell the allocator that a stream uses this batch, which another stream copied."""
        for tensor in self.tensors():
            tensor.record_stream(stream)
