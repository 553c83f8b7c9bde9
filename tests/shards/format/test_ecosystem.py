"""Other people's tools read the shards."""

import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {header.name: tar.extractfile(header).read() for header in tar.getmembers()}


def test_webdataset_decodes_every_sample(tiny_work: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    path = tiny_work / "shards" / "train-000.tar"
    expected = contents(path)
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
    assert len(samples) == 3
    for sample in samples:
        info = sample["json"]
        assert info["id"] == sample["__key__"]
        assert sample["flow.npy"].shape == (info["frames"] - 1, 135, 2)
        assert sample["pose.npy"].shape == (info["frames"], 135, 3)
        assert sample["pose.npy"].dtype == np.float32
        assert sample["left.mjpg"] == expected[f"{info['id']}.left.mjpg"]
        assert sample["right_depth.mjpg"] == expected[f"{info['id']}.right_depth.mjpg"]


@pytest.mark.parametrize("member", ["left.mjpg", "right.mjpg", "right_depth.mjpg"])
@pytest.mark.parametrize("recipe", ["default", "reference"])
def test_ffmpeg_plays_a_member(request, ffmpeg: str, tmp_path: Path, recipe: str, member: str) -> None:
    work = request.getfixturevalue("tiny_work" if recipe == "default" else "tiny_reference_work")
    found = contents(work / "shards" / "train-001.tar")
    (key,) = {name.partition(".")[0] for name in found}
    path = tmp_path / f"{key}.{member}"
    path.write_bytes(found[path.name])
    command = [ffmpeg, "-v", "error", "-f", "mjpeg", "-i", str(path), "-fps_mode", "passthrough", "-f", "framecrc", "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    frames = [line for line in result.stdout.splitlines() if line.startswith("0,")]
    info = json.loads(found[f"{key}.json"])
    hand, _, depth = member.partition(".")[0].partition("_")
    # With the default recipe, the two frames without a right hand share the pictures of their neighbours.
    expected = info["frames"] - (info["hands"][hand]["missing"].count(1) if recipe == "default" else 0)
    assert len(frames) == expected
    table = info["hands"][hand]["depth_jpegs" if depth else "jpegs"]
    assert len({tuple(row) for row in table}) == expected


def test_tar_lists_and_unpacks(tiny_work: Path, tmp_path: Path) -> None:
    path = tiny_work / "shards" / "val-000.tar"
    listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True)
    expected = contents(path)
    assert (listed.stdout.split(), listed.stderr) == (list(expected), "")
    subprocess.run(["tar", "xf", path, "-C", tmp_path], check=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == expected


def test_index_leads_to_the_bytes(tiny_work: Path) -> None:
    folder = tiny_work / "shards"
    table = pq.read_table(folder / "train.parquet", filters=pc.field("signer") == "1")
    assert len(table) == 2
    for row in table.to_pylist():
        with (folder / row["shard"]).open("rb") as file:
            file.seek(row["json_offset"])
            info = json.loads(file.read(row["json_size"]))
        assert (info["id"], info["label"], info["signer"]) == (row["id"], row["label"], "1")
