"""From the samples' tars to shards and indexes."""

import tarfile
from pathlib import Path

import pytest

from pipeline.ledger import DONE, Ledger, Row
from pipeline.manifest import Sample
from pipeline.runner import execute
from pipeline.shards_stage import ShardItem, index_rows, plan_shards, shard_fingerprint, write_dataset, write_shards
from pipeline.workspace import Workspace
from shards.dataset import FILE_NAME, read_dataset
from shards.errors import InputError
from shards.planning import shard_order
from shards.recipe import DEFAULT
from shards.sample import pack


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    return workspace


def item(
    workspace: Workspace, key: str, split: str = "train", content: bytes = b"{}", fingerprint: str = "f"
) -> ShardItem:
    members = {"json": content, "left.mjpg": key.encode() * 300, "flow.npy": b"n" * len(key)}
    packed = pack(key, members)
    workspace.handcrops(key).write_bytes(packed.data)
    return ShardItem(
        Sample(key, split, "3", 7, "/x", None), fingerprint, 60, {"extent": packed.extent, "places": packed.places}
    )


class Run:
    """The stage as `run.py` drives it, in this process; `names` are the shards that were written."""

    def __init__(self, workspace: Workspace, items: list[ShardItem], size: int = 3) -> None:
        folder = workspace.shards
        self.shards = plan_shards(items, size)
        self.ledger = Ledger(workspace.ledgers, "shards")
        rows = write_shards(folder, self.shards, workspace, self.ledger, lambda tasks: map(execute, tasks))
        self.names = sorted(row.id for row in rows)
        self.ledger.fold(keep=self.shards)
        self.dataset = write_dataset(folder, self.shards, self.ledger.rows, DEFAULT, {"quality": 95}, ["a"])
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_hold_the_samples_in_hash_order_whatever_the_order_of_the_items(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}", "val" if n % 3 == 0 else "train") for n in range(12)]
    first = Run(workspace, items)
    assert first.names == ["train-000.tar", "train-001.tar", "train-002.tar", "val-000.tar", "val-001.tar"]
    for split in ("train", "val"):
        names = []
        for shard in read_dataset(workspace.shards).splits[split]:
            with tarfile.open(workspace.shards / shard.name) as tar:
                names += [name.split(".")[0] for name in tar.getnames()]
        expected = sorted((i.sample.id for i in items if i.sample.split == split), key=shard_order)
        assert list(dict.fromkeys(names)) == expected
    again = Run(Workspace(workspace.root), items[::-1])
    assert again.names == []
    assert again.files == first.files


def test_an_index_row_points_at_its_members(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(3)]
    run = Run(workspace, items)
    rows = index_rows("train-000.tar", run.shards["train-000.tar"])
    data = run.files["train-000.tar"]
    for row in rows:
        cut = data[row["left_offset"] :][: row["left_size"]]
        assert cut == row["id"].encode() * 300
        assert (row["frames"], row["label"], row["signer"], row["right_offset"]) == (60, 7, "3", None)


def test_only_what_changed_is_written_again(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(9)]
    first = Run(workspace, items)
    changed = first.shards["train-001.tar"][0].sample.id
    items = [i for i in items if i.sample.id != changed] + [
        item(workspace, changed, content=b'{"x":1}', fingerprint="g")
    ]
    assert Run(workspace, items).names == ["train-001.tar"]
    assert Run(workspace, items).names == []
    (workspace.shards / "train-002.tar").unlink()
    (workspace.shards / "train-000.tar").write_bytes(b"short")
    again = Run(workspace, items)
    assert again.names == ["train-000.tar", "train-002.tar"]
    assert again.files["train-000.tar"] == first.files["train-000.tar"]


def test_shards_and_splits_that_are_no_longer_planned_go(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}", "val" if n > 6 else "train") for n in range(9)]
    Run(workspace, items)
    (workspace.shards / ".train-000.tar.0123456789ab.tmp").touch()
    after = Run(workspace, items[:2])
    assert sorted(after.files) == ["dataset.json", "train-000.tar", "train.parquet"]
    assert after.ledger.rows.keys() == {"train-000.tar"}


def test_dataset_json_is_gone_while_shards_are_written(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(4)]
    Run(workspace, items)
    seen = []

    def run(tasks):
        seen.append((workspace.shards / FILE_NAME).exists())
        return map(execute, tasks)

    ledger = Ledger(workspace.ledgers, "shards")
    write_shards(workspace.shards, plan_shards(items, 2), workspace, ledger, run)
    assert seen == [False]


def test_a_sample_cut_short_is_named(workspace: Workspace) -> None:
    items = [item(workspace, "s1")]
    workspace.handcrops("s1").write_bytes(b"short")
    with pytest.raises(InputError, match=r"handcrops/s1.tar: ends \d+ bytes early"):
        Run(workspace, items)


def test_the_fingerprint_covers_place_order_and_content(workspace: Workspace, tmp_path: Path) -> None:
    a, b = item(workspace, "a"), item(workspace, "b")
    other = item(workspace, "b", fingerprint="g")
    folders = tmp_path / "1", tmp_path / "2"
    lists = [a, b], [b, a], [a, other], [a]
    assert len({shard_fingerprint(folder, items) for folder in folders for items in lists}) == 8


def test_rows_of_another_folder_are_not_taken_for_this_one(workspace: Workspace) -> None:
    Run(workspace, [item(workspace, "a")])
    ledger = Ledger(workspace.ledgers, "shards")
    ledger.record(Row("val-000.tar", DONE, "f", facts={"folder": "/elsewhere", "size": 1}))
    (workspace.shards / "val-000.tar").touch()  # of somebody else
    Run(workspace, [item(workspace, "a")])
    assert (workspace.shards / "val-000.tar").exists()
