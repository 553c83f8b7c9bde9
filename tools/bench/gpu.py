"""What a GPU's training step does when it is fed from memory, and from shards by 1, 2, 4, 8 workers."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice, repeat
from typing import Any

import numpy as np
import torch

from shards.format.shardset import ShardSet, open_shards
from train.cli import main as train_main
from train.crops.crop_sample import SampleReader
from train.data.batch import Batch
from train.data.feeding import Clock, batches_on
from train.data.loader import make_loader
from train.data.views import EVALUATION
from train.fit.settings import SessionSettings, fitted, session_settings
from train.fit.trainer import Trainer
from train.models.defaults import DEFAULTS
from train.models.streams import stream_of
from train.ranks.distributed import Ranks

GOAL = 0.98  # of the step fed from memory
# For a CPU, in tests: the smallest models there are; a model takes of these what it has.
SMALL = {
    "cnn": "rn18",
    "sequence_length": 4,
    "image_size": 32,
    "num_layers": 1,
    "num_heads": 2,
    "embed_size": 16,
    "batch_size": 2,
    "accumulate_grad_batches": 2,
}


@dataclass(frozen=True)
class CheckSettings:
    """How the check runs."""

    shards: str
    seconds: float  # of each measurement, after a warm-up of half of them
    workers: tuple[int, ...]
    small: bool


def train_options(model: str, small: bool) -> list[str]:
    """Options of `train` for a model: none but its name for the published sizes."""
    options = ["--model", model]
    for name, value in SMALL.items() if small else ():
        if name in DEFAULTS[model]:
            options += [f"--{name.replace('_', '-')}", str(value)]
    return options


class Step:
    """The training step of a model, as `train` would set it up on this machine."""

    def __init__(self, model: str, check: CheckSettings, compiled: bool = False) -> None:
        cuda = torch.cuda.is_available()
        self.ranks = Ranks(0, 1, torch.device("cuda", 0) if cuda else torch.device("cpu"))
        self.shards = open_shards(check.shards)
        arguments = ["--shards", check.shards, "--run-dir", "unused", *train_options(model, check.small)]
        options = train_main.make_context("train", [*arguments, *(["--compile"] if compiled else [])]).params
        self.settings: SessionSettings = fitted(session_settings(options, cuda), self.shards, None, self.ranks)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        torch.manual_seed(0)
        stream = stream_of(model)
        self.reader = stream.reader
        built = stream.build(self.settings.model, self.settings.loader.recipe)
        self.trainer = Trainer(built, self.settings.step, self.settings.optimizer, self.ranks)
        self.trainer.model.train()

    def batches(self, shards: ShardSet, workers: int) -> Iterator[Batch]:
        """An epoch's batches on the device."""
        loading = replace(self.settings.loader, num_workers=workers)
        loader = make_loader(shards, loading, self.reader, True, self.ranks.device.type == "cuda")
        return batches_on(loader, self.ranks.device)

    def run(self, batches: Iterator[Batch], seconds: float) -> tuple[float, float]:
        """Train for so long; returns samples per second, and the share of time waiting for batches."""
        group, clock = self.settings.step.accumulate_grad_batches, Clock()
        timed, before = clock.time(batches), self.trainer.progress.position
        while clock.total < seconds:
            self.trainer.train_step(islice(timed, group), group)
        self.synchronize()
        return (self.trainer.progress.position - before) / clock.total, clock.waiting / clock.total

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.ranks.device.type == "cuda":
            torch.cuda.synchronize()

    def from_memory(self, batch: Batch, seconds: float) -> float:
        """Samples per second with one batch again and again."""
        return self.run(repeat(batch), seconds)[0]

    def peak_gib(self) -> float | None:
        """The GPU's memory at its fullest."""
        return torch.cuda.max_memory_allocated() / 2**30 if self.ranks.device.type == "cuda" else None


def model_figures(model: str, check: CheckSettings) -> dict[str, Any]:
    """The figures of a model: from memory, and from shards by every number of workers."""
    step = Step(model, check)
    kept = next(step.batches(step.shards, 0))
    step.from_memory(kept, check.seconds / 2)
    rates, feeds = [step.from_memory(kept, check.seconds)], []
    for workers in check.workers:
        # An epoch that lasts; a full queue of batches must be used up before figures count.
        samples = 3 * rates[0] * check.seconds + 64 * workers * step.settings.loader.batch_size
        epoch = np.tile(np.arange(len(step.shards)), math.ceil(samples / len(step.shards)))
        source = step.batches(step.shards.take(epoch), workers)
        step.run(source, check.seconds / 2)
        rate, waiting = step.run(source, check.seconds)
        del source
        rates.append(step.from_memory(kept, check.seconds / 2))
        ratio = rate / ((rates[-2] + rates[-1]) / 2)
        feeds.append({"workers": workers, "samples_per_second": rate, "of_memory": ratio, "waiting": waiting})
    enough = [feed["workers"] for feed in feeds if feed["of_memory"] >= GOAL]
    return {
        "from_memory": sum(rates) / len(rates),
        "from_shards": feeds,
        "workers_needed": enough[0] if enough else None,
        "peak_gib": step.peak_gib(),
        "precision": step.settings.step.precision,
        "model": asdict(step.settings.model),
    }


def compile_figures(model: str, check: CheckSettings) -> dict[str, Any]:
    """The step from memory, compiled; its first steps compile it."""
    step = Step(model, check, compiled=True)
    kept = next(step.batches(step.shards, 0))
    begun = time.perf_counter()
    step.from_memory(kept, 0.001)
    seconds = time.perf_counter() - begun
    step.from_memory(kept, check.seconds / 2)
    return {
        "from_memory": step.from_memory(kept, check.seconds),
        "seconds_to_compile": seconds,
        "peak_gib": step.peak_gib(),
    }


def jpeg_figures(model: str, check: CheckSettings) -> dict[str, Any]:
    """The step with its color JPEGs decoded on the GPU ahead of it, one after the other; reading them is left out.

    Raises:
        ImportError: there is no torchvision.
    """
    from torchvision.io import decode_jpeg

    step = Step(model, check)
    loading, kept = step.settings.loader, next(step.batches(step.shards, 0))
    reader = SampleReader(step.shards, loading.window, loading.recipe, False)
    jpegs = []
    for sample in range(min(loading.batch_size, len(step.shards))):
        for byte_range in reader.read(sample, EVALUATION).color.ranges:
            jpegs += [torch.frombuffer(bytearray(jpeg), dtype=torch.uint8) for jpeg in reader.jpegs(sample, byte_range)]
    device = step.ranks.device

    def decoded() -> Iterator[Batch]:
        while True:
            decode_jpeg(jpegs, device=device)
            yield kept

    step.run(decoded(), check.seconds / 2)
    rate, _ = step.run(decoded(), check.seconds)
    begun, rounds = time.perf_counter(), 0
    while time.perf_counter() - begun < check.seconds:
        decode_jpeg(jpegs, device=device)
        rounds += 1
    step.synchronize()
    seconds = (time.perf_counter() - begun) / (rounds * min(loading.batch_size, len(step.shards)))
    return {"samples_per_second": rate, "milliseconds_per_sample": seconds * 1000, "jpegs": len(jpegs)}
