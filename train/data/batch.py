"""A batch on its way from a loader's worker to the training device: raw pixels, pose features, labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass
class Pixels:
    """The crops of a batch at native size: uint8 pixels one crop after another, rows of 3 (colour) or 1 (grey) bytes.

    N = B·L·2 places, sample by sample, frame by frame, left hand then right.
    """

    values: torch.Tensor  # uint8 (P, 3) or (P, 1)
    start: torch.Tensor  # int64 (N,): the crop's first row in `values`
    size: torch.Tensor  # int32 (N, 2): width, height
    box: torch.Tensor  # float32 (N, 4): what is seen, in the crop's pixels

    def part(self, first: int, last: int) -> "Pixels":
        """The places from `first` to before `last`, whose crops lie side by side, on the same memory."""
        start, size = self.start[first:last], self.size[first:last]
        low, high = int(start.min()), int((start + size[:, 0] * size[:, 1]).max())
        return Pixels(self.values[low:high], start - low, size, self.box[first:last])


@dataclass
class Batch:
    """B samples on their way to the device."""

    color: Pixels
    depth: Pixels | None
    pose: torch.Tensor  # float32 (B, L, 106)
    labels: torch.Tensor  # int64 (B,): class; -1 where there is none
    mirrored: torch.Tensor  # bool (B,)
    light: torch.Tensor  # float32 (B, 3): brightness, contrast, saturation factors
    ids: list[str]
    total: int  # samples of the global batch that this is a part of

    @classmethod
    def of(cls, tensors: Sequence[Any], ids: list[str], total: int) -> "Batch":
        """A batch of what `tensors` gave (or of NumPy arrays, as a worker fills them)."""
        depth = Pixels(*tensors[4:8]) if len(tensors) == 12 else None
        return cls(Pixels(*tensors[:4]), depth, *tensors[-4:], ids, total)

    def tensors(self) -> list[Any]:
        """Its 8 tensors, 12 with depth."""
        depth = vars(self.depth).values() if self.depth else ()
        return [*vars(self.color).values(), *depth, self.pose, self.labels, self.mirrored, self.light]

    def map(self, change: Callable[[Any], Any]) -> "Batch":
        """The batch with every tensor changed."""
        return Batch.of([change(tensor) for tensor in self.tensors()], self.ids, self.total)

    def split(self, parts: Sequence[tuple[int, int]]) -> "list[Batch]":
        """Smaller batches on the same memory, of (samples, `total`) each."""
        if len(parts) == 1:
            return [replace(self, total=parts[0][1])]
        places, first, batches = len(self.color.start) // len(self.ids), 0, []
        for count, total in parts:
            last = first + count
            color, depth = (
                pixels and pixels.part(first * places, last * places) for pixels in (self.color, self.depth)
            )
            rest = [tensor[first:last] for tensor in (self.pose, self.labels, self.mirrored, self.light)]
            batches.append(Batch(color, depth, *rest, self.ids[first:last], total))
            first = last
        return batches

    def pin_memory(self) -> "Batch":
        """What DataLoader calls with `pin_memory=True`."""
        return self.map(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; from pinned memory the copy does not block."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Tell the allocator that a stream uses this batch, which another stream copied."""
        for tensor in self.tensors():
            tensor.record_stream(stream)
