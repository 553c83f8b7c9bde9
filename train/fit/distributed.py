"""One process or several: rank, device, and the few things that ranks tell each other. `torchrun` starts several."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist

from shards.errors import InputError


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
        values: list = [None] * self.count
        dist.all_gather_object(values, value)
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
        InputError: there is no such device.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if count > 1:
        # Figures and requests to stop are shared between the CPUs also where gradients go from GPU to GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    return Ranks(rank, count, chosen)


def stop() -> None:
    """Leave the group of processes."""
    if dist.is_initialized():
        dist.destroy_process_group()
