"""A small shard set of noise, a server of it, and downloads that do not pause for long."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.data.shard_making import Plan, make_shards
from helpers.processes.faulty_server import FaultyServer, serving

import shards.remote.download as download


@pytest.fixture(scope="session")
def noise_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train-000.tar to train-003.tar, val-000.tar; 2 samples each. Read only."""
    plan = Plan({"train": 8, "val": 2}, per_shard=2, crop=160, frames=20)
    return make_shards(tmp_path_factory.mktemp("elsewhere") / "set", plan)


@pytest.fixture
def server(noise_set: Path) -> Iterator[FaultyServer]:
    with serving(noise_set) as state:
        yield state


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
