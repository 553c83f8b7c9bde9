"""Signals that ask the training to stop: it ends the step, writes a checkpoint and goes."""

import signal
from types import FrameType

import torch

from train.data.loader import STOP_SIGNALS
from train.ranks.distributed import Ranks


class TrainingStopped(Exception):
    """A signal asked for an end in the middle of an epoch or of a validation."""


class StopRequest:
    """Within its `with` block: whether SIGTERM or SIGUSR1 has come (Slurm sends either ahead of a time limit), on any
    rank."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._seen = False
        self._before: dict = {}

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = True

    def agreed(self) -> bool:
        """Whether any rank was asked; all ranks call this at the same step and get the same answer."""
        # On the CPU, so that no rank waits for its GPU to get here.
        return bool(self._ranks.sum(torch.tensor(float(self._seen))) > 0)
