"""Batches on the device, and how long the trainer waited for them."""

import resource
import time
from collections.abc import Generator, Iterator

import torch

from train.data.batch import Batch
from train.data.loader import Loader


def batches_on(loader: Loader, device: torch.device) -> Iterator[Batch]:
    """The loader's batches on the device; on a GPU the next one is copied while the last one is worked on.

    Raises:
        InputError: a sample cannot be read.
    """
    if device.type != "cuda":
        yield from loader
        return
    stream = torch.cuda.Stream(device)
    ready: Batch | None = None
    for batch in loader:
        with torch.cuda.stream(stream):
            coming = batch.to(device)
        if ready is not None:
            yield ready
        torch.cuda.current_stream(device).wait_stream(stream)
        coming.record_stream(torch.cuda.current_stream(device))
        ready = coming
    if ready is not None:
        yield ready


class Clock:
    """How long an epoch took, and how much of it was spent waiting for batches."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.waiting = 0.0

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def time(self, batches: Iterator[Batch]) -> Generator[Batch, None, None]:
        """Pass batches on, timing the wait for each."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waiting += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def figures(self, samples: int) -> str:
        """For the progress line: samples per second, share of time waiting, the largest memory so far."""
        if torch.cuda.is_initialized():
            peak = torch.cuda.max_memory_allocated()
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rate = f"{samples / self.total:.1f} samples/s  waiting {self.waiting / self.total:.1%}"
        return f"{rate}  memory {peak / 2**30:.1f} GiB"
