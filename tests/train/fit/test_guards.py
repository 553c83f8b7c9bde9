"""Memory that does not suffice: one line that says which option to lower."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch

from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropReader
from train.data.feeding import batches_on
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window
from train.fit.guards import enough_memory, smaller_batches

SETTINGS = LoaderSettings(Window(4, 2), DEFAULT, batch_size=1, num_workers=1)


@pytest.mark.parametrize(
    ("batch", "group", "advice"),
    [
        (4, 8, "for --batch-size 4: try --batch-size 2 and --accumulate-grad-batches 16, which train the same"),
        (5, 2, "for --batch-size 5: try --batch-size 2 and --accumulate-grad-batches 5, which train the same"),
        (7, 2, "for --batch-size 7: try --batch-size 2 and --accumulate-grad-batches 7, which train the same"),
        (7, 1, "for --batch-size 7: try --batch-size 1 and --accumulate-grad-batches 7, which train the same"),
        (1, 2, "even for --batch-size 1: lower --image-size"),
    ],
)
def test_a_gpu_that_is_too_small(batch, group, advice):
    """With torch's exception, without a GPU."""
    with pytest.raises(InputError) as error, enough_memory(smaller_batches(batch, group)):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")
    expected = f"the GPU's memory is too small {advice} (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    assert error.value.message == expected


def test_memory_that_is_too_small():
    with pytest.raises(InputError) as error, enough_memory("for --batch-size 4: give a smaller one"):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert error.value.message.startswith("memory is too small for --batch-size 4: give a smaller one (")
    assert "\n" not in error.value.message


def test_a_worker_that_is_killed(made):
    shards = open_shards(str(made(splits={"train": 60})))
    others = set(multiprocessing.active_children())
    batches = batches_on(make_loader(shards, SETTINGS, CropReader, training=True), torch.device("cpu"))
    next(batches)
    with pytest.raises(InputError, match="lower --num-workers") as error, enough_memory(""):
        [worker] = set(multiprocessing.active_children()) - others
        os.kill(worker.pid, signal.SIGKILL)
        for _ in batches:
            pass
    assert "\n" not in error.value.message


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory(""):
        raise RuntimeError("shapes do not match")


def test_memory_that_the_system_does_not_give(small, monkeypatch):
    monkeypatch.setattr("train.crops.crop_batch._CROP_BYTES", 1 << 44)  # more than there are addresses
    shards = open_shards(str(small))
    with pytest.raises(InputError, match=r"Cannot allocate memory.*lower --num-workers"):
        iter(make_loader(shards, replace(SETTINGS, num_workers=2), CropReader, training=True))
