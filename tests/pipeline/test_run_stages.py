"""What the stages do with clips that a user cannot list yet, and with results of workers that outlive their driver."""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import moving_keypoints
from helpers.processes.pipeline_runs import clips, digests, fake_openpose, run, start, wait_until

from pipeline.pose.importing import LOOK
from pipeline.pose.source import NO_SOURCE, keypoint_source
from pipeline.pose.source import PoseSource as Asked
from pipeline.run_stages import RunSettings, run_stages
from pipeline.workspace.clip import Sample
from pipeline.workspace.manifest import read_data
from pipeline.workspace.paths import STAGES, Workspace
from shards.format.index import read_index


def settings(work: Path, **more) -> RunSettings:
    workspace = Workspace(work)
    workspace.create()
    return RunSettings(workspace, STAGES, NO_SOURCE, ["a", "b", "c"], **more)


def test_clips_without_video_are_passed_by_where_pixels_are_needed(tiny: Path, tmp_path: Path, capsys) -> None:
    keypoints = moving_keypoints(9, 3).astype(np.float32)
    np.save(tmp_path / "k.npy", keypoints)
    samples = [*read_data(tiny / "mp4").samples, Sample("k", "train", "7", 2, None, None, str(tmp_path / "k.npy"))]
    source = keypoint_source(Asked(keypoints=tiny / "kp"), [sample.id for sample in samples], LOOK)
    given = replace(settings(tmp_path / "work"), source=source)
    outcomes = run_stages(samples, given)
    assert {one.stage: (one.done, len(one.failed), one.waiting) for one in outcomes} == {
        **dict.fromkeys(("frames", "keypoints", "poseflow"), (7, 0, 0)),
        "handcrops": (6, 0, 0),
        "shards": (2, 0, 0),
    }
    assert "handcrops: 0 done, 6 to do (6 new), 1 without video passed by\n" in capsys.readouterr().err
    (row,) = [row for row in read_index(tmp_path / "work/shards/train.parquet").to_pylist() if row["id"] == "k"]
    assert (row["frames"], row["label"], row["signer"], row["left_offset"]) == (9, 2, "7", None)
    tar = (tmp_path / "work" / "shards" / row["shard"]).read_bytes()
    assert tar[row["pose_offset"] :][: row["pose_size"]] == (tmp_path / "k.npy").read_bytes()
    run_stages(samples, given)
    assert capsys.readouterr().err.count(" 0 to do") == 4
    # Other keypoints: everything that depends on them is made again.
    np.save(tmp_path / "k.npy", keypoints[:-1])
    run_stages(samples, given)
    assert capsys.readouterr().err.count("6 done, 1 to do (1 changed since)") == 3


def test_keypoints_alone_need_no_source(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", moving_keypoints(9, 3).astype(np.float32))
    sample = Sample("k", "train", "7", 2, None, None, str(tmp_path / "k.npy"))
    assert [one.done for one in run_stages([sample], settings(tmp_path / "work"))] == [1, 1, 1, 0, 1]
    np.save(tmp_path / "k.npy", np.zeros((3, 135, 2), np.float32))
    _, keypoints, *_ = run_stages([sample], settings(tmp_path / "work"))
    assert "k.npy: no person in any of 3 frames" in keypoints.failed[0].error


def workers_of(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"TEST_MARKER={marker}\0".encode() in (folder / "environ").read_bytes():
                found += [int(folder.name)] * (b"popen_loky" in (folder / "cmdline").read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_workers_that_outlive_their_driver_change_nothing(ffmpeg: str, tmp_path: Path) -> None:
    """The driver is killed alone while its workers cut crops of quality 20; they go on in the middle of a later run."""
    data, work = clips(ffmpeg, tmp_path / "data", [f"s{n}" for n in range(6)], frames=40), tmp_path / "work"
    options = ["--openpose-bin", str(fake_openpose(tmp_path)), "--samples-per-shard", "3"]
    assert run(data, tmp_path / "clean", *options, "--jobs", "1").returncode == 0
    assert run(data, work, *options, "--jobs", "1", "--stage", "frames", "--stage", "keypoints").returncode == 0
    marker = tmp_path.name
    first = start(data, work, *options, "--jobs", "2", "--quality", "20", env=os.environ | {"TEST_MARKER": marker})
    wait_until(lambda: any((work / "handcrops").glob("*.tar")) or first.poll() is not None, 60)
    first.kill()
    first.wait(10)
    stopped = workers_of(marker)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    second = start(data, work, *options, "--jobs", "1")
    wait_until(lambda: len(list((work / "handcrops").glob("s*.tar"))) >= 5 or second.poll() is not None, 60)
    for pid in stopped:
        with suppress(ProcessLookupError):  # one that was ending when it was stopped
            os.kill(pid, signal.SIGCONT)
    assert second.wait(60) == 0, (tmp_path / "work.log").read_text()
    assert digests(work) == digests(tmp_path / "clean")
    third = run(data, work, *options, "--jobs", "1")
    assert "handcrops: 6 done, 0 to do" in third.stderr
    assert digests(work) == digests(tmp_path / "clean")
    for pid in stopped:
        subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)
