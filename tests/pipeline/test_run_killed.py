"""Kills at any moment, and signals: nothing is lost, nothing is done twice, nothing is left running."""

import os
import random
import signal
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import (
    clips,
    digests,
    fake_openpose,
    kill_group,
    last_line,
    leftovers,
    processes_of,
    run,
    start,
    wait_until,
)

from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.paths import STAGES
from pipeline.workspace.row import DONE

CLIPS = 14
JOBS = 2
# At each kill the tasks that joblib has handed to the workers.
UNDER_WAY = 2 * JOBS


@pytest.fixture(scope="module")
def data(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(ffmpeg, tmp_path_factory.mktemp("clips"), [f"signer{n % 5}_sample{n}" for n in range(CLIPS)])


@pytest.fixture(scope="module")
def openpose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_openpose(tmp_path_factory.mktemp("openpose"))


@pytest.fixture(scope="module")
def undisturbed(data: Path, openpose: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the shards of a run that nobody disturbs."""
    work = tmp_path_factory.mktemp("undisturbed") / "work"
    assert run(data, work, *options(openpose)).returncode == 0
    return digests(work)


def options(openpose: Path) -> list[str]:
    return ["--openpose-bin", str(openpose), "--jobs", str(JOBS), "--samples-per-shard", "5"]


def done_rows(work: Path) -> dict[tuple[str, str], float]:
    """(stage, id): when it was done."""
    rows = {(stage, row.id): row for stage in STAGES for row in read_ledger_rows(work / "ledger", stage).values()}
    return {key: row.time for key, row in rows.items() if row.status == DONE}


def results(work: Path) -> int:
    """How many result files there are, of all stages."""
    return sum(len(list(work.glob(f"{stage}/[!.]*"))) for stage in ("keypoints", "poseflow", "handcrops", "shards"))


def kill_until_done(data: Path, openpose: Path, tmp_path: Path, moments: random.Random, progress: int) -> int:
    """Kill a run again and again, each time after up to `progress` new results and a random moment more, until it ends
    by itself; returns how often it was killed."""
    work, log = tmp_path / "work", tmp_path / "openpose.log"
    environment = os.environ | {"FAKE_OPENPOSE_LOG": str(log)}
    killed, before = 0, {}
    while True:
        process = start(data, work, *options(openpose), env=environment)
        enough = results(work) + moments.randint(0, progress)
        time.sleep(moments.uniform(0.0, 1.0))
        wait_until(lambda enough=enough, process=process: results(work) >= enough or process.poll() is not None, 300)
        time.sleep(moments.uniform(0.0, 0.2))
        if process.poll() is not None:
            break
        kill_group(process)
        killed += 1
        done = done_rows(work) if work.is_dir() else {}
        assert before.items() <= done.items(), "done work was lost, or done again"
        before = done
    assert process.returncode == 0
    assert before.items() <= done_rows(work).items()
    calls = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert len(calls) == CLIPS
    assert sum(calls.values()) <= CLIPS + killed * UNDER_WAY
    assert leftovers(work) == []
    return killed


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_shards(data, openpose, undisturbed, tmp_path) -> None:
    assert kill_until_done(data, openpose, tmp_path, random.Random(1), progress=14) >= 3
    assert digests(tmp_path / "work") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_many_times(data, openpose, undisturbed, tmp_path, seed) -> None:
    assert kill_until_done(data, openpose, tmp_path, random.Random(seed), progress=2) >= 6
    assert digests(tmp_path / "work") == undisturbed


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)]
)
def test_a_signal_ends_it_in_good_order(ffmpeg, openpose, tmp_path, number, whole_group) -> None:
    names = [f"a{n}" for n in range(3)] + ["hang1", "hang2"]  # two that keep both workers busy until the signal
    data, work, marker = clips(ffmpeg, tmp_path / "data", names), tmp_path / "work", uuid.uuid4().hex
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = os.environ | {"TEST_MARKER": marker, "TMPDIR": str(temporary)}
    process = start(data, work, *options(openpose), env=environment)
    wait_until(lambda: sum("sleep 3600" in line for line in processes_of(marker)) == 2)
    assert len(list(temporary.glob("signshards-*"))) == 2
    assert sum("fake_openpose" in line for line in processes_of(marker)) >= 2
    begin = time.monotonic()
    if whole_group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(10) == 1
    assert time.monotonic() - begin < 5
    wait_until(lambda: processes_of(marker) == [], 3)
    said = f"Error: stopped by {number.name}; what is done is kept, and the same command goes on from here"
    assert last_line((tmp_path / "work.log").read_text()) == said
    rows = read_ledger_rows(work / "ledger", "keypoints")
    assert {key for key, row in rows.items() if row.status == DONE} == set(names[:3])
    assert leftovers(work) == []
    assert list(temporary.glob("signshards-*")) == []


def test_a_killed_driver_leaves_no_estimator_and_no_lock(ffmpeg, openpose, tmp_path) -> None:
    data, work, marker = clips(ffmpeg, tmp_path / "data", ["hang1", "b1"]), tmp_path / "work", uuid.uuid4().hex
    process = start(data, work, *options(openpose), env=os.environ | {"TEST_MARKER": marker})
    wait_until(lambda: any("sleep 3600" in line for line in processes_of(marker)))
    kill_group(process)
    wait_until(lambda: processes_of(marker) == [], 5)  # the estimator was not in the group
    (data / "train" / "hang1_color.mp4").rename(data / "train" / "c1_color.mp4")
    assert run(data, work, *options(openpose)).returncode == 0
