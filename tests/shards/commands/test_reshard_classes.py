"""Subsets of classes, new numbers for them, and sets of other classes in one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.data.shard_making import Plan, make_shards

from shards.commands.reshard_classes import most_frequent, renumbered, wanted_classes
from shards.commands.reshard_plan import joined_by_name, read_sources
from shards.commands.verify import verify
from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.format.sample import MEMBERS, info_from_json
from shards.format.shardset import MemberReader, open_shards
from shards.remote.cache import CacheSettings

NAMES = ["hello", "thanks", "yes", "no", "7"]


def rename(folder: Path, classes: Sequence[str]) -> None:
    replace(read_dataset(folder), classes=list(classes)).write(folder)


def label_of_each(folder: Path) -> dict[str, str]:
    """The name of every sample's class, which the index and its JSON must agree about."""
    shards = open_shards(str(folder))
    reader = MemberReader(shards)
    for place in range(len(shards)):
        assert info_from_json(reader.read(place, MEMBERS.index("json"))).label == shards.labels[place]
    return {
        key: shards.dataset.classes[label] for key, label in zip(shards.ids.to_pylist(), shards.labels, strict=True)
    }


@pytest.mark.parametrize(
    ("text", "classes"),
    [("0,3", {0, 3}), ("1-3", {1, 2, 3}), ("yes, hello", {0, 2}), ("no,0-1", {0, 1, 3}), ("7", {4})],
)
def test_classes_by_number_range_and_name(text: str, classes: set[int]) -> None:
    assert wanted_classes(text, NAMES) == classes


@pytest.mark.parametrize(("text", "names"), [("b", ["a", "b", "b"]), ("0", ["3", "0", "7"])])
def test_what_means_two_classes(text: str, names: list[str]) -> None:
    """Of a set without names that was renumbered the names are the old numbers."""
    with pytest.raises(InputError, match="is the name or number of classes"):
        wanted_classes(text, names)
    assert wanted_classes("0-0", names) == {0}


def test_more_classes_than_the_name_of_a_file_has_characters() -> None:
    assert wanted_classes(",".join(map(str, range(10, 130))), NAMES) == set(range(10, 130))


def test_classes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("ClassId,EN\n0,hello\n3,no\n")
    assert wanted_classes(str(path), NAMES) == {0, 3}
    path.write_text("thanks\nno\n")
    assert wanted_classes(str(path), NAMES) == {1, 3}
    path.write_text("thanks\nnein\n")
    with pytest.raises(InputError, match=r"some\.csv:2: 'nein' is no class"):
        wanted_classes(str(path), NAMES)


@pytest.mark.parametrize("text", ["nein", "3-1", "1-9", ""])
def test_what_is_no_class(text: str) -> None:
    with pytest.raises(InputError, match="is no class"):
        wanted_classes(text, NAMES)


def test_most_frequent_classes_in_new_numbers(tmp_path: Path) -> None:
    # 5 samples of 3 classes in turn: two of classes 0 and 1, one of class 2.
    folder = make_shards(tmp_path / "shards", Plan({"train": 5}))
    dataset, sources = read_sources([str(folder)], CacheSettings(tmp_path / "cache"))
    assert sorted(label for label in (source.label for source in sources) if label is not None) == [0, 0, 1, 1, 2]
    assert most_frequent(sources, 2) == {0, 1}
    with pytest.raises(InputError, match="only 3 classes"):
        most_frequent(sources, 4)
    some, relabeled = renumbered(dataset, [source for source in sources if source.label])
    assert some.classes == dataset.classes[1:]
    assert {source.label for source in relabeled} == {0, 1}


def test_a_renumbered_subset_says_so_in_index_and_json(run, shards: Path, tmp_path: Path) -> None:
    rename(shards, ["zero", "one", "two"])
    before = label_of_each(shards)
    result = run("reshard", "--shards", shards, "--classes", "two,0", "--renumber", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert read_dataset(tmp_path / "out").classes == ["zero", "two"]
    assert label_of_each(tmp_path / "out") == {key: name for key, name in before.items() if name != "one"}
    assert verify(tmp_path / "out", True, 1).faults == []
    again = run("reshard", "--shards", shards, "--classes", "two,0", "--renumber", "--out", tmp_path / "out")
    assert "were there already" in again.stdout
    # The same samples in their old numbers are another plan.
    assert run("reshard", "--shards", shards, "--classes", "two,0", "--out", tmp_path / "out").exit_code == 2


def test_sets_are_joined_by_the_names_of_their_classes(run, shards: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for split, folder in (("train", first), ("val", second)):
        assert run("reshard", "--shards", shards / f"{split}-*.tar", "--out", folder).exit_code == 0
    rename(first, ["zero", "one", "two"])
    rename(second, ["two", "zero", "three"])
    expected = label_of_each(first) | label_of_each(second)
    both = ("reshard", "--shards", first, "--shards", second, "--out", tmp_path / "out")
    refused = run(*both)
    assert refused.exit_code == 2
    assert "class 0 is 'two', there 'zero'" in refused.stderr
    assert run(*both, "--merge-classes").exit_code == 0
    assert read_dataset(tmp_path / "out").classes == ["zero", "one", "two", "three"]
    assert label_of_each(tmp_path / "out") == expected
    assert verify(tmp_path / "out", True, 1).faults == []


def test_names_that_do_not_say_which_signs_are_the_same() -> None:
    assert joined_by_name(["a", "b"], ["c", "a"]) == (["a", "b", "c"], [2, 0])
    with pytest.raises(InputError, match="numbers for names"):
        joined_by_name(["0", "1"], ["a", "b"])
    with pytest.raises(InputError, match="two classes"):
        joined_by_name(["a", "b"], ["c", "c"])


def test_sets_made_otherwise_are_merged_when_asked_and_it_is_recorded(run, shards: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        assert run("reshard", "--shards", shards / f"{split}-*.tar", "--out", tmp_path / split).exit_code == 0
    val = tmp_path / "val"
    replace(read_dataset(val), settings=read_dataset(val).settings | {"quality": 90}).write(val)
    both = ("reshard", "--shards", tmp_path / "train", "--shards", tmp_path / "val", "--out", tmp_path / "out")
    assert "quality is 90, there 95" in run(*both).stderr
    assert run(*both, "--allow-unlike", "settings").exit_code == 0
    assert read_dataset(tmp_path / "out").settings["quality"] == [95, 90]
