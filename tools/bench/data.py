"""What the benchmarks run on: a user's data, or clips generated here (drawn figures, 512×512, with depth)."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.demo.generate import DemoSettings, generate
from shards.errors import InputError
from shards.format.index import scan_shard, write_index
from shards.format.sample import info_from_json
from shards.format.shardset import open_shards
from shards.format.tar import pack
from shards.format.writer import write_shard

SAMPLES_PER_SHARD = 256
# The members of a sample, by their name without the id.
Members = dict[str, bytes]


@dataclass(frozen=True)
class BenchData:
    """Clips with keypoints, and a workspace in which all stages are done."""

    mp4: Path
    labels: Path
    keypoints: Path  # a folder of JSON, or an archive
    work: Path

    @property
    def shards(self) -> Path:
        """The folder of the shard set."""
        return self.work / "shards"

    def videos(self, kind: str) -> list[str]:
        """The paths of the "color" or "depth" videos."""
        return sorted(map(str, self.mp4.glob(f"*/*_{kind}.mp4")))


def prepare(folder: Path, mp4: Path | None, labels: Path | None, keypoints: Path | None) -> BenchData:
    """The user's data, or, without any, 32 generated clips; and a workspace with all stages done, under `folder`.

    Raises:
        InputError: only a part of the user's data is named.
    """
    if mp4 and labels and keypoints:
        data = BenchData(mp4, labels, keypoints, folder / "work")
    elif mp4 or labels or keypoints:
        raise InputError("--data, --labels and --keypoints go together: give all three, or none")
    else:
        clips = folder / "clips"
        generate(clips, DemoSettings(signers_train=2, signers_val=1, signers_test=1), jobs=2)
        data = BenchData(clips / "mp4", clips / "labels.csv", clips / "kp", folder / "work")
    run_pipeline(data, data.work, 2)
    return data


def run_pipeline(data: BenchData, work: Path, jobs: int, *more: str | Path) -> None:
    """`pipeline run` in a process of its own.

    Raises:
        InputError: it failed.
    """
    arguments = ["run", "--data", data.mp4, "--labels", data.labels, "--work", work, "--pose", "import"]
    arguments += ["--keypoints", data.keypoints, "--jobs", jobs, *more]
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"`pipeline run` ended with status {done.returncode}:\n{done.stderr}")


def multiplied(data: BenchData, folder: Path, times: int) -> BenchData:
    """The same clips several times over, as links, so that starting the pipeline hardly counts."""
    if not data.keypoints.is_dir():
        return data
    rows = [line.split(",", 1) for line in data.labels.read_text().splitlines()]
    folder.mkdir()
    labels = folder / "labels.csv"
    labels.write_text("".join(f"{key}copy{number},{rest}\n" for key, rest in rows for number in range(times)))
    for source in (data.mp4, data.keypoints):
        for path in source.glob("*/*"):
            target = folder / source.name / path.parent.name
            target.mkdir(parents=True, exist_ok=True)
            sample_id, _, rest = path.name.rpartition("_")
            for number in range(times):
                (target / f"{sample_id}copy{number}_{rest}").symlink_to(path)
    return BenchData(folder / data.mp4.name, labels, folder / data.keypoints.name, data.work)


def read_samples(folder: Path) -> Iterator[Members]:
    """The samples of a shard set, read as docs/format.md says."""
    for shard in sorted(folder.glob("*.tar")):
        samples: dict[str, Members] = {}
        with tarfile.open(shard, encoding="utf-8") as tar:
            for header in tar:
                sample_id, _, member = header.name.partition(".")
                content = tar.extractfile(header)
                samples.setdefault(sample_id, {})[member] = content.read() if content else b""
        yield from samples.values()


def grow(small: Path, folder: Path, megabytes: int) -> None:
    """Write a shard set of at least this size with the samples of a small one, again and again, under other ids."""
    samples = list(read_samples(small))
    size = sum(len(content) for members in samples for content in members.values())
    count = -(-megabytes * 1_000_000 // size) * len(samples)
    folder.mkdir()
    shards, rows = [], []
    for start in range(0, count, SAMPLES_PER_SHARD):
        path = folder / f"train-{start // SAMPLES_PER_SHARD:03d}.tar"
        numbers = range(start, min(start + SAMPLES_PER_SHARD, count))
        shards.append(write_shard(path, ([_packed(samples[n % len(samples)], f"s{n:06d}")] for n in numbers)))
        rows += scan_shard(path)
    sums = {"train": write_index(folder / "train.parquet", rows)}
    replace(open_shards(str(small)).dataset, splits={"train": shards}, index_sums=sums).write(folder)


def _packed(members: Members, sample_id: str) -> bytes:
    info = replace(info_from_json(members["json"]), id=sample_id)
    packed = pack(sample_id, members | {"json": info.to_json()})
    return packed.data[: packed.extent]


def jpegs_of(members: Members, frames: list[int], with_depth: bool) -> Iterator[tuple[bytes, str, int]]:
    """The JPEGs of both hands in these frames, each once: JPEG, "RGB" or "GRAY", and the bytes that it decodes to."""
    hands = json.loads(members["json"])["hands"]
    for hand in ("left", "right"):
        for member, table, channels in (("", "jpegs", 3), ("_depth", "depth_jpegs", 1))[: 1 + with_depth]:
            stream = members[f"{hand}{member}.mjpg"]
            for offset, size, width, height in dict.fromkeys(tuple(hands[hand][table][frame]) for frame in frames):
                yield stream[offset : offset + size], "RGB" if channels == 3 else "GRAY", width * height * channels
