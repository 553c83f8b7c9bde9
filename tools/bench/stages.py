"""The pipeline's stages, by the seconds that its ledger keeps, against FFmpeg and bzip2."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq

from tools.bench.data import BenchData, multiplied, run_pipeline
from tools.bench.timing import Contender, Table, compare, on_cores

COPIES = 3  # of each clip, where starting the pipeline must not count
ARCHIVED = 16  # copies in the archive: the start is a third of the time of 96 clips, and AUTSL has 36,302
GOALS = {"frames": "≤ 25 ms", "keypoints": "", "poseflow": "≤ 3 ms", "handcrops": "≥ 0.77 (1.3 ×) on 2 cores"}


def tables(data: BenchData, rounds: int) -> Iterator[Table | str]:
    """Single stages, the whole pipeline, the import of an archive, starting, and room on the disk."""
    with tempfile.TemporaryDirectory(prefix="signshards-bench-") as scratch:
        many = multiplied(data, Path(scratch, "many"), COPIES)
        for cores in (1, 2):
            with on_cores(cores):
                yield _stages(data, Path(scratch, f"stages-{cores}"), cores, rounds)
        yield _whole(many, Path(scratch), rounds)
        yield _archive(multiplied(data, Path(scratch, "archived"), ARCHIVED), Path(scratch), rounds)
    with on_cores(1):
        yield _start(rounds)
    yield _room(data)


def _stages(data: BenchData, scratch: Path, cores: int, rounds: int) -> Table:
    """Each stage by itself, in a workspace where those before are done, with one worker."""
    clips = len(data.videos("color"))
    # Half of the clips: the limit is measured before and after each stage.
    half = [*data.videos("color")[::2], *data.videos("depth")[::2]]
    scratch.mkdir()
    works: list[Path] = []

    def stage(name: str) -> float:
        if name == "frames":
            works.append(scratch / str(len(works)))
        run_pipeline(data, works[-1], 1, "--stage", name)
        return float(np.sum(pq.read_table(works[-1] / "ledger" / f"{name}.parquet")["seconds"].to_numpy()))

    contenders = [Contender(f"{name} stage", partial(stage, name), clips, goal) for name, goal in GOALS.items()]
    limit = Contender("FFmpeg decoding color and depth to nowhere", lambda: _decode_to_nowhere(half), len(half) // 2)
    return compare(f"stages, one worker on {cores} core{'s' * (cores > 1)}", "clip", limit, contenders, rounds)


def _decode_to_nowhere(videos: list[str]) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    for path in videos:
        command = [binary, "-nostdin", "-loglevel", "error", "-threads", "1", "-i", path, "-f", "null", "-"]
        subprocess.run(command, check=True)


def _whole(data: BenchData, scratch: Path, rounds: int) -> Table:
    """The whole pipeline but pose estimation, on one core and on two, its start included."""

    def run(jobs: int) -> None:
        # FFmpeg would use the second core for one job, too.
        with on_cores(jobs), tempfile.TemporaryDirectory(dir=scratch) as work:
            run_pipeline(data, Path(work), jobs)

    clips = len(data.videos("color"))
    limit = Contender("1 job on 1 core", lambda: run(1), clips)
    contender = Contender("2 jobs on 2 cores", lambda: run(2), clips, "≥ 1.8")
    return compare("whole pipeline without pose estimation", "clip", limit, [contender], rounds)


def _archive(data: BenchData, scratch: Path, rounds: int) -> Table:
    """The import of keypoints from an archive, with the start of the pipeline."""
    archive, clips = data.keypoints, len(data.videos("color"))
    if archive.is_dir():
        archive = scratch / "kp.tar.bz2"
        with tarfile.open(archive, "w:bz2", format=tarfile.GNU_FORMAT, dereference=True) as tar:
            tar.add(data.keypoints, "kp")
    # A split archive is named by its first part.
    parts = sorted(archive.parent.glob(f"{archive.stem}.*")) if archive.suffix == ".aa" else [archive]
    source = BenchData(data.mp4, data.labels, archive, scratch / "imported")

    def bzip2() -> None:
        content = b"".join(part.read_bytes() for part in parts)
        subprocess.run(["bzip2", "-dc"], input=content, stdout=subprocess.DEVNULL, check=True)

    def forget() -> None:
        for path in (source.work / "keypoints").iterdir():
            path.unlink()
        (source.work / "ledger" / "keypoints.parquet").unlink(missing_ok=True)

    def read() -> None:
        run_pipeline(source, source.work, 2, "--stage", "keypoints")

    run_pipeline(source, source.work, 2, "--stage", "frames")
    contender = Contender("import by `pipeline run`, its start included", read, clips, "≥ 0.8", forget)
    return compare("keypoints from an archive", "clip", Contender("bzip2 -dc", bzip2, clips), [contender], rounds)


def _start(rounds: int) -> Table:
    """How long commands take to say something."""

    def python(name: str, goal: str, *words: str) -> Contender:
        command = [sys.executable, *words]
        return Contender(name, lambda: subprocess.run(command, check=True, capture_output=True), 1, goal)

    contenders = [
        python("import pipeline.cli", "≤ 300 ms", "-c", "import pipeline.cli"),
        python("pipeline --help", "≤ 300 ms", "-m", "pipeline.cli", "--help"),
        python("train --help", "≤ 2 s", "-m", "train.cli", "--help"),
    ]
    return compare("starting", "start", python("Python itself", "", "-c", "pass"), contenders, rounds)


def _room(data: BenchData) -> str:
    """Bytes and files per clip: ours against the reference's mp4, JSON and npy."""
    files = [path for path in data.shards.iterdir() if path.is_file()]
    ours = sum(path.stat().st_size for path in files)
    frames = [count for path in data.shards.glob("*.parquet") for count in pq.read_table(path)["frames"].to_pylist()]
    clips, videos = len(frames), [*data.videos("color"), *data.videos("depth")]
    # 2.5 KB of JSON for a frame, and 2,288 bytes of float64 pose flow for a step from one to the next; a file for each.
    reference = sum(Path(path).stat().st_size for path in videos) + sum(frames) * (2500 + 2288)
    return (
        f"\nshards: {ours / clips / 1e6:.2f} MB per clip, {len(files)} files in all; as the reference has them (mp4, "
        f"JSON, npy): {reference / clips / 1e6:.2f} MB per clip, {len(videos) + 2 * sum(frames) - clips} files"
    )
