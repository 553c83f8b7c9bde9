"""What the benchmarks run on is what it says: real shards, every clip several times."""

from pathlib import Path

from click.testing import CliRunner

from pipeline.workspace.manifest import apply_labels, read_data
from shards.commands.verify import verify
from shards.format.shardset import open_shards
from tools.bench import reshard
from tools.bench.__main__ import main
from tools.bench.data import BenchData, multiplied, repeated


def test_a_part_of_the_data_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["loader", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "--data, --labels and --keypoints go together" in result.output


def test_a_grown_shard_set_is_whole(tiny_work: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reshard, "PER_SHARD", 7)
    reshard.grow(tiny_work / "shards", tmp_path / "large", megabytes=2)
    small, large = open_shards(str(tiny_work / "shards")), open_shards(str(tmp_path / "large"))
    assert sum(path.stat().st_size for path in large.paths) > 2_000_000
    assert len(large) % len(small) == 0
    assert len(set(large.ids.to_pylist())) == len(large)
    assert verify(tmp_path / "large", full=True, jobs=1).faults == []


def test_clips_are_multiplied_with_their_labels_and_keypoints(tiny: Path, tmp_path: Path) -> None:
    data = BenchData(tiny / "mp4", tiny / "labels.csv", tiny / "kp", tiny / "none", 1, tmp_path)
    many = multiplied(data, tmp_path, 3)
    clips = read_data(data.mp4).samples
    labelled, unknown = apply_labels(read_data(many.mp4).samples, many.labels)
    assert len(labelled) == 3 * len(clips)
    assert not unknown
    assert all(sample.label is not None for sample in labelled)
    assert all((many.keypoints / sample.split / f"{sample.id}_color.kp").is_dir() for sample in labelled)
    assert sum(sample.depth is not None for sample in labelled) == 3 * sum(clip.depth is not None for clip in clips)


def test_samples_are_repeated_in_the_index_alone(tiny_work: Path) -> None:
    shards = open_shards(str(tiny_work / "shards"))
    many = repeated(shards, 3)
    assert many.ids.to_pylist() == shards.ids.to_pylist() * 3
    assert many.offsets.tolist() == shards.offsets.tolist() * 3
