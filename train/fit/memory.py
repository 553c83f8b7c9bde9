"""What to tell a user whose memory is too small."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from shards.errors import InputError


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Make one line of what torch raises where memory runs out; `advice` ends "the GPU's memory is too small …".

    Raises:
        InputError: memory, or the GPU's, did not suffice, or a loader's worker was killed.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(f"the GPU's memory is too small {advice} ({str(error).splitlines()[0]})") from error
    except RuntimeError as error:
        # torch has no class for these; its SIGCHLD handler raises the second wherever the trainer is.
        if "DefaultCPUAllocator" in str(error):
            raise InputError(f"memory is too small {advice} ({str(error).splitlines()[0]})") from error
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            f"a loader's process was killed, as the kernel does where memory is short: lower --num-workers ({error})"
        ) from error


def smaller_batches(batch: int, group: int) -> str:
    """Advice for steps of `group` batches of `batch` samples."""
    if batch == 1:
        return "even for --batch-size 1: lower --image-size"
    samples = batch * group
    smaller = max(size for size in range(1, batch // 2 + 1) if samples % size == 0)
    return (
        f"for --batch-size {batch}: try --batch-size {smaller} and "
        f"--accumulate-grad-batches {samples // smaller}, which train the same"
    )
