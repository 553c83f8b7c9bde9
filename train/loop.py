"""The training step, and passes over data. What surrounds them (files, epochs, resuming) is in `session.py`."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from shards.errors import InputError
from train.distributed import Ranks
from train.loader import Batch
from train.metrics import summarise
from train.optimisation import OptimiserSettings, learning_rate, make_average, make_optimiser
from train.pixels import model_input
from train.runlog import ProgressLine
from train.stopping import StopRequest
from train.vtn import VTN


@dataclass
class Progress:
    """Where a training is; a checkpoint keeps it."""

    epoch: int = 0
    position: int = 0  # samples of this epoch that all ranks together have seen
    step: int = 0  # optimizer steps since the beginning
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # this epoch's loss, hits, samples
    best_top1: float = -1.0
    best_loss_of_top1: float = float("inf")  # between equal accuracies the lower loss is better
    best_loss: float = float("inf")  # for early stopping
    epochs_without_gain: int = 0


class Stopped(Exception):
    """A signal asked for an end in the middle of an epoch or of a validation."""


class Trainer:
    """A model with its optimizer, and one step of training."""

    def __init__(
        self, model: VTN, settings: OptimiserSettings, ranks: Ranks, image_size: int, precision: str, compiled: bool
    ) -> None:
        self.settings, self.ranks, self.image_size = settings, ranks, image_size
        self.model = model.to(ranks.device, memory_format=torch.channels_last)
        self.average = make_average(self.model, settings)
        self.optimiser = make_optimiser(self.model, settings)
        self.progress = Progress()
        self._seed = 0
        # The wrapper that trains; `model` keeps the plain names.
        wrapped: nn.Module = torch.compile(self.model) if compiled else self.model
        if ranks.count > 1:
            wrapped = DistributedDataParallel(wrapped, find_unused_parameters=False)
        self._wrapped = wrapped
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._autocast = lambda: torch.autocast(ranks.device.type, dtype, enabled=precision == "bf16")
        self._watch = FiniteWatch(ranks.device)

    def seeded(self, seed: int) -> "Trainer":
        """With dropout drawn from (seed, step, rank), so that a resumed run draws what it would have drawn."""
        self._seed = seed
        return self

    def train_step(self, group: Iterator[Batch], size: int) -> torch.Tensor:
        """One optimizer step over `size` batches; returns the sum of losses, hits and samples, on the device.

        Raises:
            InputError: the step before last gave a loss or gradient that is not finite.
        """
        at = self.progress
        self._watch.check()
        _seed_dropout(self._seed, at.step, self.ranks.rank)
        sums, ids = torch.zeros(3, device=self.ranks.device), []
        for number, batch in enumerate(group, 1):
            # Gradients travel between ranks once, with the last batch of the group.
            quiet = self._wrapped.no_sync if self.ranks.count > 1 and number < size else nullcontext
            with quiet():
                with self._autocast():
                    logits = self._wrapped(
                        *model_input(batch, self.image_size, training=True, padded_depth=self._padded)
                    )
                smoothing = self.settings.label_smoothing
                loss = F.cross_entropy(logits, batch.labels, reduction="sum", label_smoothing=smoothing)
                # The mean over the global batch: DistributedDataParallel divides by the number of ranks.
                (loss * self.ranks.count / (batch.total * size)).backward()
            hits = (logits.argmax(1) == batch.labels).sum()
            sums += torch.stack([loss.detach(), hits, torch.tensor(len(batch.ids), device=hits.device)])
            ids += batch.ids
            at.position += batch.total
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm or float("inf"))
        self._watch.note(sums[0] + norm, ids)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)
        at.step += 1
        return sums

    @property
    def _padded(self) -> bool:
        """Depth windows over the edge are padded black (a quirk of the reference), not cut."""
        return self.model.recipe.clipped_multiscale

    def train_epoch(
        self, loader: DataLoader, stop: StopRequest, save: Callable[[], None], save_steps: int
    ) -> dict[str, float]:
        """Train from `progress.position` to the end of the epoch, calling `save` every `save_steps` steps.

        Returns the epoch's figures.

        Raises:
            Stopped: a signal came; `progress` says where we are.
        """
        at, samples, group = self.progress, len(loader.dataset.shards), self.settings.accumulate
        loader.dataset.epoch, loader.dataset.position = at.epoch, at.position
        left = len(loader.dataset)
        line = ProgressLine(f"epoch {at.epoch + 1}", samples, self.ranks.first)
        clock = Clock()
        self._wrapped.train()
        batches = clock.time(to_device(loader, self.ranks.device))
        sums, begun = torch.tensor(at.sums, device=self.ranks.device), at.position
        while left:
            size = min(group, left)
            rate = learning_rate(self.settings, at.epoch + at.position / samples)
            for parameters in self.optimiser.param_groups:
                parameters["lr"] = rate
            sums += self.train_step(_take(batches, size), size)
            left -= size
            if line.due():
                line.show(at.position, f"{self._figures(sums)}  {clock.figures(at.position - begun)}")
            stopped = stop.agreed()
            if stopped or (save_steps and at.step % save_steps == 0):
                self._watch.check(last=True)
                at.sums = self._shared(sums)
                if stopped:
                    raise Stopped
                save()
        self._watch.check(last=True)
        at.sums = self._shared(sums)
        loss, hits, count = at.sums
        line.end(f"{self._figures(sums)}  {clock.figures(at.position - begun)}")
        return {
            "train_loss": loss / max(count, 1),
            "train_top1": hits / max(count, 1),
            "samples_per_second": (at.position - begun) / clock.total,
            "waiting": clock.waiting / clock.total,
            "seconds": clock.total,
        }

    def _shared(self, sums: torch.Tensor) -> list[float]:
        """Each rank's share of the sums over all ranks, so that one checkpoint serves all of them."""
        return (self.ranks.sum(sums.double()) / self.ranks.count).tolist()

    def _figures(self, sums: torch.Tensor) -> str:
        loss, hits, count = sums.tolist()
        return f"loss {loss / max(count, 1):.4f}  accuracy {hits / max(count, 1):.4f}"

    def evaluate(self, loader: DataLoader, stop: StopRequest) -> dict[str, float]:
        """Figures over all samples of all ranks, each once.

        Raises:
            Stopped: a signal came.
        """
        model = self.average.module if self.average is not None else self.model
        parts = []
        model.eval()
        # Ranks may have unequal numbers of batches here, so they agree on a stop only at the end.
        for _, logits, labels in predict_batches(model, loader, self.ranks.device, self.image_size, self._autocast):
            parts.append((logits, labels))
            if stop.seen:
                break
        if stop.agreed():
            raise Stopped
        gathered = [part for rank in self.ranks.gather(parts) for part in rank]
        logits, labels = (np.concatenate(column) for column in zip(*gathered, strict=True))
        return summarise(logits, labels)


@torch.inference_mode()
def predict_batches(
    model: nn.Module,
    loader: DataLoader,
    device: torch.device,
    image_size: int,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """(ids, float32 logits (B, C), labels (B,)) of every batch, of a model in evaluation mode."""
    for batch in to_device(loader, device):
        with autocast():
            logits = model(*model_input(batch, image_size, training=False))
        yield batch.ids, logits.float().cpu().numpy(), batch.labels.cpu().numpy()


def to_device(loader: DataLoader, device: torch.device) -> Iterator[Batch]:
    """The loader's batches on the device; on a GPU the next one is copied while the last one is worked on."""
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


def _take(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    for _ in range(count):
        yield next(batches)


def _seed_dropout(seed: int, step: int, rank: int) -> None:
    torch.manual_seed(int.from_bytes(hashlib.sha256(f"{seed} {step} {rank}".encode()).digest()[:7], "big"))


class Clock:
    """How long an epoch took, and how much of it was spent waiting for batches."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.waiting = 0.0

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def time(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on, timing the wait for each."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waiting += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def figures(self, samples: int) -> str:
        """For the progress line."""
        memory = f"  {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if torch.cuda.is_available() else ""
        return f"{samples / self.total:.1f} samples/s  waiting {self.waiting / self.total:.1%}{memory}"


class FiniteWatch:
    """Finds a loss or gradient that is not finite without making the device wait: a step's value is looked at a step
    later."""

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
