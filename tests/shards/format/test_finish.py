"""Indexes made of layouts, against what is read out of the tars themselves."""

from pathlib import Path

import pytest

from shards.format.dataset import Dataset, read_dataset
from shards.format.finish import finish, index_rows
from shards.format.index import PLACE_COLUMNS, read_index, scan_shard
from shards.format.recipe import DEFAULT
from shards.format.sample import Layout, info_from_json, lay_out
from shards.format.writer import Extent, write_shard


def copied(source: Path, out: Path) -> tuple:
    """(split, shard, samples) of a copy of a shard, its members' sizes taken from the original's headers."""
    extents, entries = [], []
    for row in scan_shard(source):
        sizes = {member: row[length] for member, (_, length) in PLACE_COLUMNS.items() if row[length] is not None}
        layout = lay_out(row["id"], sizes)
        extents.append(Extent(source, row["json_offset"] - 512, layout.extent))
        info = info_from_json(source.read_bytes()[row["json_offset"] :][: row["json_size"]])
        entries.append(({"id": info.id, "label": info.label, "signer": info.signer, "frames": info.frames}, layout))
    return source.name.partition("-")[0], write_shard(out / source.name, extents), entries


def test_the_indexes_say_what_the_tars_do(tiny_work: Path, tmp_path: Path) -> None:
    sources = sorted((tiny_work / "shards").glob("*.tar"))
    dataset = finish(tmp_path, Dataset(DEFAULT, {"x": 1}, ["a"]), [copied(path, tmp_path) for path in sources])
    assert read_dataset(tmp_path) == dataset
    assert dataset.splits == read_dataset(tiny_work / "shards").splits
    for split, shards in dataset.splits.items():
        expected = [row for shard in shards for row in scan_shard(tmp_path / shard.name)]
        assert read_index(tmp_path / f"{split}.parquet").to_pylist() == expected


def test_dataset_json_comes_last(tiny_work: Path, tmp_path: Path) -> None:
    split, shard, entries = copied(tiny_work / "shards" / "val-000.tar", tmp_path)
    (tmp_path / f"{split}.parquet").mkdir()  # in the index's way
    with pytest.raises(OSError):
        finish(tmp_path, Dataset(DEFAULT, {}, []), [(split, shard, entries)])
    assert not (tmp_path / "dataset.json").exists()


def test_a_member_that_is_not_there_has_no_place() -> None:
    (row,) = index_rows("a-000.tar", [({"id": "a"}, Layout({"json": (512, 2)}, 1024))])
    assert (row["shard"], row["json_offset"], row["json_size"], row["pose_offset"], row["label"]) == (
        "a-000.tar",
        512,
        2,
        None,
        None,
    )
