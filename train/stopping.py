"""Signals that ask the training to stop: it ends the step, writes a checkpoint and goes."""

import signal
from types import FrameType

import torch

from train.distributed import Ranks


class StopRequest:
    """Whether SIGTERM or SIGUSR1 has come (Slurm sends either ahead of a time limit), on any rank."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self.seen = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True

    def agreed(self) -> bool:
        """Whether any rank was asked; all ranks call this at the same step and get the same answer."""
        if self._ranks.count == 1:
            return self.seen
        flag = torch.tensor(float(self.seen), device=self._ranks.device)
        return bool(self._ranks.sum(flag) > 0)
