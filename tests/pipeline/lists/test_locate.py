from pathlib import Path

import pytest
from helpers.data.clip_making import make_clip

from pipeline.lists.locate import Finder, Ranges, locate, seconds_of
from pipeline.lists.record import Record
from pipeline.video.probe import Video


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ("videos/1.mp4", ["videos/1.mp4"], "videos/1.mp4"),
        ("videos/1.MKV", ["videos/1.mp4"], "videos/1.MKV"),
        ("1.mp4", ["videos/1.mp4", "1.mp4"], "1.mp4"),
        ("A title [PWGruSSI30c].webm", ["PWGruSSI30c.mp4"], "A title [PWGruSSI30c].webm"),
        ("O\u0308/o\u0308.mp4", ["\u00d6/\u00f6.mp4"], "O\u0308/o\u0308.mp4"),
        ("f/0001/001.jpg", ["f/0001"], "f/0001"),
        ("f/0001/001.jpg", ["f/0001.mp4"], "f/0001"),
        ("f/0001/notes.txt", ["f/0001"], None),
        ("1.npy", ["1.mp4"], None),
        ("1.mp4", ["1.npy"], None),
        ("1/x.mp4", ["2/x.mp4"], None),
        ("1.NPY", ["1.npy"], "1.NPY"),
    ],
)
def test_files_are_found(tmp_path: Path, there: str, asked: list[str], found: str | None) -> None:
    touch(tmp_path, there)
    finder = Finder([tmp_path / "nowhere", tmp_path])
    assert finder.find(asked, keypoints=asked[0].endswith(".npy")) == (tmp_path / found if found else None)


def test_the_very_name_comes_first_and_the_others_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "1.avi", "1.mp4", "2.mp4", "notes.txt")
    finder = Finder([tmp_path])
    assert finder.find(["1.mp4"]) == tmp_path / "1.mp4"
    assert finder.unused() == [str(tmp_path / "1.avi"), str(tmp_path / "2.mp4")]


def of_frames(name: str, first: int, end: int | None, fps: float | None = 25) -> Record:
    return Record(name, "train", "", 0, (f"{name}.mp4",), frames=(first, end), fps=fps)


@pytest.mark.parametrize(
    ("frames", "end", "expected", "kind"),
    [
        (100, 60, (10 / 30, 60 / 30), None),
        (60, 60, (10 / 30, 60 / 30), None),
        (50, 60, (None, None), "cut"),
        (51, 60, (None, None), "cut"),
        (30, 60, (None, None), "unfit"),
        (100, None, (10 / 30, None), None),
    ],
)
def test_frames_become_seconds_by_the_video(
    frames: int, end: int | None, expected: tuple[float | None, float | None], kind: str | None
) -> None:
    ranges = Ranges()
    assert seconds_of(of_frames("a", 10, end), Video(frames, 160, 120, 30.0), "a.mp4", ranges) == expected
    assert {name: value for name, value in vars(ranges).items() if value} == ({kind: ["a.mp4"]} if kind else {})


def test_frames_of_real_files(tmp_path: Path, ffmpeg: str) -> None:
    make_clip(ffmpeg, tmp_path / "long.mp4", 40)
    make_clip(ffmpeg, tmp_path / "cut.mp4", 10)
    (tmp_path / "broken.mp4").write_bytes(b"<html>")
    records = [
        of_frames("long", 20, 30),
        of_frames("cut", 20, 30),
        of_frames("broken", 20, 30),
        of_frames("gone", 5, None),
    ]
    located, ranges = locate(records, Finder([tmp_path]))
    assert [(one.start, one.end, one.missing) for one in located] == [
        (20 / 30, 1.0, False),
        (None, None, False),
        (0.8, 1.2, False),
        (0.2, None, True),
    ]
    assert (ranges.cut, ranges.guessed) == ([str(tmp_path / "cut.mp4")], ["broken", "gone"])
    assert located[3].color == tmp_path / "gone.mp4"


def test_a_clip_by_frames_without_any_rate_is_left_out(tmp_path: Path) -> None:
    located, ranges = locate([of_frames("gone", 5, 9, None)], Finder([tmp_path]))
    assert (located, ranges.unknown) == ([], ["gone"])
