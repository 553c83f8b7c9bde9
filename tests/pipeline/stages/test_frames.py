"""The stage `frames`: colour and depth must agree."""

from pathlib import Path

import pytest
from helpers.clip_making import make_clip

from pipeline.errors import ClipError
from pipeline.stages.frames import count_frames, video_of
from pipeline.video.probe import Video
from pipeline.workspace.clip import Sample


@pytest.fixture
def color(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a_color.mp4", 9)
    return str(tmp_path / "a_color.mp4")


def depth(ffmpeg: str, folder: Path, frames: int, size: str = "160x120") -> str:
    make_clip(ffmpeg, folder / "a_depth.mp4", frames, size, grey=True)
    return str(folder / "a_depth.mp4")


def test_facts_are_the_colour_videos(ffmpeg: str, color: str, tmp_path: Path) -> None:
    for sample in (
        Sample("a", "", "", None, color, None),
        Sample("a", "", "", None, color, depth(ffmpeg, tmp_path, 9)),
    ):
        facts = count_frames(sample, ffmpeg)
        assert facts == {"frames": 9, "width": 160, "height": 120, "fps": 30.0}
        assert video_of(facts) == Video(9, 160, 120, 30.0)


@pytest.mark.parametrize(
    ("frames", "size", "said"),
    [
        (8, "160x120", "a_depth.mp4: 8 frames, colour has 9; mend it, or run with --no-depth"),
        (9, "120x160", "a_depth.mp4: 120×160, colour is 160×120; mend it, or run with --no-depth"),
    ],
)
def test_a_depth_video_that_disagrees(
    ffmpeg: str, color: str, tmp_path: Path, frames: int, size: str, said: str
) -> None:
    sample = Sample("a", "", "", None, color, depth(ffmpeg, tmp_path, frames, size))
    with pytest.raises(ClipError, match=f"{tmp_path}/{said}"):
        count_frames(sample, ffmpeg)


def test_a_depth_video_that_is_gone(ffmpeg: str, color: str, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=rf"{tmp_path}/b_depth.mp4: no such file"):
        count_frames(Sample("a", "", "", None, color, str(tmp_path / "b_depth.mp4")), ffmpeg)
