import json
from pathlib import Path

import pytest
from helpers.data.shard_making import rewrite_index

from shards.format.index import read_index


def test_table(run, tiny_work: Path) -> None:
    result = run("list", tiny_work / "shards")
    assert result.exit_code == 0
    first, header, train, val, hands, *shares = result.stdout.splitlines()
    assert first.endswith(": recipe default, estimator import, quality 95; 3 classes")
    assert header.split()[:3] == ["split", "shards", "samples"]
    assert train.split()[:3] == ["train", "2", "4"]
    assert val.split()[:3] == ["val", "1", "2"]
    assert "24 to 25, median 24.5" in val
    assert hands.split() == [
        "hands",
        *("left:", "found", "guessed", "missing"),
        *("right:", "found", "guessed", "missing"),
    ]
    # The right wrist is lost in two frames of each clip, of 20 to 25; the points of the hands are all there.
    assert [line.split() for line in shares] == [
        ["train", "100", "%", "0", "%", "0", "%", "91", "%", "0", "%", "9", "%"],
        ["val", "100", "%", "0", "%", "0", "%", "92", "%", "0", "%", "8", "%"],
    ]


def test_json_agrees_with_the_labels(run, tiny_work: Path, tiny: Path) -> None:
    found = json.loads(run("list", "--json", tiny_work / "shards").stdout)
    rows = [line.split(",") for line in (tiny / "labels.csv").read_text().split()]
    assert found["recipe"] == "default"
    assert found["classes"] == ["0", "1", "2"]
    for name, split in found["splits"].items():
        classes = [row[1] for row in rows if row[2] == name]
        assert split["classes"] == {key: classes.count(key) for key in sorted(set(classes))}
        assert split["samples"] == split["with_depth"] == len(classes)
        assert split["bytes"] == sum(path.stat().st_size for path in (tiny_work / "shards").glob(f"{name}-*.tar"))
    assert found["splits"]["train"]["signers"] == {"0": 2, "1": 2}
    assert found["splits"]["train"]["frames"] == {"least": 20, "median": 21.5, "most": 23}


def test_samples_without_class(run, shards: Path) -> None:
    rows = read_index(shards / "val.parquet").to_pylist()
    rows[0]["label"] = None
    rewrite_index(shards, "val", rows)
    assert "1 samples of val have no class" in run("list", shards).stdout


def test_samples_without_video(run, mixed: Path, tiny_work: Path) -> None:
    assert "1 samples of extra have no video" in run("list", mixed).stdout
    assert json.loads(run("list", "--json", mixed).stdout)["splits"]["extra"]["without_video"] == 1
    assert "no video" not in run("list", tiny_work / "shards").stdout


@pytest.mark.parametrize("command", [["list"], ["verify"], ["verify", "--full"]])
@pytest.mark.parametrize("splits", [{}, {"val": {"index": "val.parquet", "shards": []}}])
def test_a_set_without_shards(run, shards: Path, command: list[str], splits: dict) -> None:
    value = json.loads((shards / "dataset.json").read_text())
    (shards / "dataset.json").write_text(json.dumps(value | {"splits": splits}))
    result = run(*command, shards)
    assert result.exit_code == 2
    assert "dataset.json: " in result.stderr
    assert "lists no shards" in result.stderr


def test_an_index_without_rows(run, shards: Path) -> None:
    rewrite_index(shards, "val", [])
    result = run("list", shards)
    assert result.exit_code == 2
    assert "val.parquet: lists 0 samples of val-000.tar" in result.stderr


def test_an_index_of_other_shards(run, shards: Path) -> None:
    rewrite_index(shards, "val", read_index(shards / "train.parquet").to_pylist())
    result = run("list", shards)
    assert result.exit_code == 2
    assert "val.parquet: lists 0 samples of val-000.tar" in result.stderr


def test_nothing_there(run, tmp_path: Path) -> None:
    result = run("list", tmp_path)
    assert result.exit_code == 2
    assert "dataset.json: not found" in result.stderr


def test_some_shards_of_a_set_by_a_pattern(run, tiny_work: Path) -> None:
    result = run("list", tiny_work / "shards" / "train-*.tar")
    assert result.stdout.splitlines()[2].split()[:3] == ["train", "2", "4"]
    one = json.loads(run("list", "--json", tiny_work / "shards" / "train-<001..001>.tar").stdout)["splits"]["train"]
    assert (one["shards"], one["samples"], sum(one["classes"].values())) == (1, 1, 1)
    assert "no such shard" in run("list", tiny_work / "shards" / "test-*.tar").stderr


def test_shards_of_several_folders_are_refused(run, shards: Path, tiny_work: Path, tmp_path: Path) -> None:
    both = f"{{{shards}/train-000.tar,{tiny_work}/shards/train-000.tar}}"
    result = run("list", both)
    assert result.exit_code == 2
    assert "shards of 2 folders" in result.stderr
