import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.data.shard_making import Plan, make_shards, rewrite_index

from shards.cli import main
from shards.commands.verify import verify
from shards.errors import InputError
from shards.format import shardset
from shards.format.dataset import read_dataset, sha256_of
from shards.format.index import read_index, write_index
from shards.format.recipe import DEFAULT
from shards.format.sample import MEMBERS
from shards.format.shardset import MemberReader, open_shards


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {header.name: tar.extractfile(header).read() for header in tar.getmembers()}


def test_columns_are_the_samples_of_the_tars_in_order(tiny_work: Path) -> None:
    folder = tiny_work / "shards"
    shards = open_shards(str(folder))
    names = [path.name for path in shards.paths]
    assert names == ["train-000.tar", "train-001.tar", "val-000.tar"]
    expected = {}
    for number, path in enumerate(shards.paths):
        for name, data in contents(path).items():
            if name.endswith(".json"):
                expected[name[:-5]] = (number, json.loads(data))
    assert shards.ids.to_pylist() == list(expected)
    assert len(shards) == 6
    assert shards.splits.tolist() == ["train"] * 4 + ["val"] * 2
    assert shards.shard_sums == [sha256_of(path) for path in shards.paths]
    for i, (number, info) in enumerate(expected.values()):
        assert shards.shard[i] == number
        assert (shards.labels[i], shards.frames[i]) == (info["label"], info["frames"])
        assert shards.signers[i].as_py() == info["signer"]
    assert all(shards.has(member).all() for member in MEMBERS)


@pytest.mark.parametrize("open_files", [64, 1])
def test_reader_gives_the_bytes_that_tarfile_gives(tiny_work: Path, monkeypatch, open_files: int) -> None:
    monkeypatch.setattr(shardset, "_OPEN_FILES", open_files)
    shards = open_shards(str(tiny_work / "shards"))
    expected = {name: data for path in shards.paths for name, data in contents(path).items()}
    reader = MemberReader(shards)
    for sample in [5, 0, 4, 1, 3, 2]:
        for number, member in enumerate(MEMBERS):
            data = expected[f"{shards.ids[sample]}.{member}"]
            assert reader.read(sample, number) == data
            assert reader.read(sample, number, 7) == data[7:]
            assert reader.read(sample, number, 7, 11) == data[7:18]
            assert reader.span(sample, number, 7, 11) == data[7:18]
    reader.close()
    assert reader.read(0, 0) == expected[f"{shards.ids[0]}.json"]
    reader.close()


def test_spans_stay_as_they_are_until_they_are_forgotten(tiny_work: Path) -> None:
    reader = MemberReader(open_shards(str(tiny_work / "shards")))
    places = [(sample, member) for sample in range(6) for member in range(len(MEMBERS))] * 3
    expected = [reader.read(*place) for place in places]
    # More than the memory that a reader starts with.
    assert sum(map(len, expected)) > 1 << 20
    assert [reader.span(*place) for place in places] == expected
    reader.forget()
    first = reader.span(0, 1)
    reader.forget()
    second = reader.span(1, 1)
    assert second == expected[len(MEMBERS) + 1]
    assert first[: len(second)] == second[: len(first)]  # the same memory
    reader.close()


def test_pattern_takes_one_split_or_one_shard(tiny_work: Path) -> None:
    folder = tiny_work / "shards"
    assert len(open_shards(f"{folder}/train-{{000..001}}.tar")) == 4
    one = open_shards(f"{folder}/train-001.tar")
    assert len(one) == 1
    assert one.ids.to_pylist() == open_shards(folder).ids.to_pylist()[3:4]


def test_samples_are_taken_by_place_or_by_mask(tiny_work: Path) -> None:
    shards = open_shards(tiny_work / "shards")
    ids, train = shards.ids.to_pylist(), shards.splits == "train"
    for samples in (train, train.tolist(), np.flatnonzero(train)):
        assert shards.take(samples).ids.to_pylist() == [key for key, inside in zip(ids, train, strict=True) if inside]
    last_twice = shards.take(np.array([-1, -1]))
    assert last_twice.ids.to_pylist() == ids[-1:] * 2 and last_twice.frames.tolist() == [shards.frames[-1]] * 2
    assert not len(shards.take(np.array([], int)))
    with pytest.raises(IndexError):
        shards.take(np.array([len(ids)]))


def test_samples_without_depth_and_without_label(shards: Path) -> None:
    rows = read_index(shards / "val.parquet").to_pylist()
    for key in ("label", "left_depth_offset", "left_depth_size"):
        rows[1][key] = None
    rewrite_index(shards, "val", rows)
    found = open_shards(f"{shards}/val-000.tar")
    assert found.labels.tolist()[1] == -1
    assert found.labels.tolist()[0] >= 0
    assert found.has("left_depth.mjpg").tolist() == [True, False]


def test_samples_with_and_without_video(mixed: Path, keypoint_members: dict[str, bytes]) -> None:
    found = open_shards(str(mixed))
    assert found.ids.to_pylist()[0] == "signer0_keypoints"
    for member in MEMBERS:
        assert found.has(member).tolist() == [member in keypoint_members, True]
    reader = MemberReader(found)
    for member, data in keypoint_members.items():
        assert reader.read(0, MEMBERS.index(member)) == data
    reader.close()


def test_truncated_shard_is_named(shards: Path) -> None:
    with (shards / "train-001.tar").open("r+b") as file:
        file.truncate(10240)
    with pytest.raises(InputError, match=r"train-001\.tar: 10240 bytes"):
        open_shards(str(shards))
    assert len(open_shards(f"{shards}/train-000.tar")) == 3  # the others can be read


def test_missing_shard_is_named(shards: Path) -> None:
    one, *others = sorted(shards.glob("*.tar"))
    one.unlink()
    with pytest.raises(InputError, match=rf"{one}: not found, but in dataset\.json; copy it again"):
        open_shards(str(shards))
    assert len(open_shards(f"{shards}/*.tar").paths) == len(others) > 0


def test_foreign_shard_is_named(shards: Path) -> None:
    shutil.copy(shards / "val-000.tar", shards / "train-002.tar")
    with pytest.raises(InputError, match=r"train-002\.tar: not in dataset\.json"):
        open_shards(str(shards))


def test_shards_without_dataset_json(shards: Path) -> None:
    (shards / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"dataset\.json: not found"):
        open_shards(str(shards))


def test_tars_may_be_links_to_a_store(shards: Path) -> None:
    """As git-annex, DVC and download caches keep them."""
    store = shards.parent / "store"
    store.mkdir()
    for number, path in enumerate(sorted(shards.glob("*.tar"))):
        path.rename(store / f"{number}.blob")
        path.symlink_to(store / f"{number}.blob")
    found = open_shards(f"{shards}/*.tar")
    reader = MemberReader(found)
    assert [json.loads(reader.read(sample, 0))["id"] for sample in range(6)] == found.ids.to_pylist()
    reader.close()


def test_what_macos_leaves_behind_is_ignored(shards: Path) -> None:
    for path in list(shards.iterdir()):
        (shards / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert len(open_shards(str(shards))) == len(open_shards(f"{shards}/*.tar")) == 6


def test_hand_crops_of_a_workspace_are_no_shards(tiny_work: Path) -> None:
    with pytest.raises(
        InputError, match=r"signer0_sample0\.tar is no shard, .*a workspace's shards are in its shards/"
    ):
        open_shards(str(tiny_work / "handcrops"))


@pytest.mark.parametrize(("column", "value"), [("pose_size", 1 << 40), ("flow_offset", (1 << 63) - 512)])
def test_a_sample_beyond_the_end_of_its_shard(shards: Path, column: str, value: int) -> None:
    rows = read_index(shards / "val.parquet").to_pylist()
    rows[1][column] = value
    rewrite_index(shards, "val", rows)
    with pytest.raises(InputError, match=rf"val-000\.tar: ends before {rows[1]['id']} does in the index"):
        open_shards(str(shards))


def test_an_id_that_is_in_an_index_twice(shards: Path) -> None:
    rows = read_index(shards / "train.parquet").to_pylist()
    rows[3]["id"] = rows[0]["id"]
    rewrite_index(shards, "train", rows)
    with pytest.raises(InputError, match=rf"id {rows[0]['id']} is in \S+/train-000\.tar and in \S+/train-001\.tar"):
        open_shards(str(shards))


def test_a_member_that_a_sample_has_not(shards: Path) -> None:
    rows = read_index(shards / "val.parquet").to_pylist()
    rows[0] |= {"left_offset": None, "left_size": None}
    rewrite_index(shards, "val", rows)
    found = open_shards(f"{shards}/val-000.tar")
    reader = MemberReader(found)
    for read in (reader.read, reader.span):
        with pytest.raises(InputError, match=rf"val-000\.tar: {rows[0]['id']} has no left\.mjpg"):
            read(0, MEMBERS.index("left.mjpg"))
        assert read(1, MEMBERS.index("left.mjpg"))
    reader.close()


def test_mixed_recipes(tiny_work: Path, tiny_reference_work: Path) -> None:
    pattern = f"{{{tiny_work}/shards,{tiny_reference_work}/shards}}"
    with pytest.raises(
        InputError, match=r"its recipe differ from those of .*shards: name is 'reference', there 'default'"
    ):
        open_shards(pattern)


def test_an_id_in_two_folders_names_both(shards: Path, tiny_work: Path) -> None:
    folders = f"{{{shards},{tiny_work}/shards}}"
    with pytest.raises(InputError) as error:
        open_shards(f"{folders}/val-000.tar")
    sample_id = open_shards(f"{shards}/val-000.tar").ids[0]
    assert error.value.message == (
        f"id {sample_id} is in {shards}/val-000.tar and in {tiny_work}/shards/val-000.tar; leave one out"
    )
    assert len(open_shards(f"{{{shards}/train-*,{tiny_work}/shards/val-000}}.tar")) == 6


def test_sets_of_two_estimators_are_not_mixed(shards: Path, tiny_work: Path) -> None:
    dataset = read_dataset(shards)
    replace(dataset, settings=dataset.settings | {"estimator": "openpose"}).write(shards)
    with pytest.raises(InputError) as error:
        open_shards(f"{{{tiny_work}/shards/train-000,{shards}/val-000}}.tar")
    assert error.value.message.startswith(
        f"{shards}: its settings differ from those of {tiny_work}/shards: estimator is 'openpose', there 'import'"
    )


def test_several_patterns_are_one_set(shards: Path) -> None:
    patterns = [f"{shards}/val-*.tar", f"{shards}/train-{{000,001}}.tar"]
    found, whole = open_shards(patterns), open_shards(str(shards))
    assert found.splits.tolist() == ["val"] * 2 + ["train"] * 4
    order = [found.ids.to_pylist().index(key) for key in whole.ids.to_pylist()]
    assert np.array_equal(found.offsets[order], whole.offsets)
    assert all(text in found.source for text in patterns)
    assert open_shards(map(Path, patterns)).ids.equals(found.ids)
    with pytest.raises(InputError, match="no PATTERN"):
        open_shards([])
    with pytest.raises(InputError, match="names a shard twice"):
        open_shards([str(shards), f"{shards}/val-000.tar"])


def test_a_class_that_dataset_json_does_not_name(shards: Path) -> None:
    replace(read_dataset(shards), classes=["0", "1"]).write(shards)
    with pytest.raises(InputError) as error:
        open_shards(str(shards))
    assert error.value.message == (
        f"{shards}: has samples of class 2, but dataset.json names 2 classes; copy or make it again"
    )


def test_index_of_another_run_with_another_count(shards: Path) -> None:
    rewrite_index(shards, "train", read_index(shards / "val.parquet").to_pylist())
    with pytest.raises(InputError, match=r"train\.parquet: lists 0 samples of train-000\.tar, dataset"):
        open_shards(str(shards))


def test_an_index_whose_rows_were_changed(shards: Path) -> None:
    """Labels that change places are still a valid index."""
    rows = read_index(shards / "train.parquet").to_pylist()
    labels = [row["label"] for row in rows]
    assert labels != labels[::-1]
    write_index(
        shards / "train.parquet", [row | {"label": label} for row, label in zip(rows, labels[::-1], strict=True)]
    )
    with pytest.raises(InputError, match=r"train\.parquet: its SHA-256 is not that in dataset\.json"):
        open_shards(str(shards))
    replace(read_dataset(shards), index_sums={}).write(shards)  # as of an earlier version
    assert open_shards(f"{shards}/train-*.tar").labels.tolist() == labels[::-1]


def test_counts_of_two_shards_that_are_exchanged(shards: Path) -> None:
    dataset = read_dataset(shards)
    first, second = dataset.splits["train"]
    exchanged = [replace(first, samples=second.samples), replace(second, samples=first.samples)]
    replace(dataset, splits=dataset.splits | {"train": exchanged}).write(shards)
    with pytest.raises(InputError, match=r"lists 3 samples of train-000\.tar, dataset\.json 1"):
        open_shards(f"{shards}/train-*.tar")


def test_shard_cut_after_opening(shards: Path) -> None:
    found = open_shards(str(shards))
    with (shards / "val-000.tar").open("r+b") as file:
        file.truncate(10240)
    reader = MemberReader(found)
    with pytest.raises(InputError, match=r"val-000\.tar: ends inside signer2_sample"):
        for sample in range(len(found)):
            reader.read(sample, MEMBERS.index("pose.npy"))
    reader.close()


def test_offsets_of_members(tiny_work: Path) -> None:
    shards = open_shards(str(tiny_work / "shards"))
    assert shards.offsets.dtype == shards.sizes.dtype == np.int64
    assert (shards.offsets % 512 == 0).all()
    ends = shards.offsets + shards.sizes
    assert (ends[:, :-1] < shards.offsets[:, 1:]).all()


def test_a_reader_leaves_open_files_to_others(tmp_path: Path) -> None:
    folder = make_shards(tmp_path / "set", Plan({"train": 100}, per_shard=1, frames=5, crop=24))
    code = """
import resource, sys
from shards.format.shardset import MemberReader, open_shards
shards = open_shards(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
reader = MemberReader(shards)
assert all(reader.read(number, 0) for number in range(100))
print(len([open("/dev/null") for _ in range(30)]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stdout.strip() == "30", done.stderr


def test_sets_of_before_and_after_guessed_hands_were_kept_apart(tiny_work: Path, tmp_path: Path) -> None:
    """Together they are a set whose guessed hands are shown as they were cut."""
    before = make_shards(tmp_path / "before", Plan({"test": 3}, recipe=replace(DEFAULT, guessed_hands_shown=True)))
    value = json.loads((tiny_work / "shards" / "dataset.json").read_text())
    about = json.loads((before / "dataset.json").read_text())
    assert about["recipe"] == {"name": "default", "quirks": []}
    same = replace(read_dataset(before), settings=value["settings"], classes=value["classes"])
    same.write(before)
    for patterns in ([str(before), str(tiny_work / "shards")], [str(tiny_work / "shards"), str(before)]):
        both = open_shards(patterns)
        assert both.dataset.recipe == replace(DEFAULT, guessed_hands_shown=True)
        assert ((both.hands >= 0).all(axis=(1, 2)) == (both.splits != "test")).all()
    assert open_shards(str(tiny_work / "shards")).dataset.recipe == DEFAULT
    sources = ("--shards", str(before), "--shards", str(tiny_work / "shards"))
    assert CliRunner().invoke(main, ["reshard", *sources, "--out", str(tmp_path / "out")]).exit_code == 0
    assert open_shards(str(tmp_path / "out")).dataset.recipe == replace(DEFAULT, guessed_hands_shown=True)
    assert verify(tmp_path / "out", full=True, jobs=1).faults == []
