import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.format.dataset import Dataset, read_dataset
from shards.format.index import PLACE_COLUMNS, read_index, scan_shard
from shards.format.recipe import DEFAULT
from shards.format.sample import hand_counts, info_from_json
from shards.format.tar import TarLayout, end_of_archive, lay_out, pack, tar_member
from shards.format.writer import Extent, finish, index_rows, plan_split, shard_order, write_shard

_BIG = """
import resource, sys
from pathlib import Path
from shards.format.writer import Extent, write_shard
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_shard(Path(sys.argv[2]), [Extent(Path(sys.argv[1]), 0, 200_000_000)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def two_samples(folder: Path) -> tuple[list[Extent], bytes]:
    extents, data = [], b""
    for name in ("a", "b"):
        packed = pack(name, {"json": name.encode() * 1000, "pose.npy": name.encode() * 900_000})
        (folder / f"{name}.bin").write_bytes(b"before" + packed.data + b"after")
        extents.append(Extent(folder / f"{name}.bin", 6, packed.extent))
        data += packed.data[: packed.extent]
    return extents, data + end_of_archive(len(data))


def test_shard_is_the_samples_one_after_another(tmp_path: Path) -> None:
    extents, expected = two_samples(tmp_path)
    shard = write_shard(tmp_path / "train-000.tar", extents)
    assert (tmp_path / "train-000.tar").read_bytes() == expected
    assert shard.name == "train-000.tar"
    assert (shard.samples, shard.bytes, shard.sha256) == (2, len(expected), hashlib.sha256(expected).hexdigest())


def test_sample_in_pieces(tmp_path: Path) -> None:
    extents, expected = two_samples(tmp_path)
    head = 512 + 1024
    pieces = [tar_member("b", "json", b"b" * 1000), extents[1]._replace(start=6 + head, size=extents[1].size - head)]
    shard = write_shard(tmp_path / "x.tar", [extents[0], pieces])
    assert (tmp_path / "x.tar").read_bytes() == expected
    assert shard.samples == 2


def test_source_that_ends_early_leaves_no_shard(tmp_path: Path) -> None:
    extents, _ = two_samples(tmp_path)
    os.truncate(extents[1].path, extents[1].size - 100)
    with pytest.raises(InputError, match=r"b\.bin: ends 106 bytes early"):
        write_shard(tmp_path / "x.tar", extents)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_constant_memory(tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    source.touch()
    os.truncate(source, 200_000_000)
    command = [sys.executable, "-c", _BIG, str(source), str(tmp_path / "x.tar")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 20_000  # KiB, for 200 MB


def copied(source: Path, out: Path) -> tuple:
    """(split, shard, samples) of a copy of a shard, its members' sizes taken from the original's headers."""
    extents, entries = [], []
    for row in scan_shard(source):
        sizes = {member: row[length] for member, (_, length) in PLACE_COLUMNS.items() if row[length] is not None}
        layout = lay_out(sizes)
        extents.append(Extent(source, row["json_offset"] - 512, layout.extent))
        info = info_from_json(source.read_bytes()[row["json_offset"] :][: row["json_size"]])
        about = {"id": info.id, "label": info.label, "signer": info.signer, "frames": info.frames}
        entries.append((about | hand_counts(info.hands), layout))
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
    (row,) = index_rows("a-000.tar", [({"id": "a"}, TarLayout({"json": (512, 2)}, 1024))])
    assert (row["shard"], row["json_offset"], row["json_size"], row["pose_offset"], row["label"]) == (
        "a-000.tar",
        512,
        2,
        None,
        None,
    )


def test_order_is_that_of_the_hash_whatever_the_input_order() -> None:
    ids = [f"signer{n % 3}_sample{n}" for n in range(100)]
    plan = plan_split("train", ids, str, 30)
    assert plan == plan_split("train", reversed(ids), str, 30)
    expected = sorted(ids, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    assert [key for piece in plan.values() for key in piece] == expected
    assert [len(piece) for piece in plan.values()] == [30, 30, 30, 10]
    assert list(plan) == ["train-000.tar", "train-001.tar", "train-002.tar", "train-003.tar"]


def test_pipeline_orders_samples_so(tiny_work, split_of) -> None:
    from shards.format.index import read_index

    for split in ("train", "val"):
        ids = read_index(tiny_work / "shards" / f"{split}.parquet")["id"].to_pylist()
        assert ids == sorted(ids, key=shard_order)


def test_names_of_over_a_thousand_shards_sort_as_the_shards_do() -> None:
    names = list(plan_split("train", map(str, range(1001)), str, 1))
    assert (names[0], names[-1]) == ("train-0000.tar", "train-1000.tar")
    assert names == sorted(names)
    assert len(set(map(len, plan_split("train", map(str, range(1000)), str, 1)))) == 1


def test_no_items_no_shards() -> None:
    assert plan_split("train", [], str, 10) == {}
