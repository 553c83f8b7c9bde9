"""Full and read-only disks, a second driver, parts: what a run does as a whole."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import (
    clips,
    command,
    digests,
    fake_openpose,
    last_line,
    leftovers,
    run,
    start,
    wait_until,
)

from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.row import DONE

NAMES = [f"signer{n}_sample{n}" for n in range(8)]
# Root may write everywhere; without these capabilities it obeys the permissions of its own files like everybody else.
OBEYING = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def data(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(ffmpeg, tmp_path_factory.mktemp("clips"), NAMES)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return ["--openpose-bin", str(fake_openpose(tmp_path_factory.mktemp("openpose"))), "--jobs", "2"]


@pytest.fixture(scope="module")
def whole(data: Path, options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a run that nothing disturbs."""
    work = tmp_path_factory.mktemp("undisturbed") / "work"
    assert run(data, work, *options).returncode == 0
    return work


@pytest.fixture(scope="module")
def undisturbed(whole: Path) -> dict[str, str]:
    return digests(whole)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_leaves_no_half_file(small_disk, data, options, whole) -> None:
    work = small_disk / "work"
    first = run(data, work, *options)
    assert first.returncode == 1
    said = last_line(first.stderr)
    assert said.startswith("Error: ") and "No space left on device; what is done is kept: make room, run" in said
    assert leftovers(small_disk) == []
    assert read_ledger_rows(work / "ledger", "keypoints")
    # One more may be there than in the ledger: what the other worker ended while the run was being stopped.
    made = {path.name: path.read_bytes() for path in work.glob("handcrops/*")}
    assert {f"{key}.tar" for key in read_ledger_rows(work / "ledger", "handcrops")} <= made.keys()
    assert made == {name: (whole / "handcrops" / name).read_bytes() for name in made}
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    second = run(data, work, *options)
    assert second.returncode == 0, second.stderr
    assert digests(work) == digests(whole)


@pytest.mark.parametrize("limit", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_limit_on_file_sizes_does_the_same_wherever_it_bites(limit, data, options, undisturbed, tmp_path) -> None:
    # 2,000 bytes stop the manifest, 50,000 the first tar.
    work = tmp_path / "work"
    limited = ["prlimit", f"--fsize={limit}", *command(data, work, *options)]
    first = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert first.returncode == 1
    assert "File too large; what is done is kept" in last_line(first.stderr)
    assert leftovers(work) == []
    assert run(data, work, *options).returncode == 0
    assert digests(work) == undisturbed


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not here")
def test_folders_that_cannot_be_written(data, options, tmp_path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o555)
    done = subprocess.run([*OBEYING, *command(data, work, *options)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, last_line(done.stderr)) == (
        2,
        f"Error: {work}/ledger: cannot be written (Permission denied); give another --work",
    )
    work.chmod(0o755)
    assert run(data, work, *options).returncode == 0
    (work / "handcrops").chmod(0o555)
    done = subprocess.run([*OBEYING, *command(data, work, *options)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert last_line(done.stderr).startswith(f"Error: {work}/handcrops: cannot be written (Permission denied)")
    (work / "handcrops").chmod(0o755)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not here")
def test_clips_in_a_read_only_folder_are_enough_and_unreadable_ones_fail(data, options, tmp_path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    secret = copy / "train" / f"{NAMES[3]}_color.mp4"
    secret.chmod(0)
    for folder in (copy / "train", copy):
        folder.chmod(0o555)
    try:
        run_it = [*OBEYING, *command(copy, tmp_path / "work", *options)]
        done = subprocess.run(run_it, capture_output=True, text=True, timeout=60)
    finally:
        for folder in (copy, copy / "train"):
            folder.chmod(0o755)
    assert done.returncode == 3, done.stderr
    reason = f"failed: {NAMES[3]} (frames): {secret}: not a readable video (Error opening input: Permission denied)"
    assert reason in done.stderr.splitlines()
    assert "Traceback" not in done.stderr


def test_a_second_driver_is_refused_and_the_first_is_not_disturbed(ffmpeg, options, tmp_path) -> None:
    data, work = clips(ffmpeg, tmp_path / "data", ["a1", "hang1"]), tmp_path / "work"
    first = start(data, work, *options)
    try:
        wait_until(lambda: len(read_ledger_rows(work / "ledger", "keypoints")) == 1)
        for more in ((), ("--part", "1/2"), ("--stage", "frames")):
            second = run(data, work, *options, *more)
            assert second.returncode == 2
            assert "works on this workspace; wait for its end, or stop it" in last_line(second.stderr)
            assert f"process {first.pid} on " in second.stderr
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
        first.wait(10)
    assert run(data, work, *options, "--stage", "frames").returncode == 0


@pytest.mark.slow
def test_parts_side_by_side_make_the_same_shards(data, options, undisturbed, tmp_path) -> None:
    work = tmp_path / "work"
    parts = [start(data, work, *options[:2], "--jobs", "1", "--part", f"{number}/3") for number in (1, 2, 3)]
    assert [part.wait(90) for part in parts] == [0, 0, 0], (tmp_path / "work.log").read_text()
    assert not (work / "shards").exists()
    own = [set(read_ledger_rows(work / "ledger", f"handcrops.part-{n}-of-3")) for n in (1, 2, 3)]
    assert sorted(key for part in own for key in part) == NAMES
    ledgers = {path.name for path in (work / "ledger").glob("*.parquet")}
    assert all(".part-" in name for name in ledgers)
    merged = run(data, work, *options, "--stage", "shards")
    assert merged.returncode == 0, merged.stderr
    assert digests(work) == undisturbed
    # A whole run finds nothing to do, and takes the ledgers of the parts over.
    whole = run(data, work, *options)
    assert whole.returncode == 0
    assert "handcrops: 8 done, 0 to do" in whole.stderr
    assert not list((work / "ledger").glob("*part-*.parquet"))
    assert {row.status for row in read_ledger_rows(work / "ledger", "handcrops").values()} == {DONE}


def test_parts_that_are_missing_keep_the_shards_from_being_made(data, options, tmp_path) -> None:
    assert run(data, tmp_path / "work", *options, "--part", "1/2").returncode == 0
    done = run(data, tmp_path / "work", *options, "--stage", "shards")
    assert done.returncode == 2
    assert "have no hand crops yet; run the earlier stages first" in last_line(done.stderr)
    done = run(data, tmp_path / "work", *options, "--stage", "shards", "--part", "2/2")
    assert (done.returncode, "--stage shards does not go with --part" in last_line(done.stderr)) == (2, True)
