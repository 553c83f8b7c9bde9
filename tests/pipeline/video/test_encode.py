"""The one writer of videos."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.video.decode import WantedStream, decode
from pipeline.video.encode import RawFrames, write_video
from pipeline.video.probe import probe
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Video
from shards.errors import InputError

OPTIONS = {"preset": "ultrafast", "crf": 10}


def ramps(count: int, *shape: int) -> list[np.ndarray]:
    """Pictures that get brighter to the right, and from one to the next."""
    return [np.broadcast_to(np.linspace(40, 180, shape[1]) + 5 * n, shape[:2]).astype(np.uint8) for n in range(count)]


def test_what_is_written_is_what_was_given(ffmpeg: str, tmp_path: Path) -> None:
    path, pictures = tmp_path / "gray.mp4", ramps(7, 48, 64)
    write_video(path, (picture.tobytes() for picture in pictures), RawFrames("gray", 64, 48, 25.0), ffmpeg, OPTIONS)
    (video,) = probe([Recording(str(path))], ffmpeg)
    assert video == Video(7, 64, 48, 25.0)
    for picture, (_, frame) in zip(
        pictures, decode([WantedStream(Recording(str(path)), video, "rgb")], ffmpeg), strict=True
    ):
        assert np.abs(frame.reshape(48, 64, 3) - picture[..., None].astype(int)).mean() < 3
    assert [file.name for file in tmp_path.iterdir()] == ["gray.mp4"]


def test_a_colour_video_in_a_folder_whose_name_has_a_colon(ffmpeg: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, red = Path("a:b") / "x.mp4", np.zeros((48, 64, 3), np.uint8)
    path.parent.mkdir()
    red[..., 0] = 200
    write_video(path, [red.tobytes()] * 3, RawFrames("rgb24", 64, 48, 30.0), ffmpeg, OPTIONS)
    (video,) = probe([Recording(str(path))], ffmpeg)
    found = [
        frame.reshape(48, 64, 3).mean(axis=(0, 1))
        for _, frame in decode([WantedStream(Recording(str(path)), video, "rgb")], ffmpeg)
    ]
    np.testing.assert_allclose(found, [(200, 0, 0)] * 3, atol=12)


def test_nothing_is_left_when_the_frames_end_in_an_error(ffmpeg: str, tmp_path: Path) -> None:
    def frames():
        yield bytes(64 * 48)
        raise ValueError("the clip is damaged")

    with pytest.raises(ValueError, match="the clip is damaged"):
        write_video(tmp_path / "x.mp4", frames(), RawFrames("gray", 64, 48, 30.0), ffmpeg, OPTIONS)
    assert not list(tmp_path.iterdir())


def test_a_failing_ffmpeg_leaves_the_old_file(tmp_path: Path) -> None:
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    (tmp_path / "x.mp4").write_bytes(b"old")
    said = rf"{tmp_path}/x.mp4: FFmpeg could not write it \(No space left on device\); make room or name another file"
    with pytest.raises(InputError, match=said):
        write_video(tmp_path / "x.mp4", [bytes(10**6)] * 3, RawFrames("gray", 64, 48, 30.0), str(stand_in), OPTIONS)
    assert (tmp_path / "x.mp4").read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} == {"ffmpeg", "x.mp4"}
