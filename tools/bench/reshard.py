"""`shards reshard` against `cp` of the same files."""

import csv
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from shards.format.index import scan_shard, write_index
from shards.format.sample import MEMBERS, info_from_json
from shards.format.shardset import MemberReader, ShardSet, open_shards
from shards.format.tar import pack
from shards.format.writer import write_shard
from tools.bench.timing import Table, compare, table

# What the page cache takes at once, and what has to go to the disk.
SIZES = (1500, 4000)
PER_SHARD = 256


def reshard_tables(small: Path, repeats: int) -> list[Table]:
    """A table for each of `SIZES`."""
    return [_table(small, megabytes, repeats) for megabytes in SIZES]


def _table(small: Path, megabytes: int, repeats: int) -> Table:
    """Every second sample goes to another split, so that no shard stays as it was."""
    with tempfile.TemporaryDirectory(prefix="signshards-bench-", dir=small.parent) as scratch:
        folder, assignment, out, copy = (Path(scratch, name) for name in ("large", "assign.csv", "out", "copy"))
        grow(small, folder, megabytes)
        shards = open_shards(str(folder))
        with assignment.open("w", newline="") as file:
            csv.writer(file).writerows((key, f"part{n % 2}") for n, key in enumerate(shards.ids.to_pylist()))
        command = [sys.executable, "-m", "shards.cli", "reshard", "--shards", str(folder)]
        command += ["--assign", str(assignment), "--out", str(out)]

        def by_cp() -> None:
            subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)

        def by_reshard() -> None:
            subprocess.run(command, check=True, capture_output=True)

        before = {
            "limit": lambda: shutil.rmtree(copy, ignore_errors=True),
            "shards reshard": lambda: shutil.rmtree(out, ignore_errors=True),
        }
        written = sum(path.stat().st_size for path in folder.glob("*.tar")) / 1e6
        measured = compare(by_cp, {"shards reshard": by_reshard}, round(written), repeats, before)
        return table(f"reshard, {written:.0f} MB", "MB", "cp", measured, {"shards reshard": "≥ 0.7"})


def grow(small: Path, folder: Path, megabytes: int) -> None:
    """A shard set of this size with the samples of a small one, again and again, under other ids."""
    shards = open_shards(str(small))
    reader = MemberReader(shards)
    samples = [_members(shards, reader, number) for number in range(len(shards))]
    reader.close()
    size = sum(len(content) for members in samples for content in members.values())
    copies = -(-megabytes * 1_000_000 // size)
    folder.mkdir()
    numbers = range(copies * len(samples))
    written, rows = [], []
    for start in range(0, len(numbers), PER_SHARD):
        path = folder / f"train-{start // PER_SHARD:03d}.tar"
        chosen = numbers[start : start + PER_SHARD]
        written.append(write_shard(path, ([_renamed(samples[n % len(samples)], f"s{n:06d}")] for n in chosen)))
        rows += scan_shard(path)
    write_index(folder / "train.parquet", rows)
    replace(shards.dataset, splits={"train": written}).write(folder)


def _members(shards: ShardSet, reader: MemberReader, number: int) -> dict[str, bytes]:
    here = [place for place in range(len(MEMBERS)) if shards.offsets[number, place] >= 0]
    return {MEMBERS[place]: reader.read(number, place) for place in here}


def _renamed(members: dict[str, bytes], sample_id: str) -> bytes:
    info = replace(info_from_json(members["json"]), id=sample_id)
    packed = pack(sample_id, members | {"json": info.to_json()})
    return packed.data[: packed.extent]
