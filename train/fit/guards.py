"""What ends a run in one line: a loss that is not finite, and memory that does not suffice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from shards.errors import InputError
from train.models.weights import out_of_memory


class FiniteWatch:
    """The values of steps that have not been looked at yet: a step's is looked at a step later, so that the device does
    not have to wait."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._noted: list[tuple[torch.Tensor, torch.cuda.Event | None, list[str]]] = []

    def note(self, value: torch.Tensor, ids: list[str]) -> None:
        """Remember a step's value and the samples it came from."""
        event = None
        value = value.detach()
        if self._on_gpu:
            value = value.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._noted.append((value, event, ids))

    def check(self, last: bool = False) -> None:
        """Look at what is ready; with `last`, wait for everything.

        Raises:
            InputError: a value was not finite.
        """
        while self._noted and (last or self._noted[0][1] is None or self._noted[0][1].query()):
            value, event, ids = self._noted.pop(0)
            if event is not None:
                event.synchronize()
            if not torch.isfinite(value):
                raise InputError(
                    f"loss or gradient is not finite ({value.item()}) at the batch of {', '.join(ids)}; "
                    "try a lower --learning-rate or --precision fp32, or look at these samples with `shards inspect`"
                )


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
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            reason = (str(error) or "no more to be had").splitlines()[0]
            raise InputError(f"memory is too small {advice} ({reason})") from error
        # torch has no class for this; its SIGCHLD handler raises it wherever the trainer is.
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
