import base64
import json

import pytest
from helpers.data.shard_making import rewrite_index

from shards.errors import InputError
from shards.format.index import read_index, scan_shard
from shards.format.sample import MEMBERS
from shards.format.shardset import open_shards
from shards.page.strips import StripReader


def test_pictures_are_the_crops_of_evenly_spread_frames(tiny_work) -> None:
    folder = tiny_work / "shards"
    strips = StripReader(open_shards(str(folder)), columns=5).read(0)
    data, row = (folder / "train-000.tar").read_bytes(), scan_shard(folder / "train-000.tar")[0]
    info = json.loads(data[row["json_offset"] :][: row["json_size"]])
    last = info["frames"] - 1
    assert strips.frames == [round(last * part / 4) for part in range(5)]
    assert list(strips.hands) == ["left hand", "right hand", "left depth", "right depth"]
    for hand in ("left", "right"):
        member, track = data[row[f"{hand}_offset"] :], info["hands"][hand]
        for frame, picture in zip(strips.frames, strips.hands[f"{hand} hand"], strict=True):
            offset, size, _, _ = track["jpegs"][frame]
            assert base64.b64decode(picture.uri.partition(",")[2]) == member[offset : offset + size]
            kind = "missing" if track["missing"][frame] else "guessed" if track["guessed"][frame] else "found"
            assert picture.kind == kind
    assert len(strips.skeletons) == 5


def test_hands_only(tiny_work) -> None:
    strips = StripReader(open_shards(str(tiny_work / "shards")), 8, hands_only=True).read(1)
    assert list(strips.hands) == ["left hand", "right hand"]
    assert strips.skeletons == []


@pytest.mark.parametrize("member", ["left.mjpg", "pose.npy", "json"])
def test_a_damaged_sample_is_named(shards, member) -> None:
    found = open_shards(str(shards))
    offset, size = (int(table[0, MEMBERS.index(member)]) for table in (found.offsets, found.sizes))
    with found.paths[0].open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    with pytest.raises(InputError, match=f"{found.ids[0]} is damaged"):
        StripReader(found, 8).read(0)


@pytest.mark.parametrize(("column", "fault"), [("label", "the index 1 and"), ("frames", "the index [0-9]+ and 7")])
def test_an_index_of_other_samples_is_named(shards, column, fault) -> None:
    """Else a page would show crops under another class's name."""
    rows = read_index(shards / "train.parquet").to_pylist()
    labels = [row["label"] for row in rows]
    changed = rows[labels.index(0)]
    changed[column] = {"label": 1, "frames": 7}[column]
    rewrite_index(shards, "train", rows)
    found = open_shards(str(shards))
    with pytest.raises(
        InputError, match=f"{changed['id']} is damaged .its JSON has class 0 and [0-9]+ frames, {fault}"
    ):
        StripReader(found, 8).read(found.ids.to_pylist().index(changed["id"]))
