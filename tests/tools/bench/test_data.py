"""What the benchmarks run on is what it says: real shards, every clip several times, the JPEGs of a window."""

import hashlib
import json
import tarfile
from pathlib import Path

import simplejpeg

from shards.commands.verify import verify
from shards.format.shardset import open_shards
from tools.bench import data as bench_data
from tools.bench.data import BenchData, grow, jpegs_of, multiplied, read_samples


def test_a_grown_shard_set_is_whole(tiny_work: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bench_data, "SAMPLES_PER_SHARD", 7)
    grow(tiny_work / "shards", tmp_path / "large", megabytes=2)
    small, large = open_shards(str(tiny_work / "shards")), open_shards(str(tmp_path / "large"))
    assert sum(path.stat().st_size for path in large.paths) > 2_000_000
    assert len(large) % len(small) == 0
    assert len(set(large.ids.to_pylist())) == len(large)
    assert verify(tmp_path / "large", full=True, jobs=1).faults == []


def test_clips_are_multiplied_with_their_labels_and_keypoints(tiny: Path, tmp_path: Path) -> None:
    data = BenchData(tiny / "mp4", tiny / "labels.csv", tiny / "kp", tmp_path)
    many = multiplied(data, tmp_path / "many", 3)
    assert len(many.videos("color")) == 3 * len(data.videos("color"))
    assert len(many.videos("depth")) == 3 * len(data.videos("depth"))
    labeled = [line.split(",")[0] for line in many.labels.read_text().splitlines()]
    assert sorted(labeled) == sorted(Path(path).name.removesuffix("_color.mp4") for path in many.videos("color"))
    assert all(Path(path.replace("/mp4/", "/kp/").replace(".mp4", ".kp")).is_dir() for path in many.videos("color"))


def test_the_jpegs_of_a_sample_are_all_of_its_crops(tiny_work: Path) -> None:
    """Of all frames and both hands, each once: together they are the members, byte for byte."""
    samples = list(read_samples(tiny_work / "shards"))
    with tarfile.open(next((tiny_work / "shards").glob("train-000.tar"))) as tar:
        first = tar.getnames()[0].partition(".")[0]
    assert first in [json.loads(members["json"])["id"] for members in samples]
    for members in samples:
        info = json.loads(members["json"])
        jpegs = list(jpegs_of(members, list(range(info["frames"])), with_depth=True))
        names = ("left.mjpg", "left_depth.mjpg", "right.mjpg", "right_depth.mjpg")
        whole = b"".join(members[name] for name in names)
        # Frames without a hand share another frame's JPEG, which need not be in order.
        assert sorted(digest(jpeg) for jpeg, _, _ in jpegs) == sorted(digest(jpeg) for jpeg in split(whole))
        assert all(simplejpeg.decode_jpeg(jpeg, colors).size == size for jpeg, colors, size in jpegs)


def split(stream: bytes) -> list[bytes]:
    """JPEGs begin with FF D8, which is nowhere inside them."""
    return [b"\xff\xd8" + part for part in stream.split(b"\xff\xd8")[1:]]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
