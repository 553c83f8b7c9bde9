"""Shard sets that tests may damage, and the `shards` command in this process."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shards.cli import main
from shards.format.dataset import read_dataset
from shards.format.index import read_index, scan_shard, write_index
from shards.format.sample import MEMBERS
from shards.format.tar import pack, padded
from shards.format.writer import Extent, write_shard


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


@pytest.fixture(scope="session")
def keypoint_members(members: dict[str, bytes]) -> dict[str, bytes]:
    """A sample without video: what is left of `members` without crops."""
    value = json.loads(members["json"])
    del value["hands"]
    value["id"] = "signer0_keypoints"
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return {"json": data, "flow.npy": members["flow.npy"], "pose.npy": members["pose.npy"]}


@pytest.fixture
def mixed(shards: Path, keypoint_members: dict[str, bytes], tmp_path: Path) -> Path:
    """A shard set of a sample without video and one with: extra-000.tar."""
    packed = pack("signer0_keypoints", keypoint_members)
    (tmp_path / "sample").write_bytes(packed.data)
    # The first sample of the split: from its first header to the end of its last member.
    row = scan_shard(shards / "val-000.tar")[0]
    video = Extent(shards / "val-000.tar", 0, row["pose_offset"] + padded(row["pose_size"]))
    folder = tmp_path / "mixed"
    folder.mkdir()
    shard = write_shard(folder / "extra-000.tar", [Extent(tmp_path / "sample", 0, packed.extent), video])
    write_index(folder / "extra.parquet", scan_shard(folder / "extra-000.tar"))
    replace(read_dataset(shards), splits={"extra": [shard]}).write(folder)
    return folder


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
