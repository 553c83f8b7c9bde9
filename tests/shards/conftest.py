"""Shard sets that tests may damage, and the `shards` command in this process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shards.cli import main
from shards.format.index import read_index, scan_shard
from shards.format.sample import MEMBERS


@pytest.fixture
def shards(tiny_work: Path, tmp_path: Path) -> Path:
    """A copy of the tiny shard set: train-000.tar (3 samples), train-001.tar (1), val-000.tar (2); default recipe."""
    return Path(shutil.copytree(tiny_work / "shards", tmp_path / "shards"))


@pytest.fixture
def run() -> Callable[..., Result]:
    """`shards …`; anything but an exit is raised."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture(scope="session")
def members(tiny_work: Path) -> dict[str, bytes]:
    """The members of one sample with colour and depth, by name."""
    path = tiny_work / "shards" / "train-000.tar"
    data, row = path.read_bytes(), scan_shard(path)[0]
    places = {name: name.partition(".")[0] for name in MEMBERS}
    return {
        name: data[row[f"{prefix}_offset"] : row[f"{prefix}_offset"] + row[f"{prefix}_size"]]
        for name, prefix in places.items()
    }


@pytest.fixture
def split_of() -> Callable[[Path], dict[str, str]]:
    """The split of every id in a folder of shards, as its indexes have it."""

    def read(folder: Path) -> dict[str, str]:
        return {
            sample_id: path.stem
            for path in folder.glob("*.parquet")
            for sample_id in read_index(path)["id"].to_pylist()
        }

    return read
