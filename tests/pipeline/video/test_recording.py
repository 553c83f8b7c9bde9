"""Parts of longer videos, and folders of numbered pictures."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import make_clip

from pipeline.errors import ClipError
from pipeline.video.decode import WantedStream, decode
from pipeline.video.encode import copy_plain
from pipeline.video.probe import probe
from pipeline.video.recording import Recording, picture_pattern


def gray_frames(recording: Recording, ffmpeg: str) -> np.ndarray:
    (video,) = probe([recording], ffmpeg)
    frames = [frame.copy() for _, frame in decode([WantedStream(recording, video, "gray")], ffmpeg)]
    assert len(frames) == video.frames
    return np.array(frames)


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "long.mp4", 90)
    return str(tmp_path / "long.mp4")


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(1.0, 2.0, 30, 60), (None, 0.5, 0, 15), (2.5, None, 75, 90), (0.033, 0.1, 1, 3), (0.0, 3.0, 0, 90)],
)
def test_a_part_has_the_frames_of_its_time(
    start: float | None, end: float | None, first: int, last: int, ffmpeg: str, clip: str
) -> None:
    """Times may be rounded to milliseconds: 0.033 s is frame 1 of 30 a second; the end is exclusive."""
    whole, part = (gray_frames(Recording(clip, *times), ffmpeg) for times in ((None, None), (start, end)))
    np.testing.assert_array_equal(part, whole[first:last])


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_a_part_of_an_mpeg_stream_may_begin_between_key_frames(
    suffix: str, ffmpeg: str, clip: str, tmp_path: Path
) -> None:
    stream = str(tmp_path / f"long.{suffix}")
    subprocess.run([ffmpeg, "-loglevel", "error", "-i", clip, "-g", "12", "-bf", "2", "-an", stream], check=True)
    whole, part = (gray_frames(Recording(stream, *times), ffmpeg) for times in ((None, None), (1.0, 2.0)))
    np.testing.assert_array_equal(part, whole[30:60])


def test_a_part_has_the_rate_of_the_recording(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    """Also where times are milliseconds."""
    fast = str(tmp_path / "fast.mkv")
    subprocess.run([ffmpeg, "-loglevel", "error", "-r", "60", "-i", clip, fast], check=True)
    assert probe([Recording(fast, 0.6, 0.633)], ffmpeg)[0].fps == 60


@pytest.mark.parametrize(("end", "notes"), [(3.05, 0), (3.5, 1), (60, 1)])
def test_a_part_that_ends_after_the_video_is_told(end: float, notes: int, ffmpeg: str, clip: str) -> None:
    """Frames taken for seconds, say."""
    assert len(probe([Recording(clip, 1.0, end)], ffmpeg)[0].notes) == notes


def test_a_part_beyond_the_end_is_named(ffmpeg: str, clip: str) -> None:
    with pytest.raises(ClipError, match=r"long.mp4: no frame of it between 7 s and 9 s"):
        probe([Recording(clip, 7.0, 9.0)], ffmpeg)


@pytest.mark.parametrize("name", ["%04d.png", "frame_%d.png", "50%%_%03d.png"])
def test_a_folder_of_numbered_pictures(name: str, ffmpeg: str, clip: str, tmp_path: Path) -> None:
    folder = tmp_path / "100% pictures"
    folder.mkdir()
    command = [ffmpeg, "-loglevel", "error", "-i", clip, "-frames:v", "12", "-start_number", "7"]
    subprocess.run([*command, "-pix_fmt", "gray", str(folder).replace("%", "%%") + "/" + name], check=True)
    (video,) = probe([Recording(str(folder))], ffmpeg)
    assert (video.frames, video.width, video.height, video.fps, video.plain) == (12, 160, 120, 25, False)
    pictures, whole = gray_frames(Recording(str(folder)), ffmpeg), gray_frames(Recording(clip), ffmpeg)
    # Through full range and back: a level or two, more where the pattern exceeds the limited range.
    assert np.abs(pictures.astype(int) - whole[:12]).mean() < 1
    np.testing.assert_array_equal(gray_frames(Recording(str(folder), 0.2, 0.4), ffmpeg), pictures[5:10])


@pytest.mark.parametrize("digits", ["%d", "%02d"])
def test_numbers_that_outgrow_their_zeros_lose_no_picture(digits: str, ffmpeg: str, tmp_path: Path) -> None:
    command = [ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=32x32", "-start_number", "8"]
    subprocess.run([*command, "-frames:v", "94", f"{tmp_path}/{digits}.png"], check=True)
    assert (tmp_path / "101.png").is_file()
    assert probe([Recording(str(tmp_path))], ffmpeg)[0].frames == 94


def test_pictures_that_are_no_clip_are_named(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="not of numbered pictures"):
        picture_pattern(tmp_path)
    for number in (1, 2, 4):
        (tmp_path / f"{number:03}.jpg").touch()
    with pytest.raises(ClipError, match="the picture number 3 is missing"):
        picture_pattern(tmp_path)
    (tmp_path / "03.jpg").touch()
    with pytest.raises(ClipError, match="more zeros before its number"):
        picture_pattern(tmp_path)
    (tmp_path / "003.png").touch()
    with pytest.raises(ClipError, match="several names or suffixes"):
        picture_pattern(tmp_path)


def test_a_plain_copy_has_the_same_frames(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    odd = [Recording(clip, 0.5, 1.0)]
    odd += [
        Recording(str(path)) for path in sorted((Path(__file__).parents[2] / "data" / "clips").glob("rotated-sei*"))
    ]
    for number, recording in enumerate(odd):
        (video,) = probe([recording], ffmpeg)
        assert not video.plain
        copy = Recording(str(tmp_path / f"{number}.mkv"))
        copy_plain(recording, video, Path(copy.path), ffmpeg)
        np.testing.assert_array_equal(gray_frames(copy, ffmpeg), gray_frames(recording, ffmpeg))
        assert probe([copy], ffmpeg)[0].plain
