"""The stage `frames`: color and depth must agree."""

from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import make_clip, moving_keypoints, write_keypoints

from pipeline.errors import ClipError
from pipeline.stages.frames import ASSUMED_FPS, Frames, count_frames
from pipeline.workspace.clip import Sample, Video
from pipeline.workspace.paths import Workspace

STAGE = Frames(Workspace(Path("unused")))


@pytest.fixture
def color(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a_color.mp4", 9)
    return str(tmp_path / "a_color.mp4")


def depth(ffmpeg: str, folder: Path, frames: int, size: str = "160x120") -> str:
    make_clip(ffmpeg, folder / "a_depth.mp4", frames, size, gray=True)
    return str(folder / "a_depth.mp4")


def test_facts_are_the_color_videos(ffmpeg: str, color: str, tmp_path: Path) -> None:
    video = Video(9, 160, 120, 30.0)
    assert count_frames(Sample("a", "", "", None, color, None), STAGE) == (video, None)
    assert count_frames(Sample("a", "", "", None, color, depth(ffmpeg, tmp_path, 9)), STAGE) == (video, video)


@pytest.mark.parametrize(
    ("frames", "size", "said"),
    [
        (8, "160x120", "a_depth.mp4: 8 frames, color has 9; mend it, or run with --no-depth"),
        (9, "120x160", "a_depth.mp4: 120×160, color is 160×120; mend it, or run with --no-depth"),
    ],
)
def test_a_depth_video_that_disagrees(
    ffmpeg: str, color: str, tmp_path: Path, frames: int, size: str, said: str
) -> None:
    sample = Sample("a", "", "", None, color, depth(ffmpeg, tmp_path, frames, size))
    with pytest.raises(ClipError, match=f"{tmp_path}/{said}"):
        count_frames(sample, STAGE)


def test_a_depth_video_that_is_gone(ffmpeg: str, color: str, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=rf"{tmp_path}/b_depth.mp4: no such file"):
        count_frames(Sample("a", "", "", None, color, str(tmp_path / "b_depth.mp4")), STAGE)


def test_a_clip_without_video_is_as_long_as_its_keypoints_and_as_large_as_shows_them(tmp_path: Path) -> None:
    keypoints = moving_keypoints(7, 0)
    write_keypoints(tmp_path / "a.kp", "a", keypoints)
    np.save(tmp_path / "a.npy", keypoints.astype(np.float32))
    width, height = keypoints[..., 0].max(), keypoints[..., 1].max()
    for name in ("a.kp", "a.npy"):
        video, _ = count_frames(Sample("a", "", "", None, None, None, str(tmp_path / name)), STAGE)
        assert (video.frames, video.fps) == (7, ASSUMED_FPS)
        assert 0 <= video.width - 1 - width < 1 and 0 <= video.height - 1 - height < 1


def test_keypoints_of_no_frame_fail_their_clip(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 135, 3), np.float32))
    with pytest.raises(ClipError, match=f"{tmp_path}/a.npy: keypoints of no frame"):
        count_frames(Sample("a", "", "", None, None, None, str(tmp_path / "a.npy")), STAGE)
