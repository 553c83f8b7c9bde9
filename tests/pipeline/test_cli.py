"""`pipeline run` as a user calls it."""

from pathlib import Path

from conftest import run_pipeline

from shards.dataset import read_dataset


def test_all_stages_make_a_shard_set(tiny_work: Path) -> None:
    dataset = read_dataset(tiny_work / "shards")
    assert {split: [shard.samples for shard in shards] for split, shards in dataset.splits.items()} == {
        "train": [3, 1],
        "val": [2],
    }
    assert dataset.settings["estimator"] == "import"


def test_an_archive_gives_the_same_shards_as_folders(tiny: Path, tiny_work: Path, tmp_path: Path) -> None:
    assert run_pipeline(tiny, tmp_path, "--samples-per-shard", "3", keypoints="kp.tar.bz2") == 0
    for shard in sorted((tiny_work / "shards").glob("*.tar")):
        assert (tmp_path / "shards" / shard.name).read_bytes() == shard.read_bytes()
