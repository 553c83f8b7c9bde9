"""The training step, and passes over data. What surrounds them (files, epochs, resuming) is in `session.py`."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from train.data.batch import Batch
from train.data.feeding import Clock, batches_on
from train.data.loader import Loader
from train.data.order import evaluation_rounds
from train.evaluate.metrics import summarize
from train.fit.guards import FiniteWatch
from train.fit.optimizer import OptimizerSettings, learning_rate, make_average, make_optimizer
from train.fit.run_log import EpochTime, ProgressLine
from train.models.streams import AnyModel, predict_batches
from train.ranks.distributed import Ranks
from train.ranks.stopping import StopRequest, TrainingStopped


@dataclass(frozen=True)
class StepSettings:
    """What a training step does; the defaults are the 2021 entry's."""

    image_size: int = 224
    accumulate_grad_batches: int = 8
    gradient_clip_val: float = 1.0  # 0: gradients are not clipped
    label_smoothing: float = 0.0
    precision: str = "fp32"  # or "bf16"
    compiled: bool = False
    seed: int = 42  # of dropout


@dataclass
class Progress:
    """Where a training is; a checkpoint keeps it."""

    epoch: int = 0
    position: int = 0  # samples of this epoch that all ranks together have seen
    step: int = 0  # optimizer steps since the beginning
    # This epoch's loss, hits and samples so far, over all ranks.
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    best_top1: float = -1.0
    best_loss_of_top1: float = float("inf")  # between equal accuracies the lower loss is better
    best_loss: float = float("inf")  # for early stopping
    epochs_without_gain: int = 0


class Trainer:
    """A model with its optimizer, and one step of training."""

    def __init__(self, model: AnyModel, settings: StepSettings, optimizer: OptimizerSettings, ranks: Ranks) -> None:
        self.settings, self.schedule, self.ranks = settings, optimizer, ranks
        self.model = model.to(ranks.device).to(memory_format=torch.channels_last)
        self.average = make_average(self.model, optimizer)
        self.optimizer = make_optimizer(self.model, optimizer)
        self.progress = Progress()
        # The wrapper that trains; `model` keeps the plain names.
        self._wrapped: Any = torch.compile(self.model) if settings.compiled else self.model
        if ranks.count > 1:
            # The layer norm of a sequence of length 1 uses no parameter; nothing else is ever unused.
            unused = model.settings.sequence_length == 1
            self._wrapped = DistributedDataParallel(self._wrapped, find_unused_parameters=unused)
        self._statistics = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
        self._watch = FiniteWatch(ranks.device)
        self._epoch_time: EpochTime | None = None

    def train_step(self, group: Iterable[Batch], size: int) -> torch.Tensor:
        """One optimizer step over `size` batches.

        Returns:
            The sums of losses, hits and samples of this rank, float64 (3,), on the device.

        Raises:
            InputError: an earlier step gave a loss or gradient that is not finite; or a sample cannot be read.
        """
        progress, ids = self.progress, []
        sums = torch.zeros(3, dtype=torch.float64, device=self.ranks.device)
        self._watch.check()
        for number, batch in enumerate(group, 1):
            # After the batch was fetched: starting a loader draws from torch's generator, too.
            seed_dropout(self.settings.seed, progress.epoch, progress.position, self.ranks.rank)
            inputs = batch.inputs(self.settings.image_size, training=True)
            # Gradients travel between ranks once, with the last batch of the group.
            with self._wrapped.no_sync() if self.ranks.count > 1 and number < size else nullcontext():
                with self.autocast():
                    logits = self._wrapped(*inputs)
                smoothing = self.settings.label_smoothing
                loss = F.cross_entropy(logits, batch.labels, reduction="sum", label_smoothing=smoothing)
                # The mean over the global batch: DistributedDataParallel divides by the number of ranks.
                (loss * self.ranks.count / (batch.total * size)).backward()
            sums[0] += loss.detach()
            sums[1] += (logits.argmax(1) == batch.labels).sum()
            sums[2] += len(batch.ids)
            ids += batch.ids
            progress.position += batch.total
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip_val or float("inf"))
        self._watch.note(sums[0] + norm, ids)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # Batch norm's running statistics: each rank saw its own part of the data.
        self.ranks.average(self._statistics)
        if self.average is not None:
            self.average.update_parameters(self.model)
        progress.step += 1
        return sums

    def autocast(self) -> torch.autocast:
        """The precision of the model's forward pass."""
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16")

    def train_epoch(
        self, loader: Loader, stop: StopRequest, save: Callable[[], None], save_steps: int
    ) -> dict[str, float]:
        """Train from `progress.position` to the end of the epoch, calling `save` every `save_steps` steps (0: never).

        Returns the epoch's figures.

        Raises:
            TrainingStopped: a signal came; `progress` says where we are.
        """
        progress, samples = self.progress, len(loader.dataset.shards)
        loader.dataset.epoch, loader.dataset.position = progress.epoch, progress.position
        left, begun, clock = len(loader), progress.position, Clock()
        line = ProgressLine(f"epoch {progress.epoch + 1}", begun, samples, self.ranks.first)
        self._epoch_time = self._epoch_time or EpochTime(self.schedule.max_epochs - progress.epoch)
        # Every rank starts with its share of what all of them, perhaps another number, have so far.
        sums = torch.tensor(progress.sums, dtype=torch.float64, device=self.ranks.device) / self.ranks.count
        self._wrapped.train()
        # Closed at once when an error comes: multiprocessing would wait 5 seconds for every worker.
        with closing(clock.time(batches_on(loader, self.ranks.device))) as batches:
            while left:
                size = min(self.settings.accumulate_grad_batches, left)
                for parameters in self.optimizer.param_groups:
                    parameters["lr"] = learning_rate(self.schedule, progress.epoch + progress.position / samples)
                sums += self.train_step(islice(batches, size), size)
                left -= size
                if time_line := self._epoch_time.line(progress.position, samples):
                    line.say(time_line)
                if line.due():
                    rate = clock.figures(progress.position - begun)
                    line.show(progress.position, f"{_figures(sums.tolist())}  {rate}")
                stopped, due = stop.agreed(), save_steps and progress.step % save_steps == 0
                if stopped or due or not left:
                    self._watch.check(last=True)
                    progress.sums = self.ranks.sum(sums.clone()).tolist()
                if stopped:
                    raise TrainingStopped
                if due:
                    save()
        line.end(f"{_figures(progress.sums)}  {clock.figures(progress.position - begun)}")
        loss, hits, count = progress.sums
        return {
            "train_loss": loss / count,
            "train_top1": hits / count,
            "samples_per_second": (progress.position - begun) / clock.total,
            "waiting": clock.waiting / clock.total,
            "seconds": clock.total,
        }

    def evaluate(self, loader: Loader, stop: StopRequest) -> dict[str, float]:
        """Figures over all samples of all ranks, each once, of the averaged model where there is one.

        Raises:
            TrainingStopped: a signal came.
        """
        model = self.average.module if self.average is not None else self.model
        model.eval()
        batches = predict_batches(model, loader, self.ranks.device, self.settings.image_size, self.autocast)
        parts = []
        # A rank may have one batch less than another: it still takes part in agreeing on whether to stop.
        settings, samples = loader.dataset.settings, len(loader.dataset.shards)
        line = ProgressLine("validation", 0, samples, self.ranks.first)
        for number in range(evaluation_rounds(samples, settings.batch_size, settings.ranks)):
            parts += [(logits, labels) for _, logits, labels in islice(batches, 1)]
            if stop.agreed():
                raise TrainingStopped
            if line.due():
                line.show(min((number + 1) * settings.batch_size * settings.ranks, samples), "")
        line.clear()
        gathered = [part for rank in self.ranks.gather(parts) for part in rank]
        logits, labels = (np.concatenate(column) for column in zip(*gathered, strict=True))
        return summarize(logits, labels)


def seed_dropout(*numbers: int) -> None:
    """Dropout depends on these numbers only, so that a resumed run draws what it would have drawn."""
    torch.manual_seed(int.from_bytes(hashlib.sha256(str(numbers).encode()).digest()[:7], "big"))


def _figures(sums: Sequence[float]) -> str:
    loss, hits, count = sums
    return f"loss {loss / max(count, 1):.4f}  accuracy {hits / max(count, 1):.4f}"
