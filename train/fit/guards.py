"""Noticing a loss or gradient that is not finite, without making the device wait."""

import torch

from shards.errors import InputError


class FiniteWatch:
    """The values of steps that have not been looked at yet: a step's is looked at a step later."""

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
