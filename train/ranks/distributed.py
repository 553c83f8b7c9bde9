"""One process or several: rank, device, and the few things that ranks tell each other. `torchrun` starts several."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.constants import default_pg_timeout

from shards.errors import InputError

# torchrun starts all processes at once; until each has imported torch, a slow file system may take some minutes.
MEETING_LIMIT = timedelta(minutes=5)
NOTICE_SECONDS = 5.0  # of waiting in silence
_ADVICE = "start with torchrun, or unset its variables (WORLD_SIZE, RANK, LOCAL_RANK)"


@dataclass(frozen=True)
class Ranks:
    """This process among all of them."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all ranks, on each, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace float tensors by their mean over all ranks, in one message."""
        if self.count == 1:
            return
        parts = list(tensors)
        joined = self.sum(torch.cat([part.reshape(-1) for part in parts])) / self.count
        for part, mean in zip(parts, joined.split([part.numel() for part in parts]), strict=True):
            part.copy_(mean.reshape(part.shape))

    def gather(self, value: object) -> list:
        """The values of all ranks, in rank order, on each."""
        if self.count == 1:
            return [value]
        return _gathered(value, self.count, None)

    @contextmanager
    def patient(self, limit: timedelta) -> Iterator[Callable[[object], list]]:
        """A `gather` within which the first rank to call may wait for the last one as long as `limit`.

        All ranks enter at about the same time.
        """
        if self.count == 1:
            yield self.gather
            return
        group = dist.new_group(backend="gloo", timeout=limit)
        yield lambda value: _gathered(value, self.count, group)
        dist.destroy_process_group(group)


def _gathered(value: object, count: int, group: Any) -> list:
    values: list = [None] * count
    dist.all_gather_object(values, value, group)
    return values


def choose_device(name: str | None, local_rank: int = 0) -> torch.device:
    """The device that `--device` names: cpu, cuda (the GPU of this rank) or cuda:N; None: a GPU where there is one.

    Raises:
        InputError: there is no such device.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise InputError(f"--device {name}: torch does not know it; give cpu, cuda or cuda:0") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise InputError(f"--device {name}: not supported; give cpu, cuda or cuda:0")
    index, count = local_rank if device.index is None else device.index, torch.cuda.device_count()
    if index >= count:
        raise InputError(f"--device cuda:{index}: torch sees {count} GPUs here; start fewer processes, or give cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def start(device: str | None) -> Ranks:
    """Join the other processes of `torchrun`, if there are any.

    Raises:
        InputError: there is no such device; the environment speaks of other processes, and they do not come.
    """
    count = _number("WORLD_SIZE", 1, least=1)
    if count == 1:
        return Ranks(0, 1, choose_device(device, _number("LOCAL_RANK", 0)))
    absent = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if absent:
        raise InputError(f"WORLD_SIZE={count} is set, but {absent[0]} is not: {_ADVICE}")
    rank = _number("RANK", 0)
    if rank >= count:
        raise InputError(f"RANK={rank} is not below WORLD_SIZE={count}: {_ADVICE}")
    chosen = choose_device(device, _number("LOCAL_RANK", 0))
    _meet(rank, count, chosen.type == "cuda")
    return Ranks(rank, count, chosen)


def _number(name: str, default: int, least: int = 0) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"{name}={text!r} in the environment is not a number from {least} on: {_ADVICE}")
    return int(text)


def _meet(rank: int, count: int, on_gpu: bool) -> None:
    """Wait for the other processes, and form a group with them."""
    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    text = f"process {rank} waits for the others of {count} at {place}, up to {MEETING_LIMIT.seconds} s"
    notice = threading.Timer(NOTICE_SECONDS, print, (text,), {"file": sys.stderr, "flush": True})
    notice.start()
    try:
        store, *_ = next(dist.rendezvous("env://", timeout=MEETING_LIMIT))
    except (dist.DistError, ValueError) as error:  # ValueError: of the port
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{count} processes did not meet at {place} ({reason}): {_ADVICE}") from error
    finally:
        notice.cancel()
    store.set_timeout(default_pg_timeout)  # as without a limit of ours
    # Figures and requests to stop are shared between the CPUs also where gradients go from GPU to GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=count)


def stop() -> None:
    """Leave the group of processes."""
    if dist.is_initialized():
        dist.destroy_process_group()
