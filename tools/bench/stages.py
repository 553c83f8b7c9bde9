"""The pipeline's stages against FFmpeg, bzip2 and the bare arithmetic."""

import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from pipeline.pose.archive import archive_parts
from pipeline.pose.flow import pose_flow
from pipeline.pose.keypoint_archive import KEYPOINTS, import_archive
from pipeline.stages.frames import count_frames
from pipeline.stages.handcrops import QUALITY, cut_clip
from pipeline.stages.keypoints import keep_keypoints
from pipeline.video.probe import ffmpeg_binary, probe
from pipeline.workspace.clip import Clip, ResultFile, Sample
from pipeline.workspace.manifest import read_data
from pipeline.workspace.paths import Workspace
from shards.format.recipe import DEFAULT
from tools.bench.data import BenchData, copy_of, multiplied, run_pipeline
from tools.bench.timing import Table, compare, table

CLIPS = 8


def stage_tables(data: BenchData, repeats: int) -> list[Table]:
    """Tables of the single stages; pin the process to one core first."""
    clips = [sample for sample in read_data(data.mp4) if sample.depth][:CLIPS]
    return [
        _frames(clips, repeats),
        _poseflow(clips, data, repeats),
        _handcrops(clips, data, repeats, "one core"),
    ]


def parallel_tables(data: BenchData, repeats: int) -> list[Table]:
    """Tables of what uses a second core where there is one."""
    clips = [sample for sample in read_data(data.mp4) if sample.depth][:CLIPS]
    return [_handcrops(clips, data, repeats, "all cores"), _archive(data, repeats)]


def _frames(clips: list[Sample], repeats: int) -> Table:
    binary = ffmpeg_binary()

    def start_ffmpeg() -> None:
        for _ in clips:
            subprocess.run([binary, "-version"], capture_output=True, check=True)

    def count() -> None:
        for clip in clips:
            count_frames(clip, None)

    def decode() -> None:
        for clip in clips:
            _decode_to_nowhere(binary, str(clip.color))

    measured = compare(start_ffmpeg, {"frames stage": count, "decoding the colour video": decode}, len(clips), repeats)
    return table("frames", "clip", "starting FFmpeg", measured, {"frames stage": "≤ 25 ms"})


def _poseflow(clips: list[Sample], data: BenchData, repeats: int) -> Table:
    keypoints = np.load(Workspace(data.work).keypoints(clips[0].id))
    keypoints = np.resize(keypoints, (75, *keypoints.shape[1:]))
    step = np.diff(keypoints[..., :2].astype(np.float64), axis=0)
    rounds = range(50)

    def arithmetic() -> None:
        for _ in rounds:
            np.arctan2(step[..., 1], step[..., 0])
            np.hypot(step[..., 0], step[..., 1])

    measured = compare(arithmetic, {"poseflow": lambda: [pose_flow(keypoints, DEFAULT) for _ in rounds]}, 50, repeats)
    return table("poseflow, 75 frames", "clip", "atan2 and hypot alone", measured, {"poseflow": "≤ 3 ms"})


def _handcrops(clips: list[Sample], data: BenchData, repeats: int, where: str) -> Table:
    binary = ffmpeg_binary()
    workspace = Workspace(data.work)
    records = [_record(clip, workspace, binary) for clip in clips]

    def decode() -> None:
        for clip in clips:
            _decode_to_nowhere(binary, str(clip.color))
            _decode_to_nowhere(binary, str(clip.depth))

    def stage() -> None:
        for record in records:
            made = cut_clip(record, DEFAULT, QUALITY, workspace, None)
            Path(str(made.temporary)).replace(workspace.handcrops(record.id))

    measured = compare(decode, {"handcrops stage": stage}, len(clips), repeats)
    goals = {"handcrops stage": "≥ 0.77 (1.3 ×)"}
    return table(f"handcrops, colour and depth, {where}", "clip", "FFmpeg decoding both to nowhere", measured, goals)


def _record(sample: Sample, workspace: Workspace, binary: str) -> Clip:
    """The clip as it is after the stages before handcrops."""
    clip = Clip(sample, None, None)
    clip.video = probe([str(sample.color)], binary)[0]
    clip.keypoints, clip.poseflow = (
        ResultFile(path.stat().st_size, zlib.crc32(path.read_bytes()))
        for path in (workspace.keypoints(sample.id), workspace.poseflow(sample.id))
    )
    return clip


def _archive(data: BenchData, repeats: int) -> Table:
    parts = archive_parts(data.archive)
    frames = {path.stem: len(np.load(path, mmap_mode="r")) for path in (data.work / "keypoints").glob("*.npy")}
    wanted = {copy_of(key, number): count for number in range(data.copies) for key, count in frames.items()}

    def bzip2() -> None:
        with subprocess.Popen(["bzip2", "-dc"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            for part in parts:
                process.stdin.write(part.read_bytes())
            process.stdin.close()

    def read() -> None:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace(Path(folder))
            workspace.create()
            for key, keypoints in import_archive(parts, wanted, KEYPOINTS):
                if isinstance(keypoints, np.ndarray):
                    keep_keypoints(keypoints, workspace.keypoints(key))

    measured = compare(bzip2, {"import of keypoints": read}, len(wanted), repeats)
    return table("keypoints from an archive", "clip", "bzip2 -dc", measured, {"import of keypoints": "≥ 0.8"})


def whole_tables(data: BenchData, repeats: int) -> list[Table]:
    """The whole pipeline without pose estimation, on one core and on two; needs two cores."""
    cores = sorted(os.sched_getaffinity(0))

    def run(data: BenchData, jobs: int) -> None:
        os.sched_setaffinity(0, cores[:jobs])  # FFmpeg would use the second core for one job, too
        with tempfile.TemporaryDirectory() as folder:
            run_pipeline(data, Path(folder), jobs)
        os.sched_setaffinity(0, cores)

    with tempfile.TemporaryDirectory() as folder:
        many = multiplied(data, Path(folder), times=8)
        clips = len(read_data(many.mp4))
        measured = compare(lambda: run(many, 1), {"2 jobs on 2 cores": lambda: run(many, 2)}, clips, repeats)
    goals = {"2 jobs on 2 cores": "≥ 1.8"}
    return [table("whole pipeline without pose estimation", "clip", "1 job on 1 core", measured, goals)]


def start_tables(repeats: int) -> list[Table]:
    """How long commands take to say something."""

    def python(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    contenders = {
        "import pipeline.cli": lambda: python("-c", "import pipeline.cli"),
        "pipeline --help": lambda: python("-m", "pipeline.cli", "--help"),
        "train --help": lambda: python("-m", "train.cli", "--help"),
    }
    goals = {"import pipeline.cli": "≤ 300 ms", "pipeline --help": "≤ 300 ms", "train --help": "≤ 2 s"}
    measured = compare(lambda: python("-c", "pass"), contenders, 1, repeats)
    return [table("starting", "start", "Python itself", measured, goals)]


def disk_lines(data: BenchData) -> list[str]:
    """Bytes and files per clip: ours against the reference's mp4, JSON and npy."""
    clips = read_data(data.mp4)
    frames = sum(len(np.load(path, mmap_mode="r")) for path in (data.work / "keypoints").glob("*.npy"))
    videos = sum(Path(path).stat().st_size for clip in clips for path in (clip.color, clip.depth) if path)
    # 2.5 KB of JSON and 2,288 bytes of float64 flow per frame, one file each.
    reference = videos + frames * (2500 + 2288)
    shards = [path for path in (data.work / "shards").iterdir() if path.is_file()]
    ours = sum(path.stat().st_size for path in shards)
    count = len(clips)
    files = 2 * count + 2 * frames - count
    return [
        f"shards: {ours / count / 1e6:.2f} MB per clip in {len(shards)} files",
        f"reference: {reference / count / 1e6:.2f} MB per clip in {files} files (mp4, JSON, npy)",
    ]


def _decode_to_nowhere(binary: str, path: str) -> None:
    command = [binary, "-nostdin", "-loglevel", "error", "-threads", "1", "-i", path, "-f", "null", "-"]
    subprocess.run(command, check=True)
