"""Training from shards against the same step fed from memory."""

from collections.abc import Iterable, Iterator
from itertools import islice, repeat

import torch

from shards.format.shardset import open_shards
from tools.bench.data import repeated
from tools.bench.timing import Table, compare, table
from train.data.batch import Batch
from train.data.dataset import LoaderSettings
from train.data.feeding import batches_on
from train.data.loader import make_loader
from train.data.window import Window
from train.fit.distributed import Ranks
from train.fit.optimizer import OptimizerSettings
from train.fit.trainer import StepSettings, Trainer
from train.models.vtn import VTN, ModelSettings


def train_tables(pattern: str, repeats: int) -> list[Table]:
    """Both models: on a GPU the published ones in bf16, on a CPU small ones (ResNet-18, 64 pixels)."""
    return [_table(pattern, name, repeats) for name in ("VTN_HCPF", "VTN_HCPF_D")]


def _table(pattern: str, name: str, repeats: int) -> Table:
    shards = open_shards(pattern)
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    gpu = device.type == "cuda"
    model = ModelSettings(name, len(shards.dataset.classes), "rn34" if gpu else "rn18")
    settings = StepSettings(224 if gpu else 64, accumulate_grad_batches=1, precision="bf16" if gpu else "fp32")
    trainer = Trainer(VTN(model, shards.dataset.recipe), settings, OptimizerSettings(), Ranks(0, 1, device))
    trainer.model.train()
    size, workers = (32, 8) if gpu else (2, 1)
    loading = LoaderSettings(Window(), shards.dataset.recipe, model.with_depth, size, num_workers=workers)
    # On a CPU a worker reads 8 of these batches at a time.
    steps, warm = (100, 3 * workers) if gpu else (32, 8)
    loader = make_loader(repeated(shards, -(-(steps + warm) * size // len(shards))), loading, training=True, pin=gpu)
    kept = next(iter(batches_on(loader, device)))
    source: Iterator[Batch] = iter(())

    def train(batches: Iterable[Batch]) -> None:
        for batch in islice(batches, steps):
            trainer.train_step([batch], 1)
        if gpu:
            torch.cuda.synchronize()

    def start() -> None:
        """A new epoch, with the workers as far ahead as they go: as many batches are read as are trained on."""
        nonlocal source
        loader.dataset.epoch += 1
        source = batches_on(loader, device)
        for batch in islice(source, warm):
            trainer.train_step([batch], 1)

    if gpu:
        torch.cuda.reset_peak_memory_stats()
    contenders, before = {"from shards": lambda: train(source)}, {"from shards": start}
    measured = compare(lambda: train(repeat(kept)), contenders, steps * size, repeats, before)
    place = torch.cuda.get_device_name(device) if gpu else "CPU, ResNet-18 at 64 pixels"
    title = f"training {name}, {place}, batch {size}"
    if gpu:
        title += f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
    return table(title, "sample", "the same step from memory", measured, {"from shards": "≥ 0.97 on a GPU"})
