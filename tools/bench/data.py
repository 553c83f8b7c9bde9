"""What the benchmarks run on: a user's data, or clips generated here (drawn figures, 512×512, with depth)."""

import subprocess
import sys
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.demo.generate import DemoSettings, generate
from shards.errors import InputError
from shards.format.shardset import ShardSet


@dataclass(frozen=True)
class BenchData:
    """Clips, keypoints and a finished workspace."""

    mp4: Path
    labels: Path
    keypoints: Path  # a folder of JSON, or an archive
    archive: Path  # of the keypoints
    copies: int  # how often each clip is in the archive, as <id>, <id>copy1, …
    work: Path


# Once, the generated clips' keypoints take bzip2 0.15 s, and starting what decompresses them would count.
COPIES = 8


def copy_of(sample_id: str, number: int) -> str:
    """The id of a copy of a clip; copy 0 is the clip itself."""
    return f"{sample_id}copy{number}" if number else sample_id


def prepare(folder: Path, mp4: Path | None, labels: Path | None, keypoints: Path | None) -> BenchData:
    """The user's data, or, without any, generated clips; and a workspace with all stages done, under `folder`.

    Raises:
        InputError: only a part of the user's data is named.
    """
    given = [part is not None for part in (mp4, labels, keypoints)]
    if any(given) and not all(given):
        raise InputError("--data, --labels and --keypoints go together: give all three, or none")
    if mp4 is None or labels is None or keypoints is None:
        generate(folder / "clips", DemoSettings(signers_train=2, signers_val=1, signers_test=1), jobs=2)
        mp4, labels, keypoints = (folder / "clips" / name for name in ("mp4", "labels.csv", "kp"))
    archive, copies = keypoints, 1
    if keypoints.is_dir():
        archive, copies = folder / "kp.tar.bz2", COPIES
        with tarfile.open(archive, "w:bz2", format=tarfile.GNU_FORMAT) as tar:  # as the released ones are
            for number in range(copies):
                for clip in sorted(keypoints.glob("*/*.kp")):
                    tar.add(
                        clip, f"kp/{clip.parent.name}/{copy_of(clip.name.removesuffix('_color.kp'), number)}_color.kp"
                    )
    data = BenchData(mp4, labels, keypoints, archive, copies, folder / "work")
    run_pipeline(data, data.work, jobs=2)
    return data


def multiplied(data: BenchData, folder: Path, times: int) -> BenchData:
    """The same clips several times over, as links, so that starting the pipeline hardly counts."""
    if not data.keypoints.is_dir():
        return data
    with (folder / "labels.csv").open("w") as labels:
        for line in data.labels.read_text().splitlines():
            sample_id, rest = line.split(",", 1)
            labels.writelines(f"{copy_of(sample_id, number)},{rest}\n" for number in range(times))
    for kind in ("mp4", "kp"):
        for path in (data.mp4 if kind == "mp4" else data.keypoints).glob("*/*"):
            target = folder / kind / path.parent.name
            target.mkdir(parents=True, exist_ok=True)
            sample_id, _, rest = path.name.rpartition("_")
            for number in range(times):
                (target / f"{copy_of(sample_id, number)}_{rest}").symlink_to(path)
    return replace(data, mp4=folder / "mp4", labels=folder / "labels.csv", keypoints=folder / "kp")


def run_pipeline(data: BenchData, work: Path, jobs: int, *more: str) -> None:
    """`pipeline run` in a process of its own; CalledProcessError when it fails."""
    arguments = ["run", "--data", data.mp4, "--labels", data.labels, "--work", work, "--pose", "import"]
    arguments += ["--keypoints", data.keypoints, "--jobs", jobs, *more]
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def repeated(shards: ShardSet, times: int) -> ShardSet:
    """The same samples several times over, as if the data set were larger."""
    arrays = {name: np.concatenate([getattr(shards, name)] * times) for name in ("shard", "labels", "frames")}
    tables = {name: np.concatenate([getattr(shards, name)] * times) for name in ("offsets", "sizes")}
    texts = {name: pa.concat_arrays([getattr(shards, name)] * times) for name in ("ids", "signers")}
    return replace(shards, **arrays, **tables, **texts)
