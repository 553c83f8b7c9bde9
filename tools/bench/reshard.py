"""`shards reshard` against `cp` of the same files."""

import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from shards.shardset import open_shards
from tools.bench.timing import Table, compare, table


def reshard_tables(folder: Path, repeats: int) -> list[Table]:
    """Every second sample goes to another split, so that no shard stays as it was."""
    shards = open_shards(str(folder))
    with tempfile.TemporaryDirectory(prefix="signshards-bench-", dir=folder.parent) as scratch:
        assignment, out, copy = (Path(scratch, name) for name in ("assign.csv", "out", "copy"))
        with assignment.open("w", newline="") as file:
            csv.writer(file).writerows((key, f"part{n % 2}") for n, key in enumerate(shards.ids.to_pylist()))
        command = [sys.executable, "-m", "shards.cli", "reshard", "--shards", str(folder)]
        command += ["--assign", str(assignment), "--out", str(out)]

        def by_cp() -> None:
            shutil.rmtree(copy, ignore_errors=True)
            subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)

        def by_reshard() -> None:
            shutil.rmtree(out, ignore_errors=True)
            subprocess.run(command, check=True, capture_output=True)

        megabytes = sum(path.stat().st_size for path in folder.glob("*.tar")) / 1e6
        measured = compare(by_cp, {"shards reshard": by_reshard}, max(1, round(megabytes)), repeats)
        return [table(f"reshard, {megabytes:.0f} MB", "MB", "cp", measured, {"shards reshard": "≥ 0.7"})]
