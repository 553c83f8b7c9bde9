"""Shard sets for the trainer's tests."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.data.shard_making import Plan, make_shards

# On busy cores, threads wait for each other: with eight runnable processes on two cores, a test took 20 times as long.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Makes shard sets, each plan once: `made(splits={"train": 5}, depth=True)` gives its folder. Read only."""
    known = {}

    def make(**plan) -> Path:
        key = repr(sorted(plan.items()))
        if key not in known:
            known[key] = make_shards(tmp_path_factory.mktemp("made") / "shards", replace(Plan({}), **plan))
        return known[key]

    return make


@pytest.fixture(scope="session")
def small(made) -> Path:
    """13 train and 5 val samples of 3 classes; shards of 3."""
    return made(splits={"train": 13, "val": 5})
