"""Folders of files made here; the files are empty, as only their paths are looked at."""

from pathlib import Path

import pytest

from pipeline.lists.folders import read_folders
from pipeline.lists.record import ClipListing
from pipeline.lists.sources import Sources
from shards.errors import InputError


def read(root: Path, names: str, pattern: str | None = None) -> ClipListing:
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return read_folders(Sources([root]), pattern)


def told(listing: ClipListing) -> list[tuple[str, str, str, str]]:
    return [(record.name, record.split, record.signer, listing.classes[record.label]) for record in listing.records]


def test_class_folders(tmp_path: Path) -> None:
    assert told(read(tmp_path, "hello/1.mp4 bye/1.AVI bye/2/001.jpg bye/2/002.jpg")) == [
        ("bye/1", "", "", "bye"),
        ("bye/2", "", "", "bye"),
        ("hello/1", "", "", "hello"),
    ]


def test_split_and_class(tmp_path: Path) -> None:
    assert told(read(tmp_path, "Train/a/1.mp4 validation/a/1.mp4 test/b/1.mp4")) == [
        ("Train/a/1", "train", "", "a"),
        ("test/b/1", "test", "", "b"),
        ("validation/a/1", "val", "", "a"),
    ]


@pytest.mark.parametrize("names", ["a/anna/1.mp4 b/ben/1.mp4", "a/s1/1.mp4 train/s2/1.mp4"])
def test_class_and_signer(tmp_path: Path, names: str) -> None:
    listing = read(tmp_path, names)
    assert [one.name.split("/")[0] for one in listing.records] == listing.classes
    assert [one.name.split("/")[1] for one in listing.records] == [one.signer for one in listing.records]
    assert "{label}/{signer}/{clip}" in listing.notes[0]


def test_signer_and_class_where_the_signers_are_numbered(tmp_path: Path) -> None:
    assert told(read(tmp_path, "test/Signer_1/a/1.mp4 train/signer2/b/1.mp4")) == [
        ("test/Signer_1/a/1", "test", "Signer_1", "a"),
        ("train/signer2/b/1", "train", "signer2", "b"),
    ]


def test_class_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "10/a.mp4 2/a.mp4 0/a.mp4").classes == ["0", "2", "10"]
    assert read(tmp_path, "x/a.mp4").classes == ["0", "10", "2", "x"]


def test_several_folders_count_from_the_one_above(tmp_path: Path) -> None:
    read(tmp_path, "train/a/1.mp4 test/a/1.mp4")
    listing = read_folders(Sources([tmp_path / "train", tmp_path / "test"]))
    assert [record.split for record in listing.records] == ["test", "train"]


def test_color_depth_and_keypoints_of_one_clip(tmp_path: Path) -> None:
    listing = read(
        tmp_path,
        "a/1_color.MP4 a/1_depth.mkv a/2.mp4 a/2.npy a/3.pose a/4.mp4 a/4_depth.avi "
        "a/5_color.mp4 a/5_depth.mp4 a/5.npy",
    )
    assert [(one.name, one.color, one.depth, one.keypoints) for one in listing.records] == [
        ("a/1", ("a/1_color.MP4",), "a/1_depth.mkv", None),
        ("a/2", ("a/2.mp4",), None, "a/2.npy"),
        ("a/3", (), None, "a/3.pose"),
        ("a/4", ("a/4.mp4",), "a/4_depth.avi", None),
        ("a/5", ("a/5_color.mp4",), "a/5_depth.mp4", "a/5.npy"),
    ]


def test_a_second_file_of_keypoints_or_depth_is_named(tmp_path: Path) -> None:
    listing = read(tmp_path, "a/1.mp4 a/1.npy a/1.pose a/1_depth.avi a/1_depth.mp4")
    assert [(one.name, one.depth, one.keypoints) for one in listing.records] == [("a/1", "a/1_depth.avi", "a/1.npy")]
    assert listing.unmatched == [str(tmp_path / "a/1.pose"), str(tmp_path / "a/1_depth.mp4")]


def test_a_clip_beside_its_namesake_in_color_is_another_one(tmp_path: Path) -> None:
    listing = read(tmp_path, "k/a.mp4 k/a_color.mp4 k/b.mp4 k/b.avi")
    assert [(one.name, one.color) for one in listing.records] == [
        ("k/a", ("k/a.mp4",)),
        ("k/a_color", ("k/a_color.mp4",)),
        ("k/b", ("k/b.avi",)),
        ("k/b.mp4", ("k/b.mp4",)),
    ]


def test_what_matches_no_pattern_is_told(tmp_path: Path) -> None:
    listing = read(tmp_path, "train/1_a.mp4 train/b.mp4 train/c.zip", "{split}/{signer}_{label}")
    assert [record.name for record in listing.records] == ["train/1_a"]
    assert listing.unreadable == [str(tmp_path / "train/b.mp4")]
    assert listing.unmatched == [str(tmp_path / "train/c.zip")]


@pytest.mark.parametrize(
    ("names", "pattern", "fault"),
    [
        ("a.mp4", None, "do not say the class"),
        ("train/a.mp4 test/b.mp4", None, "do not say the class"),
        ("a/b/c/d.mp4", None, "do not say the class"),
        ("a/1.mp4 b/s1/1.mp4", None, "several depths, a/1 and b/s1/1"),
        ("s1/s2/1.mp4", None, "look like signers"),
        ("train/a/1.mp4 extra/a/1.mp4", None, "train names a split, extra beside it does not"),
        ("a/notes.txt", None, "no video, folder of numbered pictures or keypoints"),
        ("a/1.mp4", "{split}/{signer}_{label}", "none of its 1 clips matches"),
    ],
)
def test_what_cannot_be_found_by_looking(tmp_path: Path, names: str, pattern: str | None, fault: str) -> None:
    with pytest.raises(InputError, match=fault) as error:
        read(tmp_path, names, pattern)
    assert "pattern" in str(error.value) or "keypoints" in fault


def test_a_folder_in_another_one_gives_its_clips_once(tmp_path: Path) -> None:
    read(tmp_path / "data", "train/hello/1.mp4 test/hello/2.mp4 test/bye/2.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    given = [tmp_path / "data" / "train", tmp_path / "data", tmp_path / "data" / "train", tmp_path / "link"]
    listing = read_folders(Sources(given))
    assert [one.name for one in listing.records] == ["test/bye/2", "test/hello/2", "train/hello/1"]
