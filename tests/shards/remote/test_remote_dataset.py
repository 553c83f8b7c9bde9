"""A dataset.json and indexes that somebody made to do harm, or by mistake."""

import io
import json
import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.processes.faulty_server import Fault, FaultyServer

from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.remote.download import Download
from shards.remote.remote_dataset import LONGEST_DATASET, fetch_indexes, fetch_listing, wanted_shards
from shards.remote.urls import RemoteFolder, parse

DOWNLOAD = Download(threading.Event(), lambda size: None)


def changed(noise_set: Path, **shard: object) -> bytes:
    """The dataset.json, with other words about its first shard."""
    value = json.loads((noise_set / "dataset.json").read_bytes())
    del value["sha256"]  # as a set of an earlier version, or one that means harm
    value["splits"]["train"]["shards"][0].update(shard)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "shard",
    [
        {"name": "../train-000.tar"},
        {"name": "/etc/train-000.tar"},
        {"name": "train-001.tar"},  # twice
        {"bytes": -5},
        {"bytes": 0},
        {"bytes": "many"},
        {"samples": -1},
        {"sha256": "../x"},
    ],
)
def test_shards_that_cannot_be(server: FaultyServer, noise_set: Path, shard: dict[str, object]) -> None:
    server.faults["dataset.json"] = [Fault(body=changed(noise_set, **shard))]
    with pytest.raises(InputError) as error:
        fetch_listing(RemoteFolder(server.url), DOWNLOAD)
    assert error.value.message.startswith(f"{server.url}dataset.json: ")


@pytest.mark.parametrize("body", [b"", b"<html>Log in</html>", b"[" * 100_000, b"{}", bytes(LONGEST_DATASET + 1)])
def test_what_is_no_dataset_json(server: FaultyServer, body: bytes) -> None:
    server.faults["dataset.json"] = [Fault(body=body)]
    with pytest.raises(InputError, match=f"^{server.url}dataset.json: "):
        fetch_listing(RemoteFolder(server.url), DOWNLOAD)


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def test_indexes(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    dataset = read_dataset(noise_set)
    fetch_indexes(RemoteFolder(server.url), dataset, ["train"], tmp_path, DOWNLOAD)
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert (tmp_path / "train.parquet").read_bytes() == (noise_set / "train.parquet").read_bytes()


def test_indexes_that_cannot_be(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    right = pq.read_table(noise_set / "train.parquet")
    dataset = replace(read_dataset(noise_set), index_sums={})  # as of an earlier version
    bomb = pa.table({"id": pa.array(["x" * 2_000_000] * 8)})
    assert len(parquet(bomb)) < 100_000
    for body, fault in (
        (b"PAR1 not", "cannot read this index"),
        (parquet(right.slice(1)), r"train\.parquet: lists 1 samples of train-000\.tar, dataset\.json 2"),
        (parquet(bomb), "not a file of this version"),
        (bytes(2 << 20), "longer than"),
    ):
        server.faults["train.parquet"] = [Fault(body=body)]
        with pytest.raises(InputError, match=fault):
            fetch_indexes(RemoteFolder(server.url), dataset, ["train"], tmp_path, DOWNLOAD)
    assert not list(tmp_path.iterdir())


def test_an_index_that_was_changed(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    table = pq.read_table(noise_set / "train.parquet")
    labels = table["label"].to_pylist()
    other = table.set_column(table.schema.names.index("label"), "label", pa.array(labels[::-1], pa.int32()))
    server.faults["train.parquet"] = [Fault(body=parquet(other))]
    with pytest.raises(InputError, match=r"train\.parquet: its SHA-256 is not that in dataset\.json"):
        fetch_indexes(RemoteFolder(server.url), read_dataset(noise_set), ["train"], tmp_path, DOWNLOAD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("end", "numbers"),
    [
        ("train-{002..001}.tar", None),
        ("train-{001..002}.tar", [1, 2]),
        ("{train-003,train-000}.tar", [3, 0]),
        ("train-*.tar", [0, 1, 2, 3]),
    ],
)
def test_the_patterns_order(noise_set: Path, end: str, numbers: list[int] | None) -> None:
    if numbers is None:
        with pytest.raises(InputError, match="backwards"):
            parse(f"http://h/{end}")
        return
    found = wanted_shards(parse(f"http://h/{end}")[0], read_dataset(noise_set))
    assert [shard.name for shard in found] == [f"train-00{number}.tar" for number in numbers]


@pytest.mark.parametrize("end", ["train-004.tar", "test-*.tar", "train-{000..004}.tar", "{train-000,train-*}.tar"])
def test_shards_that_are_not_listed_or_twice(noise_set: Path, end: str) -> None:
    with pytest.raises(InputError, match=r"not in the dataset\.json|twice"):
        wanted_shards(parse(f"http://h/{end}")[0], read_dataset(noise_set))
