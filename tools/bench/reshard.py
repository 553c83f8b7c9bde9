"""`shards reshard` against `cp` of the same files."""

import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from tools.bench.data import BenchData, grow
from tools.bench.timing import Contender, Table, compare

# MB: what the page cache takes at once, and what has to go to the disk.
SIZES = (1000, 3000)


def tables(data: BenchData, rounds: int) -> Iterator[Table]:
    """A table for each of `SIZES`."""
    for megabytes in SIZES:
        with tempfile.TemporaryDirectory(prefix="signshards-bench-", dir=data.work.parent) as scratch:
            yield _table(data.shards, Path(scratch), megabytes, rounds)


def _table(small: Path, scratch: Path, megabytes: int, rounds: int) -> Table:
    """Every second sample goes to another split, so that no shard stays as it was."""
    folder, assignment, out, copy = (scratch / name for name in ("large", "assign.csv", "out", "copy"))
    grow(small, folder, megabytes)
    ids = pq.read_table(folder / "train.parquet")["id"].to_pylist()
    with assignment.open("w", newline="") as file:
        csv.writer(file).writerows((key, f"part{number % 2}") for number, key in enumerate(ids))
    options = ["--shards", str(folder), "--assign", str(assignment), "--out", str(out)]
    command = [sys.executable, "-m", "shards.cli", "reshard", *options]

    def by_cp() -> None:
        subprocess.run(["cp", "-r", folder, copy], check=True)

    def by_reshard() -> None:
        subprocess.run(command, check=True, capture_output=True)

    written = round(sum(path.stat().st_size for path in folder.glob("*.tar")) / 1e6)
    limit = Contender("cp", by_cp, written, before=lambda: shutil.rmtree(copy, ignore_errors=True))
    contender = Contender(
        "shards reshard", by_reshard, written, "≥ 0.7", before=lambda: shutil.rmtree(out, ignore_errors=True)
    )
    return compare(f"reshard, {written} MB", "MB", limit, [contender], rounds)
