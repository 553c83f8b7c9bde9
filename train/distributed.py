"""One process or several: rank, device, and the few things that ranks tell each other. `torchrun` starts several."""

import os
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
        """The sum of a tensor over all ranks, on each."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: object) -> list:
        """The values of all ranks, in rank order, on each."""
        if self.count == 1:
            return [value]
        values: list = [None] * self.count
        dist.all_gather_object(values, value)
        return values


def start(device: str | None) -> Ranks:
    """Join the other processes of `torchrun`, if there are any.

    Args:
        device: as torch names it; None: CUDA where there is one, else the CPU.

    Raises:
        InputError: there is no such device.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError("--device cuda: torch sees no GPU here; leave it out to train on the CPU")
        if chosen.index is None:
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    if count > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Ranks(rank, count, chosen)


def stop() -> None:
    """Leave the group of processes."""
    if dist.is_initialized():
        dist.destroy_process_group()
