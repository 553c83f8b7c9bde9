from pathlib import Path

import numpy as np
import pytest

from pipeline.lists.walk import FoundClip, stem_of, walk
from pipeline.pose.layouts.find import find_layout


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_videos_pictures_and_keypoints_are_clips(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.MOV", "a/._1.mp4", "a/Thumbs.db", "a/notes.txt", "__MACOSX/x.mp4")
    touch(tmp_path, "a/frames/0001.jpg", "a/frames/0002.JPG", "a/frames/.DS_Store")
    touch(tmp_path, "a/kp/x_000_keypoints.json", "a/kp/x_001_keypoints.json", "a/3.pose", "a/4.parquet")
    clips, others = walk(tmp_path)
    assert clips == [
        FoundClip("a/1.mp4", "video"),
        FoundClip("a/2.MOV", "video"),
        FoundClip("a/3.pose", "keypoints"),
        FoundClip("a/4.parquet", "keypoints"),
        FoundClip("a/frames", "pictures"),
        FoundClip("a/kp", "keypoints"),
    ]
    assert others == ["a/notes.txt"]


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((1662,), ["hello"]),
        ((543, 3), ["hello"]),
        ((30, 1662), ["hello/0.npy", "hello/1.npy"]),
        ((30, 75, 3), ["hello/0.npy", "hello/1.npy"]),
    ],
)
def test_arrays_of_a_frame_make_one_clip_and_arrays_of_frames_many(
    tmp_path: Path, shape: tuple[int, ...], found: list[str]
) -> None:
    (tmp_path / "hello").mkdir()
    for number in range(2):
        np.save(tmp_path / "hello" / f"{number}.npy", np.zeros(shape))
    assert [clip.path for clip in walk(tmp_path)[0]] == found


def test_pictures_of_two_clips_in_a_folder_are_no_clip(tmp_path: Path) -> None:
    touch(tmp_path, "hello/a_1.jpg", "hello/a_2.jpg", "hello/b_1.jpg", "bye/cover.jpg")
    assert walk(tmp_path) == ([], ["bye/cover.jpg", "hello/a_1.jpg", "hello/a_2.jpg", "hello/b_1.jpg"])


def test_pictures_that_no_run_reads_are_no_clip(tmp_path: Path) -> None:
    touch(tmp_path, "hello/1/1.bmp", "hello/1/2.bmp", "hello/2/1.webp")
    assert walk(tmp_path) == ([FoundClip("hello/2", "pictures")], ["hello/1/1.bmp", "hello/1/2.bmp"])


def test_frames_in_capitals_and_damaged_ones(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            path = tmp_path / folder / f"{number}.NPY"
            with path.open("wb") as file:
                np.save(file, np.zeros(1662))
            if folder == "b":  # its header, which is Python
                path.write_bytes(path.read_bytes().replace(b"{'descr", b"((descr"))
    assert walk(tmp_path)[0] == [
        FoundClip("a", "keypoints"),
        FoundClip("b/0.NPY", "keypoints"),
        FoundClip("b/1.NPY", "keypoints"),
    ]
    assert find_layout(tmp_path / "a").name == "mediapipe1662"


def test_a_link_that_leads_back_ends(tmp_path: Path) -> None:
    touch(tmp_path, "real/1.mp4")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "linked.mp4").symlink_to(tmp_path / "real" / "1.mp4")
    assert [clip.path for clip in walk(tmp_path)[0]] == ["linked.mp4", "real/1.mp4"]


def test_stems() -> None:
    assert [stem_of(name) for name in ("4.7e-7-SOUR.mp4", "P1._color.MP4", "v1.2", "a.kp")] == [
        "4.7e-7-SOUR",
        "P1._color",
        "v1.2",
        "a",
    ]
    assert stem_of("o\u0308.mp4") == "\u00f6"
