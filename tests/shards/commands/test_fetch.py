"""`shards fetch`; what it does with faults of the other side is in tests/shards/remote/."""

import subprocess
import sys
from pathlib import Path

import pytest


def source(shards: Path) -> str:
    return f"pipe:cat {shards}/{{}}"


def test_a_copy_is_a_shard_set(run, shards: Path, tmp_path: Path) -> None:
    result = run("fetch", source(shards), "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}/out: 3 shards, ")
    assert result.stdout.endswith(" MB, as dataset.json has them\n")
    assert "all right: 3 shards, 6 samples" in run("verify", "--full", tmp_path / "out").stdout
    again = run("fetch", source(shards), "--out", tmp_path / "out")
    assert again.stdout == result.stdout
    assert "fetch:" not in again.stderr  # nothing to do


def test_some_of_a_set(run, shards: Path, tmp_path: Path) -> None:
    result = run("fetch", f"pipe:cat {shards}/train-<000..001>.tar", "--out", tmp_path / "out")
    assert f"it lists 3, so read these as '{tmp_path}/out/*.tar'" in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock", "dataset.json", "train-000.tar", "train-001.tar", "train.parquet",
    ]  # fmt: skip
    found = run("inspect", f"{tmp_path}/out/*.tar", "--out", tmp_path / "page.html", "--samples", 1)
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("shards", "is no URL"),
        ("https://me:secret@h/d", "ends in a name such as"),
        ("http://h{1..2}/d/train-000.tar", "several folders"),
        ("pipe:secret", "names of shards"),
    ],
)
def test_wrong_urls(run, tmp_path: Path, url: str, said: str) -> None:
    result = run("fetch", url, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "secret" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line(shards: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shards.cli", "fetch", source(shards), "--out", str(tmp_path / "out")]
    done = subprocess.run(["prlimit", "--fsize=20000", *command], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Error: {tmp_path}/out/.")
    assert not (tmp_path / "out" / "dataset.json").exists()
